"""Network and data by name."""

import re
from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.choices import STEMS, check_choice
from hormesis.settings.factory import HUGGING_FACE
from hormesis.settings.option import option

CHOICE_SCORES = ("sum", "characters", "bytes")  # what the likelihood of a choice is divided by
ORDERS = ("alphabetical", "natural")  # of the folders of images
RANDOM = "random"  # in the place of a checkpoint


@dataclass(frozen=True)
class ModelAndData:
    """Network and data by name, as on the command line and in the configuration file.

    Args:
        model: A torchvision name, ``timm:NAME``, ``module:factory``, or ``hf:FOLDER``, a language
            model that transformers saved.
        stem: First layer; ``"small"`` suits images of about 32x32 pixels.
        weights: A checkpoint (.safetensors, .pt, .pth, .ckpt), or ``"random"`` for an untrained
            network; by default a named network is trained on the digits.
        weights_key: Where the weights lie in a checkpoint of several networks, such as ``ema``.
        weights_ignore: Entries of the checkpoint to leave out, with * and ?. Others without a
            place in the network are refused, unless they belong to the training only.
        data: ``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``tiny-imagenet``, a folder
            with one folder of images a class, ``module:factory``, or, for ``hf:FOLDER``, a file of
            texts (.jsonl, .csv, .txt).
        data_root: Folder of the named data sets; by default $HORMESIS_DATA.
        download: Download a named data set that is missing.
        samples: Size of a random subset of the samples, stratified by class; by default all.
        bounds: Lowest and highest input value of ``module:factory`` data; by default 0 and 1.
        resize: Pixels of the shorter side, or height and width, that the images of a folder are
            resized to.
        crop: Pixels of a square, or height and width, that are cut out of the centre of the images
            of a folder, once resized.
        preprocess: Give the images of a folder the size and the normalisation that the network's
            published weights expect; by default where the checkpoint has as many outputs as those.
        class_index: File with the names of the network's outputs, as the folders of images have
            them: one a line in their order, or JSON.
        class_order: Order of the folders of images that gives their classes their numbers;
            ``natural`` takes 2 before 10.
        normalize: Put the normalisation of the data, or ``mean`` and ``std``, in front of the
            network; by default for networks by name, and not for ``module:factory``.
        text: Key or column of the texts in a file of texts; by default ``text``, ``prompt`` or
            ``context``.
        max_length: Tokens that are kept of each text; by default all, and a text that the network
            has no positions for is refused.
        choice_score: Score of a choice: the log-likelihood of its tokens, ``sum``, or that divided
            by the choice's number of ``characters`` or ``bytes``.
        mean: Subtract these numbers, one a channel, in front of the network. They are in input
            units, and take the place of the data's own mean.
        std: Divide by these numbers, one a channel, in front of the network. Each is above 0.
        device: Where to compute, such as cpu, cuda or mps; by default a GPU if there is one.

    Raises:
        SettingError: For a ``mean`` without a ``std``, or either beside ``normalize=False``, and
            for ``weights_key`` or ``weights_ignore`` without a checkpoint.

    Example:
        >>> ModelAndData(model="resnet50", data="cifar10").study_name("fgsm")
        'cifar10-resnet50-fgsm'
    """

    model: str = field(default="resnet18", metadata=option(code=True))
    stem: str = field(default="standard", metadata=option(choices=STEMS))
    weights: str | None = field(default=None, metadata=option(metavar="FILE"))
    weights_key: str | None = field(default=None, metadata=option(metavar="KEY"))
    weights_ignore: tuple[str, ...] = ()
    data: str = field(default="digits", metadata=option(code=True))
    data_root: str | None = field(default=None, metadata=option(metavar="DIR"))
    download: bool = False
    samples: int | None = None
    bounds: tuple[float, float] | None = None
    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    preprocess: bool | None = None
    class_index: str | None = field(default=None, metadata=option(metavar="FILE"))
    class_order: str = field(default=ORDERS[0], metadata=option(choices=ORDERS))
    normalize: bool | None = None
    text: str | None = None
    max_length: int | None = None
    choice_score: str = field(default="sum", metadata=option(choices=CHOICE_SCORES))
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        check_choice("class_order", self.class_order, ORDERS)
        mean, std = self.mean or (), self.std or ()
        if len(mean) != len(std):
            counts = f"{len(mean)} and {len(std)}"
            raise SettingError(f"Expected one `mean` and one `std` for each channel, got {counts}.")
        if mean and self.normalize is False:
            raise SettingError("Expected no `mean` and `std` beside `normalize` false.")
        for name in ("weights_key", "weights_ignore"):
            if getattr(self, name) and self.weights in (None, RANDOM):
                raise SettingError(f"Expected `weights`, a checkpoint, for `{name}`; got none.")

    def study_name(self, attack: str) -> str:
        """Return the default name of a study's folder."""
        data, model = (name.rstrip("/").rpartition("/")[2] for name in (self.data, self.model))
        if not self.model.startswith(HUGGING_FACE):
            model = self.model
        parts = (data, model, attack)
        return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)
