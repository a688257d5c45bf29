"""The flags of the command line, which are also the keys of its configuration file."""

from dataclasses import replace

from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser, Namespace

from hormesis.settings import (
    ADVERSARIES,
    BASES,
    COMPARED,
    DEFAULT_KINDS,
    ENGINES,
    FILTERS,
    GRANULARITIES,
    KINDS,
    REFERENCES,
    SCOPES,
    Named,
    Run,
    Scoring,
    Sweep,
    Targets,
)


def analyze_parser() -> ArgumentParser:
    """Return the parser of ``hormesis analyze``."""
    parser = ArgumentParser(
        description="Measure a network at every threshold of the filters, and score its "
        "parameters. Without any option: a ResNet-18, trained on the embedded digits on the spot.",
        exit_on_error=False,
    )
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with these settings")
    _add_inputs(parser)
    _add_adversary(parser)
    _add_targets(parser)
    _add_sweep(parser)
    add_scoring(parser)
    _add_run(parser)
    return parser


def _add_inputs(parser: ArgumentParser) -> None:
    default = Named()
    group = parser.add_argument_group("network and data")
    add = group.add_argument
    add(
        "--model",
        type=str,
        default=default.model,
        help="torchvision name, timm:NAME or module:factory",
    )
    add(
        "--weights",
        type=str | None,
        metavar="FILE",
        help="checkpoint (.safetensors, .pt, .pth, .ckpt), or 'random' for an untrained network; "
        "without it a named network is trained on the digits",
    )
    add(
        "--data",
        type=str,
        default=default.data,
        help="digits, mnist, fashion-mnist, cifar10, tiny-imagenet, a folder of class folders, or "
        "module:factory",
    )
    add("--data-root", type=str | None, metavar="DIR", help="folder of the named data sets")
    add("--download", action="store_true", help="fetch a named data set that is not there")
    add("--samples", type=int | None, metavar="N", help="size of a stratified choice of samples")
    add(
        "--bounds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of the inputs of module:factory data, if not 0 to 1",
    )
    add(
        "--normalize",
        action=ActionYesNo(no_prefix="no-"),
        default=default.normalize,
        help="put a named data set's normalisation into the network",
    )
    add("--device", type=str | None, help="cpu, cuda or mps; by default a GPU if there is one")


def _add_adversary(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("adversary").add_argument
    add("--attack", type=str, default="fgsm", help="fgsm or pgd")
    add(
        "--epsilon",
        type=str,
        default="auto",
        help="magnitude in input units, such as 8/255 or 0.03; 'auto' takes the one that halves "
        "the accuracy",
    )
    add("--steps", type=int | None, metavar="N", help="steps of pgd (default: 40)")
    add(
        "--adversary",
        type=str,
        default="fixed",
        help=f"attack the unfiltered network once, or every filtered one: {_either(ADVERSARIES)}",
    )


def _add_targets(parser: ArgumentParser) -> None:
    default = Targets()
    add = parser.add_argument_group("targets").add_argument
    many = {"type": str, "nargs": "*"}
    add("--include", **many, default=[], metavar="NAME", help="names to filter, with * and ?")
    add("--exclude", **many, default=[], metavar="NAME", help="names to leave out, with * and ?")
    add(
        "--kinds",
        **many,
        metavar="KIND",
        help=f"some of {', '.join(KINDS)} (default: {', '.join(DEFAULT_KINDS)})",
    )
    add(
        "--scope",
        type=str,
        default=default.scope,
        help=f"each target alone or all at once: {_either(SCOPES)}",
    )
    add("--per", type=str, default=default.per, help=f"what a target is: {_either(GRANULARITIES)}")


def _add_sweep(parser: ArgumentParser) -> None:
    default = Sweep()
    add = parser.add_argument_group("sweep").add_argument
    add("--filters", type=str, nargs="+", default=list(FILTERS), metavar="NAME", help="which")
    add("--thresholds", type=int, default=default.thresholds, metavar="N", help="at least 2")
    add(
        "--compare",
        type=str,
        default=default.compare,
        help=f"what is compared with the threshold: {_either(COMPARED)}",
    )
    add(
        "--span",
        type=float,
        nargs=2,
        default=list(default.span or ()),
        metavar=("LOW", "HIGH"),
        help="range of the thresholds of a global analysis",
    )
    add("--own-span", action="store_true", help="take the network's own range instead of --span")
    add("--control", action="store_true", help="also remove as many values at random")
    add("--performance", type=str, default="accuracy", help="accuracy, top5, loss, module:function")
    add("--seed", type=int, default=default.seed, help="of everything that is drawn at random")


def add_scoring(parser: ArgumentParser, *, of_study: bool = False) -> None:
    """Add the flags of base, reference and tolerance.

    Args:
        parser: What gets them.
        of_study: Leave their defaults to the study that is opened.
    """
    default = None if of_study else Scoring()
    add = parser.add_argument_group("scoring").add_argument
    add(
        "--base",
        type=str | None,
        default=default and default.base,
        help=f"divide by: {_either(BASES)}",
    )
    add(
        "--reference",
        type=str | None,
        default=default and default.reference,
        help=f"what invariance would look like: {_either(REFERENCES)}",
    )
    add(
        "--tolerance",
        type=float | None,
        default=default and default.tolerance,
        help="half-width of the band that is robust",
    )


def _add_run(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("run").add_argument
    add("--out", type=str | None, metavar="DIR", help="folder of the study (default: studies/...)")
    add("--overwrite", action="store_true", help="replace a study that lies there")
    add("--engine", type=str, default=Run().engine, help=_either(ENGINES))
    add("--workers", type=int | None, metavar="N", help="blocks at a time (default: one a core)")
    add("--progress", action=ActionYesNo(no_prefix="no-"), default=True, help="show progress")


def named_from(given: Namespace) -> Named:
    """Return the network and data that were asked for by name."""
    return Named(
        model=given.model,
        weights=given.weights,
        data=given.data,
        data_root=given.data_root,
        download=given.download,
        samples=given.samples,
        bounds=None if given.bounds is None else (given.bounds[0], given.bounds[1]),
        normalize=given.normalize,
        device=given.device,
    )


def targets_from(given: Namespace) -> Targets:
    """Return which parameters are to be filtered."""
    return Targets(
        include=tuple(given.include),
        exclude=tuple(given.exclude),
        kinds=tuple(given.kinds) if given.kinds else None,
        scope=given.scope,
        per=given.per,
    )


def sweep_from(given: Namespace) -> Sweep:
    """Return how the thresholds are to sweep; the random reference brings its control."""
    return Sweep(
        filters=tuple(given.filters),
        thresholds=given.thresholds,
        compare=given.compare,
        span=None if given.own_span else (given.span[0], given.span[1]),
        adversary=given.adversary,
        control=given.control or given.reference == "random",
        seed=given.seed,
    )


def scoring_from(given: Namespace, default: Scoring = Scoring()) -> Scoring:
    """Return how responses are to become scores; what was not given is as in ``default``."""
    names = ("base", "reference", "tolerance")
    return replace(default, **{n: given[n] for n in names if given[n] is not None})


def run_from(given: Namespace) -> Run:
    """Return how the study is to be carried out."""
    return Run(
        engine=given.engine,
        workers=given.workers,
        progress=given.progress,
        overwrite=given.overwrite,
    )


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)
