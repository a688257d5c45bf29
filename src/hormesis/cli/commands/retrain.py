"""``hormesis retrain``: training goes on with a part of the parameters, beside its controls."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from hormesis.cli.commands.train import needing_lightning, recipe_of, session_of
from hormesis.cli.config import scoring_flags, scoring_from
from hormesis.cli.flags import check_given
from hormesis.cli.retrain_flags import parser
from hormesis.errors import SettingError
from hormesis.settings.choices import check_choice
from hormesis.settings.network import ModelAndData
from hormesis.training.config import DataConfig, Recipe, check_count, training_attack
from hormesis.training.selection import Selection

if TYPE_CHECKING:
    from hormesis.results.retraining import Retraining
    from hormesis.results.training_run import TrainingRun
    from hormesis.training.retraining_plan import RetrainingPlan

__all__ = ["parser", "run"]

OBJECTIVES = ("clean", "fgsm", "pgd")
PICTURE = "accuracy.png"


def run(given: Namespace) -> int:
    """Retrain, print what came out, and return the exit code."""
    check_given(given, parser())
    recipe, session = _recipe(given), session_of(given)
    selection = _selection(given)

    from hormesis.training.retraining_plan import plan_retraining

    case = plan_retraining(
        given.study, selection
    )  # refused, if it must be, before torch is imported
    with needing_lightning():
        from hormesis.training.controls import Controls, retrain_with_controls
        from hormesis.training.retrain import retrain
        from hormesis.training.robustness import EvaluationConfig
        from hormesis.training.source_network import SourceNetwork, find_training
    from hormesis.cli.commands.run_text import tell_mended
    from hormesis.report.text.retraining import print_retraining

    origin = SourceNetwork(
        weights=given.weights,
        model=given.model,
        stem=given.stem,
        run=given.run,
        allow_code=given.allow_code,
    )
    corpus = _corpus(given, find_training(case.study, origin))
    out = Path(given.out or Path("runs") / _name(case, given.controls))
    if given.controls:
        made = retrain_with_controls(
            case.study,
            given.data,
            out=out,
            controls=Controls(
                seeds=_seeds(given.seeds), evaluation_config=EvaluationConfig(**_trial(given))
            ),
            selection=selection,
            recipe=recipe,
            source=origin,
            data_config=corpus,
            trainer_config=session,
        )
    else:
        made = retrain(
            case.study,
            given.data,
            out=out,
            selection=selection,
            recipe=recipe,
            source=origin,
            data_config=corpus,
            trainer_config=session,
        )
    print_retraining(made, picture=_drawn(made))
    if given.controls:
        return 0  # what was mended is among the notes
    from hormesis.results.training_run import load_run

    run = load_run(made.folder)
    return tell_mended(run.told, run.lost)


def _drawn(made: "Retraining") -> Path | None:
    """Draw what the arms come to, and return where."""
    if made.accuracy is None:
        return None
    from hormesis.report.plots.retraining import draw_arms
    from hormesis.storage.atomic import replacing
    from hormesis.training.run_folder import spelled

    path = made.folder / PICTURE
    with spelled(made.folder), replacing(path) as temporary:
        draw_arms(made, temporary)
    return path


def _selection(given: Namespace) -> Selection:
    changed = bool(scoring_flags(given))
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
    from hormesis.results.series import load_study_or_series

    return replace(
        selection, scoring=scoring_from(given, load_study_or_series(given.study).scoring)
    )


def _recipe(given: Namespace) -> Recipe:
    check_choice("objective", given.objective, OBJECTIVES)
    if given.objective == "clean":
        if any(given[name] is not None for name in ("epsilon", "steps", "step_size")):
            raise SettingError(
                "Expected an `objective`, such as pgd, for `epsilon` and `steps` or `step_size`; "
                "got clean."
            )
        return Recipe(**recipe_of(given))
    attack = training_attack(
        given.objective, given.epsilon or "auto", steps=given.steps, step_size=given.step_size
    )
    return Recipe(attack=attack, adversarial=True, **recipe_of(given))


def _corpus(given: Namespace, training: "TrainingRun | None") -> DataConfig | None:
    """Return which part of the data was asked for; None for that of the study's training."""
    if given.data is not None:
        made = DataConfig(normalize=given.normalize)
    elif training is not None:
        from hormesis.training.source_network import data_config_of

        made = data_config_of(training)
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
        "step_size": given.pgd_step_size,
        "restarts": given.restarts,
        "autoattack": given.autoattack,
        "samples": given.eval_samples,
    }


def _name(case: "RetrainingPlan", controls: bool) -> str:
    """Return the name of the folder that a retraining gets unless it is given one."""
    about = case.described()["study"]
    named = ModelAndData(model=about["network"], data=about["data"])
    return named.study_name("controls" if controls else "selective")
