"""The names that settings may take, and how an unknown one is refused."""

from collections.abc import Sequence

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
MOST_EPOCHS = 30_000  # of a training, whose table and checksums a record holds
POPULATIONS = ("infinite", "finite")
USUAL_DRAWS, MOST_DRAWS = 5, 1000  # of random controls; few say little about their variance


def check_choice(what: str, given: str, known: Sequence[str]) -> None:
    """Refuse ``given`` unless it is one of ``known``.

    Raises:
        SettingError: With the nearest known names.
    """
    if given not in known:
        raise SettingError(unknown(what, given, known))


def check_several(what: str, given: Sequence[str], example: str) -> None:
    """Refuse a text where several are expected: its letters would be taken one by one."""
    if isinstance(given, str):
        raise SettingError(
            f"Expected `{what}` to be a tuple such as ({example!r},), got the text {given!r}."
        )
