"""The flags of ``hormesis retrain``, which are also the keys of its configuration file."""

from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ActionYesNo,
    ArgumentParser,
)

from hormesis.cli.commands.train import add_recipe, add_session
from hormesis.cli.flags import STEP_SIZE, add_allow_code, add_scoring, make_parser
from hormesis.settings.choices import STEMS
from hormesis.training.config import PGD_STEPS, DataConfig
from hormesis.training.selection import BATCHNORMS, CLASSES, OTHERS, UNDECIDEDS, Selection


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis retrain``."""
    made = make_parser(
        "Go on training the network of a study, but only the targets of some classes; everything "
        "else is frozen, bit for bit. --controls trains and compares the usual alternatives.",
        usage="hormesis retrain [--config FILE] [options] STUDY",
    )
    made.add_argument("study", type=str, metavar="STUDY", help="folder of the study")
    made.add_argument(
        "--config",
        action=ActionConfigFile,
        metavar="FILE",
        help="YAML file of these settings, as --print_config prints it; flags after it win",
    )
    _add_selection(made)
    add_scoring(made, of_study=True)
    _add_origin(made)
    add_recipe(made)
    _add_objective(made)
    _add_controls(made)
    add_session(made)
    add_allow_code(made)
    return made


def _add_selection(made: ArgumentParser) -> None:
    default = Selection()
    add = made.add_argument_group("selection").add_argument
    add(
        "--keep",
        type=str,
        nargs="+",
        metavar="CLASS",
        default=list(default.keep),
        help=f"classes that are trained, of {', '.join(CLASSES)} (default: robust antifragile)",
    )
    for name, metavar, said in (
        ("by", "SCORE", "clean, adversarial or difference"),
        ("filter", "NAME", "whose score: combined, or a filter that was swept"),
        (
            "undecided",
            "WHAT",
            f"weights without a certain class: {', '.join(UNDECIDEDS)}; estimate takes the class "
            "by the estimate alone",
        ),
        (
            "others",
            "WHAT",
            f"biases and norms: {', '.join(OTHERS)}; follow does as the layer they belong to",
        ),
        (
            "batchnorm",
            "WHAT",
            f"running statistics behind frozen layers: {' or '.join(BATCHNORMS)} the data",
        ),
    ):
        value = getattr(default, name)
        add(
            f"--{name}", type=str, metavar=metavar, default=value, help=f"{said} (default: {value})"
        )


def _add_origin(made: ArgumentParser) -> None:
    add = made.add_argument_group("network and data").add_argument
    add(
        "--run",
        type=str | None,
        metavar="DIR",
        help="folder of the training that the study is of (default: where the study says)",
    )
    add("--weights", type=str | None, metavar="FILE", help="checkpoint of the study's network")
    add(
        "--model",
        type=str | None,
        metavar="NAME",
        help="what --weights are of (default: the study's name of it)",
    )
    add(
        "--stem",
        type=str,
        metavar="KIND",
        default="standard",
        help=f"first layer of that, {' or '.join(STEMS)} (default: %(default)s)",
    )
    add(
        "--data",
        type=str | None,
        metavar="NAME",
        help="as `hormesis train` takes it (default: the data of the study's training)",
    )
    add("--data-root", type=str | None, metavar="DIR", help="folder of the named data sets")
    add("--download", action="store_true", help="fetch a named data set that is not there")
    add("--samples", type=int | None, metavar="N", help="draw so many training samples")
    add(
        "--normalize",
        action=ActionYesNo(no_prefix="no-"),
        default=DataConfig().normalize,
        help="put the normalisation of a named data set in front of the network (default: yes for "
        "networks by name, no for module:factory; else as the study has it)",
    )


def _add_objective(made: ArgumentParser) -> None:
    add = made.add_argument_group("objective").add_argument
    add(
        "--objective",
        type=str,
        metavar="NAME",
        default="clean",
        help="train on clean samples, or against an attack: clean, fgsm, pgd (default: clean)",
    )
    add(
        "--epsilon",
        type=float | str | None,
        metavar="X",
        help="magnitude of that attack in input units, such as 8/255 or 0.03",
    )
    add("--steps", type=int | None, metavar="N", help=f"steps of pgd (default: {PGD_STEPS})")
    add("--step-size", **STEP_SIZE)


def _add_controls(made: ArgumentParser) -> None:
    add = made.add_argument_group("controls").add_argument
    add(
        "--controls",
        action="store_true",
        help="also train everything, the fragile targets, and random ones of the same size and "
        "number; try all of them under attack and compare",
    )
    add(
        "--seeds",
        type=int,
        nargs="+",
        metavar="N",
        default=[3],
        help="how many seeds for each arm, or which ones, of two or more (default: 3, as 1 2 3)",
    )
    add(
        "--epsilons",
        type=float | str,
        nargs="+",
        metavar="X",
        default=["2/255", "4/255", "8/255", "16/255"],
        help="magnitudes that networks are tried with (default: 2/255 4/255 8/255 16/255)",
    )
    add("--pgd-steps", type=int, metavar="N", default=20, help="steps of PGD (default: 20)")
    add(
        "--pgd-step-size",
        type=float | None,
        metavar="X",
        help="size of one as a share of epsilon (default: 2.5 divided by their number)",
    )
    add("--restarts", type=int, metavar="N", default=3, help="starts of PGD (default: 3)")
    add("--autoattack", action="store_true", help="try what PGD leaves with AutoAttack too")
    add(
        "--eval-samples",
        type=int | None,
        metavar="N",
        help="try so many validation samples that the study has not seen (default: all of them)",
    )
