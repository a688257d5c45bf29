"""Network and data by name."""

import re
from dataclasses import dataclass

from hormesis.errors import SettingError


@dataclass(frozen=True)
class ModelAndData:
    """Network and data by name, as the command line and the configuration file give them.

    Args:
        model: A torchvision name, ``timm:NAME`` or ``module:factory``.
        weights: A checkpoint; ``"random"`` for an untrained network; None trains a named network on
            the digits and is an error on other data.
        data: ``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``tiny-imagenet``, a folder of
            class folders, or ``module:factory``.
        data_root: Folder that holds, or shall hold, the named data sets.
        download: Fetch a named data set that is not there.
        samples: Size of a seeded, stratified choice of the samples; None takes all.
        bounds: Lowest and highest value of the inputs of ``module:factory`` data.
        normalize: Put the normalisation of the data, or ``mean`` and ``std``, in front of the
            network. None does so for a network that is built here by name, and never puts
            anything in front of a ``module:factory``.
        device: Where to compute, ``cpu``, ``cuda`` or ``mps``; None takes a GPU if there is one.
        stem: ``"small"`` takes a first layer for images of some 32x32 pixels.
        mean: What to subtract from each channel, in input units, instead of the data's own mean.
        std: What to divide each channel by then, above 0.

    Raises:
        SettingError: For a ``mean`` without a ``std``, or either beside ``normalize=False``.

    Example:
        >>> ModelAndData(model="resnet50", data="cifar10").study_name("fgsm")
        'cifar10-resnet50-fgsm'
    """

    model: str = "resnet18"
    weights: str | None = None
    data: str = "digits"
    data_root: str | None = None
    download: bool = False
    samples: int | None = None
    bounds: tuple[float, float] | None = None
    normalize: bool | None = None
    device: str | None = None
    stem: str = "standard"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check what belongs together."""
        mean, std = self.mean or (), self.std or ()
        if len(mean) != len(std):
            got = f"{len(mean)} and {len(std)}"
            raise SettingError(f"Expected one `mean` and one `std` for each channel, got {got}.")
        if mean and self.normalize is False:
            raise SettingError("Expected no `mean` and `std` beside `normalize` false.")

    def study_name(self, attack: str) -> str:
        """Return the name of the folder that a study gets unless it is given one."""
        data = self.data.rstrip("/").rpartition("/")[2]
        parts = (data, self.model, attack)
        return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)
