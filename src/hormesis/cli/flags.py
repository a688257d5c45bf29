"""The flags of the command line, which are also the keys of its configuration file."""

from argparse import HelpFormatter

from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ArgumentParser,
    Namespace,
)

from hormesis.cli.config_security import MODE
from hormesis.cli.confirmation_flags import add_confirmation
from hormesis.cli.epoch_flags import add_epochs
from hormesis.cli.live_flags import add_live
from hormesis.cli.run_flags import add_normalize, add_run
from hormesis.errors import SettingError
from hormesis.settings.choices import (
    BASES,
    DEFAULT_FILTERS,
    DEFAULT_KINDS,
    FILTERS,
    INTERVALS,
    KINDS,
    MULTIPLICITIES,
    PRECISIONS,
    REFERENCES,
    STEMS,
    USUAL_DRAWS,
)
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

PAIRS = ("bounds", "span")
STEP_SIZE = {
    "type": float | None,
    "metavar": "X",
    "help": "size of a step of pgd as a share of epsilon (default: 2.5 divided by the steps)",
}


def make_parser(description: str, *, usage: str) -> ArgumentParser:
    """Return an empty parser that raises its errors and leaves the words of its help to us."""
    return ArgumentParser(
        prog="hormesis",
        usage=usage,
        description=description,
        formatter_class=HelpFormatter,
        exit_on_error=False,
        parser_mode=MODE,
    )


def add_allow_code(parser: ArgumentParser) -> None:
    """Add ``--allow-code``."""
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="run what a file names as module:factory: a configuration, or the manifest of --run",
    )


def analyze_parser() -> ArgumentParser:
    """Return the parser of ``hormesis analyze``."""
    parser = make_parser(
        "Measure a network at every threshold of the filters, and score its parameters. Without "
        "any option: a ResNet-18, trained on the embedded digits on the spot.",
        usage="hormesis analyze [--config FILE] [options]",
    )
    add = parser.add_argument
    add(
        "--config",
        action=ActionConfigFile,
        metavar="FILE",
        help="YAML file of these settings, as --print_config prints it; flags after it win",
    )
    _add_inputs(parser)
    add_epochs(parser)
    _add_adversary(parser)
    _add_targets(parser)
    _add_sweep(parser)
    _add_measurement(parser)
    add_scoring(parser)
    add_confirmation(parser)
    add_run(parser)
    add_live(parser, "--live")
    add_allow_code(parser)
    return parser


def _add_inputs(parser: ArgumentParser) -> None:
    default = ModelAndData()
    add = parser.add_argument_group("network and data").add_argument
    add(
        "--model",
        type=str,
        metavar="NAME",
        default=default.model,
        help="torchvision name, timm:NAME or module:factory (default: %(default)s)",
    )
    add(
        "--stem",
        type=str,
        metavar="KIND",
        default=default.stem,
        help=f"first layer, {_either(STEMS)} for images of some 32x32 pixels "
        "(default: %(default)s)",
    )
    add(
        "--weights",
        type=str | None,
        metavar="FILE",
        help="checkpoint (.safetensors, .pt, .pth, .ckpt), or 'random' for an untrained network "
        "(default: train on the digits)",
    )
    add(
        "--data",
        type=str,
        metavar="NAME",
        default=default.data,
        help="digits, mnist, fashion-mnist, cifar10, tiny-imagenet, a folder with one folder of "
        "images a class, or module:factory (default: %(default)s)",
    )
    add("--data-root", type=str | None, metavar="DIR", help="folder of the named data sets")
    add("--download", action="store_true", help="fetch a named data set that is not there")
    add(
        "--samples",
        type=int | None,
        metavar="N",
        help="draw so many samples, every class in its share (default: all)",
    )
    add(
        "--bounds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of the inputs of module:factory data (default: 0 1)",
    )
    add_normalize(add, default.normalize)
    for name, said in (("mean", "subtract"), ("std", "divide by")):
        add(
            f"--{name}",
            type=float,
            nargs="+",
            metavar="X",
            help=f"{said} these numbers, one a channel, in front of the network",
        )
    add("--device", type=str | None, help="cpu, cuda or mps (default: a GPU if there is one)")


def _add_adversary(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("adversary").add_argument
    add("--attack", type=str, metavar="NAME", default="fgsm", help="fgsm or pgd (default: fgsm)")
    add(
        "--epsilon",
        type=float | str,
        default="auto",
        help="magnitude in input units, such as 8/255 or 0.03; 'auto' takes the one "
        "half-way between clean accuracy and guessing (default: %(default)s)",
    )
    add("--steps", type=int | None, metavar="N", help="steps of pgd (default: 40)")
    add("--step-size", **STEP_SIZE)
    add(
        "--adversary",
        type=str,
        metavar="KIND",
        default=Sweep().adversary,
        help="fixed attacks the unfiltered network once, adaptive every filtered one anew "
        "(default: %(default)s)",
    )


def _add_targets(parser: ArgumentParser) -> None:
    default = Targets()
    add = parser.add_argument_group("targets").add_argument
    many = {"type": str, "nargs": "*", "metavar": "NAME"}
    add("--include", **many, default=[], help="names to filter, with * and ? (default: all)")
    add("--exclude", **many, default=[], help="names to leave out, with * and ? (default: none)")
    add(
        "--kinds",
        type=str,
        nargs="*",
        metavar="KIND",
        help=f"some of {', '.join(KINDS)} (default: {' '.join(DEFAULT_KINDS)})",
    )
    add(
        "--scope",
        type=str,
        default=default.scope,
        help="local filters each target alone, global all at once (default: %(default)s)",
    )
    add(
        "--per",
        type=str,
        metavar="UNIT",
        default=default.per,
        help="filter whole tensors, or each output channel: tensor or channel "
        "(default: %(default)s)",
    )


def _add_sweep(parser: ArgumentParser) -> None:
    default = Sweep()
    add = parser.add_argument_group("sweep").add_argument
    add(
        "--filters",
        type=str,
        nargs="+",
        default=list(DEFAULT_FILTERS),
        metavar="NAME",
        help=f"some of {', '.join(FILTERS)} (default: {' '.join(DEFAULT_FILTERS)})",
    )
    add(
        "--thresholds",
        type=int,
        default=default.thresholds,
        metavar="N",
        help="thresholds of each filter, at least 2 (default: %(default)s)",
    )
    add(
        "--by",
        type=str,
        metavar="VALUES",
        default=default.by,
        help="filter the weights as they are, or by absolute value: signed or magnitude "
        "(default: %(default)s)",
    )
    low, high = default.span or (-1.0, 1.0)
    add(
        "--span",
        type=float,
        nargs=2,
        default=[low, high],
        metavar=("LOW", "HIGH"),
        help=f"range of the thresholds of a global analysis (default: {low:g} {high:g})",
    )
    add("--own-span", action="store_true", help="take the network's own range instead of --span")
    add(
        "--control",
        type=bool | int,
        nargs="?",
        const=USUAL_DRAWS,
        metavar="DRAWS",
        default=Sweep().control,
        help="also remove as many values at random, in so many draws "
        f"(default: none; without a number: {USUAL_DRAWS})",
    )


def _add_measurement(parser: ArgumentParser) -> None:
    default = Sweep()
    add = parser.add_argument_group("measurement").add_argument
    add(
        "--until",
        type=str | None,
        metavar="AIM",
        help="stop when every class is certain: 'certain'; or every interval narrow: 0.01 for "
        "±0.01 (default: measure all samples)",
    )
    add(
        "--metric",
        type=str,
        metavar="NAME",
        default="accuracy",
        help="accuracy, top5, loss or module:function (default: %(default)s)",
    )
    add(
        "--precision",
        type=str,
        metavar="NAME",
        default=default.precision,
        help=f"{_either(PRECISIONS)}, which is inexact and on some devices faster "
        "(default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help="seed of everything that is drawn at random (default: %(default)s)",
    )


def add_scoring(parser: ArgumentParser, *, of_study: bool = False) -> None:
    """Add the flags of ``Scoring``.

    Args:
        parser: What gets them.
        of_study: Leave their defaults to the study that is opened.
    """
    default = None if of_study else Scoring()
    shown = "as in the study" if of_study else "%(default)s"
    add = parser.add_argument_group("scoring").add_argument
    add(
        "--base",
        type=str | None,
        default=default and default.base,
        help="divide by the unfiltered network's performance, or by the first response: "
        f"{_either(BASES)} (default: {shown})",
    )
    add(
        "--reference",
        type=str | None,
        metavar="CURVE",
        default=default and default.reference,
        help="compare with the unfiltered network, with the share of values kept, or with the "
        f"removal of as many at random: {_either(REFERENCES)} (default: {shown})",
    )
    add(
        "--tolerance",
        type=float | None,
        metavar="X",
        default=default and default.tolerance,
        help=f"half-width of the band that is called robust (default: {shown})",
    )
    _add_intervals(parser, default, shown)


def _add_intervals(parser: ArgumentParser, default: Scoring | None, shown: str) -> None:
    """Add the flags of ``Scoring`` that say how sure scores are, and what they count from."""
    add = parser.add_argument_group("certainty").add_argument
    add(
        "--interval",
        type=str | None,
        metavar="METHOD",
        default=default and default.interval,
        help=f"confidence intervals: {_either(INTERVALS)} over samples (default: {shown})",
    )
    add(
        "--level",
        type=float | None,
        metavar="X",
        default=default and default.level,
        help=f"confidence level of the intervals (default: {shown})",
    )
    add(
        "--multiplicity",
        type=str | None,
        metavar="METHOD",
        default=default and default.multiplicity,
        help="what makes a class certain among many targets: "
        f"{_either(MULTIPLICITIES)} (default: {shown})",
    )
    add(
        "--chance-corrected",
        type=bool | None,
        nargs="?",
        const=True,
        metavar="BOOL",
        default=default and default.chance_corrected,
        help=f"count performances from that of guessing (default: {shown})",
    )
    add(
        "--population",
        type=str | None,
        metavar="KIND",
        default=default and default.population,
        help="what intervals are about: infinite, other samples like these, or finite, all samples "
        f"of the study, of which some were measured (default: {shown})",
    )


def check_given(given: Namespace, parser: ArgumentParser | None = None) -> None:
    """Refuse values that a configuration file can hold although no flag can.

    Args:
        given: The settings of a command.
        parser: The parser of that command; by default ``hormesis analyze``'s.

    Raises:
        SettingError: For a setting without a value that needs one, or a value of another type.
    """
    for key, default in (parser or analyze_parser()).get_defaults().items():
        value = given[key]
        if value is None and default is not None:
            raise SettingError(
                f"Expected `{key}` to have a value; leave the line out for the default, "
                f"{_spelled(default)}."
            )
        if key in PAIRS and value is not None and len(value) != 2:
            raise SettingError(f"Expected `{key}` to be two numbers, got {_spelled(value)}.")
        counts = key == "control" and type(value) is int
        if isinstance(default, bool) and not isinstance(value, bool) and not counts:
            raise SettingError(f"Expected `{key}` to be true or false, got {value!r}.")


def _spelled(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
