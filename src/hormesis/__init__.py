"""Tells which parameters of a trained neural network are fragile, robust or antifragile.

The names below are all there is to know. They are imported when they are first used, so that
reading a study needs no torch.
"""

from importlib import import_module

from hormesis.results.display import register_display

TYPE_CHECKING = False  # as checkers of types know it; `typing` takes a while to import
if TYPE_CHECKING:
    from hormesis import rl
    from hormesis.data import corruptions
    from hormesis.data.datasets import load_data
    from hormesis.data.evaluation import Evaluation
    from hormesis.data.samples import Samples, samples_from
    from hormesis.errors import HormesisError
    from hormesis.language.embeddings import perturbed_embeddings
    from hormesis.language.harness import lm_eval
    from hormesis.language.loading import load_language_model
    from hormesis.language.models import LanguageModel
    from hormesis.language.nearest_tokens import nearest_tokens
    from hormesis.language.tasks import LanguageTask, language_task
    from hormesis.language.texts import Texts, load_texts
    from hormesis.measure.apply import apply
    from hormesis.measure.epochs import CheckpointSelection, analyze_epochs
    from hormesis.measure.epsilons import analyze_epsilons
    from hormesis.measure.pipeline import analyze
    from hormesis.measure.zoom import zoom
    from hormesis.models.networks import build_model
    from hormesis.models.normalization import normalized
    from hormesis.report.html.index_page import write_index
    from hormesis.report.html.page import write_report
    from hormesis.results.applied import Applied, load_applied
    from hormesis.results.bits import bits_per_layer
    from hormesis.results.comparison import Comparison, compare
    from hormesis.results.masks import masks_per_layer
    from hormesis.results.ratios import ratios_per_layer
    from hormesis.results.retraining import Retraining, load_retraining
    from hormesis.results.series import StudySeries, load_series
    from hormesis.results.study import Study, load_study
    from hormesis.results.training_run import TrainingRun, load_run
    from hormesis.results.zoom import Zoom
    from hormesis.settings.apply import Proof, Robust, Sparse
    from hormesis.settings.attacks import FGSM, PGD
    from hormesis.settings.confirmation import Confirmation
    from hormesis.settings.custom_attack import CustomAttack
    from hormesis.settings.execution import Execution
    from hormesis.settings.replacement import Replacement
    from hormesis.settings.scoring import Scoring
    from hormesis.settings.sweep import Sweep
    from hormesis.settings.targets import Targets, part
    from hormesis.stress import losses, metrics, replacements
    from hormesis.stress.losses import Loss
    from hormesis.stress.metric import Metric
    from hormesis.stress.structure import parts_of
    from hormesis.training.callback import SelectiveTraining
    from hormesis.training.config import DataConfig, Recipe, TrainerConfig
    from hormesis.training.controls import retrain_with_controls
    from hormesis.training.controls_config import Controls, EvaluationConfig
    from hormesis.training.freeze import freeze
    from hormesis.training.freezing import Freezing
    from hormesis.training.retrain import retrain
    from hormesis.training.selection import Selection
    from hormesis.training.source_lookup import SourceNetwork
    from hormesis.training.train import train

_HOMES = {
    "analyze": "measure.pipeline",
    "apply": "measure.apply",
    "Applied": "results.applied",
    "load_applied": "results.applied",
    "Proof": "settings.apply",
    "Robust": "settings.apply",
    "Sparse": "settings.apply",
    "analyze_epochs": "measure.epochs",
    "analyze_epsilons": "measure.epsilons",
    "CheckpointSelection": "measure.epochs",
    "bits_per_layer": "results.bits",
    "masks_per_layer": "results.masks",
    "ratios_per_layer": "results.ratios",
    "Comparison": "results.comparison",
    "Confirmation": "settings.confirmation",
    "compare": "results.comparison",
    "HormesisError": "errors",
    "corruptions": "data.corruptions:*",
    "load_data": "data.datasets",
    "build_model": "models.networks",
    "nearest_tokens": "language.nearest_tokens",
    "perturbed_embeddings": "language.embeddings",
    "normalized": "models.normalization",
    "Evaluation": "data.evaluation",
    "LanguageModel": "language.models",
    "LanguageTask": "language.tasks",
    "language_task": "language.tasks",
    "lm_eval": "language.harness",
    "load_language_model": "language.loading",
    "load_texts": "language.texts",
    "Texts": "language.texts",
    "Samples": "data.samples",
    "samples_from": "data.samples",
    "Execution": "settings.execution",
    "Scoring": "settings.scoring",
    "Sweep": "settings.sweep",
    "Targets": "settings.targets",
    "part": "settings.targets",
    "parts_of": "stress.structure",
    "FGSM": "settings.attacks",
    "PGD": "settings.attacks",
    "CustomAttack": "settings.custom_attack",
    "Loss": "stress.losses",
    "losses": "stress.losses:*",
    "Metric": "stress.metric",
    "metrics": "stress.metrics:*",
    "Replacement": "settings.replacement",
    "replacements": "stress.replacements:*",
    "Study": "results.study",
    "StudySeries": "results.series",
    "load_series": "results.series",
    "load_study": "results.study",
    "DataConfig": "training.config",
    "Recipe": "training.config",
    "TrainerConfig": "training.config",
    "TrainingRun": "results.training_run",
    "load_run": "results.training_run",
    "train": "training.train",
    "Controls": "training.controls_config",
    "retrain_with_controls": "training.controls",
    "EvaluationConfig": "training.controls_config",
    "SourceNetwork": "training.source_lookup",
    "retrain": "training.retrain",
    "Selection": "training.selection",
    "SelectiveTraining": "training.callback",
    "Freezing": "training.freezing",
    "freeze": "training.freeze",
    "rl": "rl:*",
    "Retraining": "results.retraining",
    "load_retraining": "results.retraining",
    "write_index": "report.html.index_page",
    "write_report": "report.html.page",
    "Zoom": "results.zoom",
    "zoom": "measure.zoom",
}

__all__ = [
    "FGSM",
    "PGD",
    "Applied",
    "CheckpointSelection",
    "Comparison",
    "Confirmation",
    "Controls",
    "CustomAttack",
    "DataConfig",
    "Evaluation",
    "EvaluationConfig",
    "Execution",
    "Freezing",
    "HormesisError",
    "LanguageModel",
    "LanguageTask",
    "Loss",
    "Metric",
    "Proof",
    "Recipe",
    "Replacement",
    "Retraining",
    "Robust",
    "Samples",
    "Scoring",
    "Selection",
    "SelectiveTraining",
    "SourceNetwork",
    "Sparse",
    "Study",
    "StudySeries",
    "Sweep",
    "Targets",
    "Texts",
    "TrainerConfig",
    "TrainingRun",
    "Zoom",
    "analyze",
    "analyze_epochs",
    "analyze_epsilons",
    "apply",
    "bits_per_layer",
    "build_model",
    "compare",
    "corruptions",
    "freeze",
    "language_task",
    "lm_eval",
    "load_applied",
    "load_data",
    "load_language_model",
    "load_retraining",
    "load_run",
    "load_series",
    "load_study",
    "load_texts",
    "losses",
    "masks_per_layer",
    "metrics",
    "nearest_tokens",
    "normalized",
    "part",
    "parts_of",
    "perturbed_embeddings",
    "ratios_per_layer",
    "replacements",
    "retrain",
    "retrain_with_controls",
    "rl",
    "samples_from",
    "train",
    "write_index",
    "write_report",
    "zoom",
]


def _register(display: str, module: str, maker: str) -> None:
    """Register what shows a result, imported when it is first asked for."""
    register_display(
        display, lambda result: getattr(import_module(f"{__name__}.{module}"), maker)(result)
    )


_register("study.plot", "report.plots.accessor", "StudyPlots")
_register("series.plot", "report.plots.accessor", "SeriesPlots")
_register("study.html", "report.html.notebook", "study_html")
_register("series.html", "report.html.notebook", "series_html")
_register("applied.plot", "report.plots.applied", "applied_picture")
_register("applied.html", "report.html.applied", "applied_html")


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, attribute = _HOMES[name].partition(":")
    value = import_module(f"{__name__}.{home}")
    if attribute != "*":
        value = getattr(value, attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
