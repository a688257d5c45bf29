"""Tells which parameters of a trained neural network are fragile, robust or antifragile.

The names below are all there is to know. They are imported when they are first used, so that
reading a study needs no torch.
"""

from importlib import import_module

TYPE_CHECKING = False  # as checkers of types know it; `typing` takes a while to import
if TYPE_CHECKING:
    from hormesis.comparison import Comparison, compare
    from hormesis.confirmation import Confirmation
    from hormesis.epochs import Trained, analyze_epochs
    from hormesis.errors import HormesisError
    from hormesis.inputs.data import load_data
    from hormesis.inputs.models import build_model
    from hormesis.inputs.normalize import normalized
    from hormesis.inputs.samples import Samples, samples_from
    from hormesis.pipeline import analyze
    from hormesis.report.page import write_report
    from hormesis.retraining import Retraining, open_retraining
    from hormesis.settings import Run, Scoring, Sweep, Targets
    from hormesis.stress.adversaries import FGSM, PGD
    from hormesis.stress.performance import Performance
    from hormesis.studies import Studies, open_study
    from hormesis.study import Study
    from hormesis.training.controls import Controls, retrain_with_controls
    from hormesis.training.evaluate import Trial
    from hormesis.training.freezing import Freezing
    from hormesis.training.loops import freeze
    from hormesis.training.origin import Origin
    from hormesis.training.recipe import Corpus, Recipe, Session
    from hormesis.training.retrain import retrain
    from hormesis.training.runs import TrainingRun, open_run
    from hormesis.training.selection import Selection
    from hormesis.training.selective import SelectiveTraining
    from hormesis.training.train import train

_HOMES = {
    "analyze": "pipeline",
    "analyze_epochs": "epochs",
    "Trained": "epochs",
    "Comparison": "comparison",
    "Confirmation": "confirmation",
    "compare": "comparison",
    "HormesisError": "errors",
    "load_data": "inputs.data",
    "build_model": "inputs.models",
    "normalized": "inputs.normalize",
    "Samples": "inputs.samples",
    "samples_from": "inputs.samples",
    "Run": "settings",
    "Scoring": "settings",
    "Sweep": "settings",
    "Targets": "settings",
    "FGSM": "stress.adversaries",
    "PGD": "stress.adversaries",
    "Performance": "stress.performance",
    "Study": "study",
    "Studies": "studies",
    "open_study": "studies",
    "Corpus": "training.recipe",
    "Recipe": "training.recipe",
    "Session": "training.recipe",
    "TrainingRun": "training.runs",
    "open_run": "training.runs",
    "train": "training.train",
    "Controls": "training.controls",
    "retrain_with_controls": "training.controls",
    "Trial": "training.evaluate",
    "Origin": "training.origin",
    "retrain": "training.retrain",
    "Selection": "training.selection",
    "SelectiveTraining": "training.selective",
    "Freezing": "training.freezing",
    "freeze": "training.loops",
    "Retraining": "retraining",
    "open_retraining": "retraining",
    "write_report": "report.page",
}

__all__ = [
    "FGSM",
    "PGD",
    "Comparison",
    "Confirmation",
    "Controls",
    "Corpus",
    "Freezing",
    "HormesisError",
    "Origin",
    "Performance",
    "Recipe",
    "Retraining",
    "Run",
    "Samples",
    "Scoring",
    "Selection",
    "SelectiveTraining",
    "Session",
    "Studies",
    "Study",
    "Sweep",
    "Targets",
    "Trained",
    "TrainingRun",
    "Trial",
    "analyze",
    "analyze_epochs",
    "build_model",
    "compare",
    "freeze",
    "load_data",
    "normalized",
    "open_retraining",
    "open_run",
    "open_study",
    "retrain",
    "retrain_with_controls",
    "samples_from",
    "train",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
