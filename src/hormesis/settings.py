"""What can be asked of an analysis: plain frozen values, checked when they are made.

The Python call, the command line, the configuration file and the manifest all use these.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hormesis.errors import SettingError, unknown

FILTERS = ("high_pass", "low_pass", "pulse_wave")
KINDS = (
    "convolution",
    "linear",
    "attention",
    "recurrent",
    "embedding",
    "norm",
    "bias",
    "other",
)
DEFAULT_KINDS = ("convolution", "linear", "attention")
SCOPES = ("local", "global")
GRANULARITIES = ("tensor", "channel")
COMPARED = ("signed", "magnitude")
ADVERSARIES = ("fixed", "adaptive")
PRECISIONS = ("exact", "bf16")
BASES = ("network", "first")
REFERENCES = ("base", "density", "random")
INTERVALS = ("delta", "bootstrap")
MULTIPLICITIES = ("none", "holm", "bh")
CERTAIN = "certain"
RAY = "ray"
ENGINES = ("auto", "plain", RAY)
STEMS = ("standard", "small")
MOST_THRESHOLDS = 10_000  # more would fill the memory with masks before anything is measured
UNFILTERED = -1  # in place of a row of outcomes: a cell that removes nothing has the network's own
MOST_SEED = 2**63 - 1  # what PyTorch's generators take
POPULATIONS = ("infinite", "finite")
USUAL_DRAWS, MOST_DRAWS = 5, 1000  # of random controls; few say little about their variance


def check_choice(what: str, given: str, known: Sequence[str]) -> None:
    """Refuse ``given`` unless it is one of ``known``.

    Raises:
        SettingError: With the nearest known names.
    """
    if given not in known:
        raise SettingError(unknown(what, given, known))


def _check_several(what: str, given: Sequence[str], example: str) -> None:
    """Refuse a text where several are expected: its letters would be taken one by one."""
    if isinstance(given, str):
        raise SettingError(
            f"Expected `{what}` to be a tuple such as ({example!r},), got the text {given!r}."
        )


@dataclass(frozen=True)
class Targets:
    """Which parameters are filtered.

    Args:
        include: Name patterns with ``*`` and ``?``; none means every name. Naming a parameter here
            asks for it whatever its kind, unless ``kinds`` is given too.
        exclude: Name patterns of parameters to leave out; they win over ``include``.
        kinds: Kinds of parameters (``KINDS``); by default the weights of convolutions, linear
            layers and attention, the authors' choice (METHOD, "Targets").
        scope: ``"local"`` filters each target alone; ``"global"`` filters all of them at once.
        per: ``"tensor"``, or ``"channel"`` for every output channel on its own.

    Raises:
        SettingError: For a kind, scope or granularity that is not known, or a text instead of a
            tuple of them.

    Example:
        >>> Targets(include=("layer4.*",)).scope
        'local'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None
    scope: str = "local"
    per: str = "tensor"

    def __post_init__(self) -> None:
        """Check every field."""
        _check_several("include", self.include, "layer4.*")
        _check_several("exclude", self.exclude, "layer4.*")
        _check_several("kinds", self.kinds or (), "linear")
        for kind in self.kinds or ():
            check_choice("kind of parameter", kind, KINDS)
        check_choice("scope", self.scope, SCOPES)
        check_choice("choice of `per`", self.per, GRANULARITIES)
        if self.scope == "global" and self.per == "channel":
            raise SettingError(
                "Expected `per` to be 'tensor' for a global analysis, which filters all targets at "
                "once, got 'channel'."
            )


@dataclass(frozen=True)
class Sweep:
    """How the thresholds sweep over the weights, and what is measured at each.

    Args:
        filters: Some of ``FILTERS``.
        thresholds: Number of thresholds, evenly spaced over the target's range; at least 2.
        compare: ``"signed"`` filters the weights as they are (the paper); ``"magnitude"`` compares
            their absolute values with the threshold.
        span: Range of the thresholds of a global analysis, in units of the weights; ``None`` takes
            the network's own range. The authors use -1 to 1.
        adversary: ``"fixed"`` attacks the unfiltered network once; ``"adaptive"`` attacks every
            filtered network anew.
        precision: ``"exact"`` gives the outcomes of the plain loop; ``"bf16"`` computes logits in
            bfloat16, which some devices do faster, and is inexact.
        control: Also measure the random removal of as many values at every threshold, in so many
            draws; True takes five. Intervals know nothing of the variance between draws from one.
        seed: Seed of everything drawn at random, at least 0.
        until: Stop before all samples are measured: ``"certain"``, when every class is, or a number
            such as ``0.01``, when no interval extends further than that to either side. Samples are
            then measured in a random order.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Sweep(until="±0.01").until
        0.01
        >>> Sweep(thresholds=1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `thresholds` to be at least 2, got 1.
    """

    filters: tuple[str, ...] = FILTERS
    thresholds: int = 25
    compare: str = "signed"
    span: tuple[float, float] | None = (-1.0, 1.0)
    adversary: str = "fixed"
    precision: str = "exact"
    control: bool | int = False
    seed: int = 0
    until: str | float | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _check_several("filters", self.filters, "pulse_wave")
        if not self.filters:
            raise SettingError("Expected `filters` to name at least one filter, got none.")
        for name in self.filters:
            check_choice("filter", name, FILTERS)
        if len(set(self.filters)) < len(self.filters):
            raise SettingError(f"Expected `filters` to differ, got {', '.join(self.filters)}.")
        if self.thresholds < 2:
            raise SettingError(f"Expected `thresholds` to be at least 2, got {self.thresholds}.")
        if self.thresholds > MOST_THRESHOLDS:
            raise SettingError(
                f"Expected `thresholds` to be at most {MOST_THRESHOLDS}, got {self.thresholds}."
            )
        check_choice("choice of `compare`", self.compare, COMPARED)
        if self.span is not None and not -math.inf < self.span[0] < self.span[1] < math.inf:
            raise SettingError(
                f"Expected `span` to run from low to high and to be finite, got {self.span}."
            )
        check_choice("adversary", self.adversary, ADVERSARIES)
        check_choice("precision", self.precision, PRECISIONS)
        object.__setattr__(self, "control", _draws(self.control))
        if self.seed < 0:
            raise SettingError(f"Expected `seed` to be at least 0, got {self.seed}.")
        if self.seed > MOST_SEED:
            raise SettingError(f"Expected `seed` to be at most {MOST_SEED}, got {self.seed}.")
        if self.until not in (None, CERTAIN):
            object.__setattr__(self, "until", _half_width(self.until))


def _draws(control: bool | int) -> bool | int:
    """Return how many draws of the random control, False for none, as studies have it."""
    if isinstance(control, bool):
        return USUAL_DRAWS if control else False
    if not 0 <= control <= MOST_DRAWS:
        raise SettingError(f"Expected `control` to be from 0 to {MOST_DRAWS} draws, got {control}.")
    return control or False


def _half_width(until: str | float) -> float:
    try:
        width = float(until.removeprefix("±") if isinstance(until, str) else until)
    except ValueError:
        width = math.nan
    if not 0 < width < math.inf:
        raise SettingError(
            f"Expected `until` to be 'certain' or a number above 0 such as 0.01, got {until!r}."
        )
    return width


@dataclass(frozen=True)
class Scoring:
    """How responses become scores and classes; may be changed after the measurement.

    Args:
        base: What responses are divided by: ``"network"``, the unfiltered network's performance, or
            ``"first"``, the response at the first threshold (the authors' notebooks).
        reference: What a response is compared with (METHOD, section 4): ``"base"``, the unfiltered
            network; ``"density"``, the share of values kept (the authors' notebooks), which says
            whether performance falls slower or faster than the tensor is emptied; or ``"random"``,
            the removal of as many values at random.
        tolerance: Half-width of the band around zero that is called robust, at least 0.
        interval: How confidence intervals are made: ``"delta"`` or ``"bootstrap"`` over samples.
        level: Confidence level of the intervals, above 0 and below 1.
        multiplicity: What a certain class has to stand up to: ``"none"``, each target on its own;
            ``"holm"``, a wrong one among all targets; ``"bh"``, their share among the certain ones
            (Benjamini and Hochberg).
        chance_corrected: Count performances from chance: ``(p − chance)/(p_base − chance)``.
        population: What intervals are about: ``"infinite"``, other samples like these, or
            ``"finite"``, just those of the study.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Scoring(reference="density").tolerance
        0.05
    """

    base: str = "network"
    reference: str = "base"
    tolerance: float = 0.05
    interval: str = "delta"
    level: float = 0.95
    multiplicity: str = "none"
    chance_corrected: bool = False
    population: str = "infinite"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("base", self.base, BASES)
        check_choice("reference", self.reference, REFERENCES)
        if not 0 <= self.tolerance < float("inf"):
            raise SettingError(f"Expected `tolerance` to be at least 0, got {self.tolerance}.")
        check_choice("interval", self.interval, INTERVALS)
        if not 0 < self.level < 1:
            raise SettingError(f"Expected `level` between 0 and 1, such as 0.95, got {self.level}.")
        check_choice("choice of `multiplicity`", self.multiplicity, MULTIPLICITIES)
        check_choice("population", self.population, POPULATIONS)


@dataclass(frozen=True)
class Named:
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
        >>> Named(model="resnet50", data="cifar10").study_name("fgsm")
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


@dataclass(frozen=True)
class Run:
    """How a study is carried out; nothing here changes its results.

    Args:
        engine: ``"auto"`` recomputes only what depends on the filtered parameter; ``"plain"`` runs
            the whole network for every cell, as the reference does; ``"ray"`` lets the nodes of a
            Ray cluster measure, each as ``"auto"`` does.
        workers: Shards measured at a time, one thread each; None takes one a core, and all that a
            cluster has room for.
        memory: What the process may take at most, such as ``"4GiB"``, kept by measuring fewer
            samples at a time; on a GPU, what it may take there. None takes half of what is free.
        progress: Show progress on standard error.
        overwrite: Replace a study that lies in the output folder.
        address: The Ray cluster, such as ``"auto"`` or ``"10.0.0.1:6379"``; None takes what
            ``RAY_ADDRESS`` names, or else starts Ray on this machine.
        gpus_per_task: GPUs of a cluster's task, a fraction or a whole number; None takes one if the
            network is on a GPU.
        cpus_per_task: Cores of a cluster's task, above 0; it computes with as many threads.
        extend: Folder of another study of the same network; what it has measured is taken over.

    Raises:
        SettingError: For an unknown engine, fewer than one worker, an amount of memory that cannot
            be read, or shares of a cluster that no task can have.

    Example:
        >>> Run(engine="plain", workers=1).progress
        True
    """

    engine: str = "auto"
    workers: int | None = None
    memory: str | int | None = None
    progress: bool = True
    overwrite: bool = False
    address: str | None = None
    gpus_per_task: float | int | None = None
    cpus_per_task: float | int = 1
    extend: str | Path | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("engine", self.engine, ENGINES)
        if self.engine != RAY and self.address is not None:
            raise SettingError(f"Expected engine 'ray' for an `address`, got {self.engine!r}.")
        if self.engine == RAY and self.extend is not None:
            raise SettingError(
                "Expected another `engine` than 'ray' with `extend`, which this machine reads."
            )
        _check_share("cpus_per_task", self.cpus_per_task, least=0.01)
        _check_share("gpus_per_task", self.gpus_per_task or 0, least=0)
        if self.workers is not None and self.workers < 1:
            raise SettingError(f"Expected `workers` to be at least 1, got {self.workers}.")
        if self.memory is not None:
            in_bytes(self.memory)


def _check_share(name: str, share: float | int, *, least: float | int) -> None:
    """Refuse what Ray cannot give to a task: less than nothing, or a whole and a part."""
    if not least <= share < math.inf or (share > 1 and share != int(share)):
        raise SettingError(
            f"Expected `{name}` to be a fraction of one or a whole number, got {share:g}."
        )


_UNITS = {"": 1, "B": 1} | {
    f"{letter}{kind}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for kind, base in (("B", 1000), ("iB", 1024))
}


def in_bytes(memory: str | int) -> int:
    """Return an amount of memory in bytes.

    Raises:
        SettingError: If it is not a positive number with a unit from bytes to TiB.

    Example:
        >>> in_bytes("1.5 GiB"), in_bytes("500MB"), in_bytes(4096)
        (1610612736, 500000000, 4096)
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?i?B?)", str(memory).strip())
    number, unit = found.groups() if found else ("0", "")
    if unit not in _UNITS or not float(number):
        raise SettingError(f"Expected `memory` to be an amount such as 4GiB, got {memory!r}.")
    return int(float(number) * _UNITS[unit])
