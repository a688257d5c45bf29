"""``hormesis retrain``: training goes on with a part of the parameters, beside its controls."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ActionYesNo,
    ArgumentParser,
    Namespace,
)

from hormesis.commands.train import EXTRAS, add_recipe, add_session, recipe_of, session_of
from hormesis.errors import MissingExtraError, SettingError
from hormesis.given import scoring_from
from hormesis.options import add_allow_code, add_scoring, check_given, make_parser
from hormesis.retraining import Retraining
from hormesis.settings import STEMS, Named, check_choice
from hormesis.training.case import Case, opened_case
from hormesis.training.recipe import PGD_STEPS, Corpus, Recipe, check_count, training_attack
from hormesis.training.runs import TrainingRun
from hormesis.training.selection import BATCHNORMS, CLASSES, OTHERS, UNDECIDEDS, Selection

OBJECTIVES = ("clean", "fgsm", "pgd")
PICTURE = "accuracy.png"


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
        default=Corpus().normalize,
        help="put a named data set's normalisation into the network (default: yes)",
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
    add("--restarts", type=int, metavar="N", default=3, help="starts of PGD (default: 3)")
    add("--autoattack", action="store_true", help="try what PGD leaves with AutoAttack too")
    add(
        "--eval-samples",
        type=int | None,
        metavar="N",
        help="try so many validation samples that the study has not seen (default: all of them)",
    )


def run(given: Namespace) -> int:
    """Retrain, print what came out, and return the exit code."""
    check_given(given, parser())
    recipe, session = _recipe(given), session_of(given)
    selection = _selection(given)
    case = opened_case(given.study, selection)  # refused, if it must be, before torch is imported
    try:
        from hormesis.training.controls import Controls, retrain_with_controls
        from hormesis.training.evaluate import Trial
        from hormesis.training.origin import Origin, training_of
        from hormesis.training.retrain import retrain
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        raise MissingExtraError(
            "Training needs Lightning: run `pip install 'hormesis[train]'`."
        ) from error
    from hormesis.report.retrained import print_retraining

    origin = Origin(
        weights=given.weights,
        model=given.model,
        stem=given.stem,
        run=given.run,
        allow_code=given.allow_code,
    )
    corpus = _corpus(given, training_of(case.study, origin))
    out = Path(given.out or Path("runs") / _name(case, given.controls))
    if given.controls:
        made = retrain_with_controls(
            case.study,
            given.data,
            out=out,
            controls=Controls(seeds=_seeds(given.seeds), trial=Trial(**_trial(given))),
            selection=selection,
            recipe=recipe,
            origin=origin,
            corpus=corpus,
            session=session,
        )
    else:
        made = retrain(
            case.study,
            given.data,
            out=out,
            selection=selection,
            recipe=recipe,
            origin=origin,
            corpus=corpus,
            session=session,
        )
    print_retraining(made, picture=_drawn(made))
    return 0


def _drawn(made: Retraining) -> Path | None:
    """Draw what the arms come to, and return where."""
    if made.accuracy is None:
        return None
    from hormesis.report.retrained_picture import draw_arms

    path = made.folder / PICTURE
    partial = made.folder / f".partial.{PICTURE}"
    draw_arms(made, partial)
    partial.replace(path)
    return path


def _selection(given: Namespace) -> Selection:
    said = [given[name] for name in ("base", "reference", "tolerance", "interval", "level")]
    changed = any(value is not None for value in (*said, given.multiplicity))
    selection = Selection(
        keep=tuple(given.keep),
        by=given.by,
        filter=given.filter,
        undecided=given.undecided,
        others=given.others,
        batchnorm=given.batchnorm,
    )
    if not changed:
        return selection
    from hormesis.studies import open_study

    return replace(selection, scoring=scoring_from(given, open_study(given.study).scoring))


def _recipe(given: Namespace) -> Recipe:
    check_choice("objective", given.objective, OBJECTIVES)
    if given.objective == "clean":
        if given.epsilon is not None or given.steps is not None:
            raise SettingError(
                "Expected an `objective`, such as pgd, for `epsilon` and `steps`; got clean."
            )
        return Recipe(**recipe_of(given))
    attack = training_attack(given.objective, given.epsilon or "auto", steps=given.steps)
    return Recipe(attack=attack, adversarial=True, **recipe_of(given))


def _corpus(given: Namespace, training: TrainingRun | None) -> Corpus | None:
    """Return which part of the data was asked for; None for that of the study's training."""
    if given.data is not None:
        made = Corpus(normalize=given.normalize)
    elif training is not None:
        from hormesis.training.origin import corpus_of

        made = corpus_of(training)
    else:
        return None
    changed = {"root": given.data_root, "samples": given.samples, "download": given.download}
    return replace(made, **{name: value for name, value in changed.items() if value})


def _seeds(given: list[int]) -> tuple[int, ...]:
    """Return the seeds that were named, or as many as were asked for.

    Example:
        >>> _seeds([3]), _seeds([5, 8])
        ((1, 2, 3), (5, 8))
    """
    if len(given) > 1:
        return tuple(given)
    check_count("seeds", given[0])
    return tuple(range(1, given[0] + 1))


def _trial(given: Namespace) -> dict[str, Any]:
    return {
        "epsilons": tuple(given.epsilons),
        "steps": given.pgd_steps,
        "restarts": given.restarts,
        "autoattack": given.autoattack,
        "samples": given.eval_samples,
    }


def _name(case: Case, controls: bool) -> str:
    """Return the name of the folder that a retraining gets unless it is given one."""
    about = case.described()["study"]
    named = Named(model=about["network"], data=about["data"])
    return named.study_name("controls" if controls else "selective")
