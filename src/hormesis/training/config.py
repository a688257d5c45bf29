"""What can be asked of a training: plain frozen values, checked when they are made, no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.attacks import PGD, Attack, describe_attack, make_attack
from hormesis.settings.choices import MOST_EPOCHS, MOST_SEED, STEMS
from hormesis.settings.magnitudes import AUTO
from hormesis.settings.option import check_choices, option

Options = Mapping[str, Any]
PGD_STEPS = PGD.training["steps"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: everything that its weights depend on besides network and data.

    The defaults are the paper's: Adam at 1e-3, batches of 100, cross-entropy (METHOD, section 7).

    Args:
        epochs: Epochs of training, from 1 to 30,000.
        batch_size: Samples in a batch, at least 1. The last batch of an epoch takes what is left.
        lr: Learning rate at the start, above 0.
        optimizer: A class of ``torch.optim`` such as ``"SGD"``, or ``module:factory``.
        optimizer_options: Its further options, such as ``{"momentum": 0.9}``.
        schedule: A class of ``torch.optim.lr_scheduler``, or ``module:factory``; by default the
            rate is constant. It steps once an epoch; one that takes ``total_steps`` steps with
            every batch. ``total_steps``, ``T_max`` and ``max_lr`` are filled in unless they are
            given.
        schedule_options: Its further options, such as ``{"step_size": 3}``.
        augment: Classes of ``torchvision.transforms.v2``, or ``module:factory``, with their
            options, such as ``{"RandomCrop": {"size": 32, "padding": 4}}``. They change a training
            image in this order.
        attack: Adversary that the validation meets too, with a number as ``epsilon``; or None.
        adversarial: Train on adversarial samples instead of clean ones; needs ``attack``. Madry et
            al. 2018, arXiv:1706.06083.
        stem: First layer; ``"small"`` suits images of about 32x32 pixels.
        seed: Seed of weights, order, augmentation and dropout, at least 0.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Recipe(optimizer="SGD", lr=0.1, optimizer_options={"momentum": 0.9}).batch_size
        100
        >>> Recipe(lr=-1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `lr` to be a finite number above 0, got -1.
    """

    epochs: int = 10
    batch_size: int = 100
    lr: float | int = 1e-3
    optimizer: str = field(default="Adam", metadata=option(code=True))
    optimizer_options: Options = field(default_factory=dict)
    schedule: str | None = field(default=None, metadata=option(code=True))
    schedule_options: Options = field(default_factory=dict)
    augment: Mapping[str, Options | None] = field(default_factory=dict, metadata=option(code=True))
    attack: Attack | None = field(default=None, metadata=option(flag=""))
    adversarial: bool = False
    stem: str = field(default="standard", metadata=option(choices=STEMS))
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        check_count("epochs", self.epochs)
        if self.epochs > MOST_EPOCHS:
            raise SettingError(
                f"Expected `epochs` to be at most {MOST_EPOCHS:,}, got {self.epochs}."
            )
        check_count("batch_size", self.batch_size)
        if not 0 < self.lr < math.inf:
            raise SettingError(f"Expected `lr` to be a finite number above 0, got {self.lr}.")
        check_choices(self)
        check_count("seed", self.seed, least=0)
        if self.seed > MOST_SEED:
            raise SettingError(f"Expected `seed` to be at most {MOST_SEED}, got {self.seed}.")
        for name in ("optimizer_options", "schedule_options"):
            check_mapping(name, getattr(self, name))
        check_options("augment", self.augment)
        if self.schedule_options and self.schedule is None:
            raise SettingError("Expected a `schedule` for the `schedule_options`, got none.")
        if self.adversarial and self.attack is None:
            raise SettingError(
                "Expected an `attack` to train against with `adversarial`, such as pgd, got none."
            )
        if self.attack is not None and self.attack.epsilon == AUTO:
            raise SettingError(
                "Expected `epsilon` to be a number for an attack during training, such as 8/255, "
                "got 'auto'."
            )

    def described(self) -> dict[str, Any]:
        """Return the fields as plain values, by the names that trainings have always used."""
        recorded = {"batch_size": "batch", "lr": "rate"}
        values = {recorded.get(name, name): value for name, value in asdict(self).items()}
        return {**values, "attack": self.attack and describe_attack(self.attack)}


@dataclass(frozen=True)
class DataConfig:
    """Which part of a named data set a network is trained on, and where it lies.

    Args:
        root: Folder of the named data sets; by default $HORMESIS_DATA.
        split: ``"standard"``; ``"paper"`` and ``"paper-80"`` pool the labelled images of Tiny
            ImageNet and draw 90,000/10,000 or 80,000/20,000.
        split_seed: Seed of what is drawn from the data, at least 0.
        samples: Size of a random subset of the training samples, stratified by class; by default
            all.
        normalize: Put the normalisation of a named data set in front of the network; by default
            for networks by name, and not for ``module:factory``.
        download: Download a named data set that is missing.

    Raises:
        SettingError: For a number outside these bounds.

    Example:
        >>> DataConfig(samples=20_000).split
        'standard'
    """

    root: str | None = field(default=None, metadata=option(flag="data_root", metavar="DIR"))
    split: str = "standard"
    split_seed: int = 0
    samples: int | None = None
    normalize: bool | None = None
    download: bool = False

    def __post_init__(self) -> None:
        """Check every number."""
        check_count("split_seed", self.split_seed, least=0)
        if self.samples is not None:
            check_count("samples", self.samples, least=2)


@dataclass(frozen=True)
class TrainerConfig:
    """How a training is carried out; nothing here changes its result.

    Args:
        checkpoint_every: Epochs between two checkpoints that are kept, at least 1. The last
            epoch's is kept too.
        validation_samples: Size of a random subset of the validation samples, stratified by class;
            by default all. (``ReduceLROnPlateau`` alone makes weights depend on them.)
        device: Where to compute, such as cpu, cuda or mps; by default a GPU if there is one.
        num_workers: Processes that prepare batches; 0 prepares them in the main process.
        loggers: Classes of ``lightning.pytorch.loggers`` with their options, such as
            ``{"WandbLogger": {"project": "mine"}}``. A table of all epochs, ``metrics.csv``, is
            written in any case.
        progress: Show progress on standard error.

    Raises:
        SettingError: For a number outside these bounds.

    Example:
        >>> TrainerConfig(loggers={"CSVLogger": None}).checkpoint_every
        1
    """

    checkpoint_every: int = 1
    validation_samples: int | None = None
    device: str | None = None
    num_workers: int = 0
    loggers: Mapping[str, Options | None] = field(
        default_factory=lambda: {"TensorBoardLogger": None}
    )
    progress: bool = True

    def __post_init__(self) -> None:
        """Check every field."""
        check_count("checkpoint_every", self.checkpoint_every)
        check_count("num_workers", self.num_workers, least=0)
        check_options("loggers", self.loggers)
        if self.validation_samples is not None:
            check_count("validation_samples", self.validation_samples, least=2)


def training_attack(
    name: str, epsilon: float | int | str, **settings: float | int | str | None
) -> Attack:
    """Return an attack for training, which takes fewer steps unless it is told otherwise.

    Args:
        name: One of ``settings.attacks.ATTACKS``.
        epsilon: Magnitude in input units.
        settings: Other fields of the attack, such as ``steps``; None keeps the default.

    Raises:
        SettingError: For an unknown name, or a value that cannot be used.

    Example:
        >>> training_attack("pgd", "8/255", steps=5).step_size
        0.5
    """
    return make_attack(name, epsilon, training=True, **settings)


def check_count(what: str, value: int, *, least: int = 1) -> None:
    """Refuse anything but a whole number of at least ``least``.

    Raises:
        SettingError: With the name of the setting.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(
            f"Expected `{what}` to be a whole number of at least {least}, got {value}."
        )


def check_mapping(what: str, value: object) -> None:
    """Refuse anything but a mapping of texts to values.

    Raises:
        SettingError: With the name of the setting.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SettingError(f"Expected `{what}` to be a mapping of names to values, got {value!r}.")


def check_options(what: str, value: object) -> None:
    """Refuse anything but a mapping of names to their options, or to None for no options.

    Raises:
        SettingError: With the name of the setting, and of the entry that is no mapping.
    """
    check_mapping(what, value)
    for name, options in value.items() if isinstance(value, Mapping) else ():
        if options is not None:
            check_mapping(f"{what}.{name}", options)
