"""A language model and texts by name: the folder of a model, and a file of texts."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.corruptions import KINDS
from hormesis.data.evaluation import Evaluation
from hormesis.data.samples import Samples, samples_from
from hormesis.data.text_corruptions import TextCorruption, text_corruption
from hormesis.engine.progress import SENTENCE, Report
from hormesis.errors import DataError, SettingError
from hormesis.language.loading import load_language_model
from hormesis.language.models import LanguageModel
from hormesis.language.tasks import language_task
from hormesis.language.texts import SUFFIXES, Texts, load_texts
from hormesis.measure.preparation import read_data
from hormesis.settings.attacks import PAIRED
from hormesis.settings.factory import HUGGING_FACE, call_factory, is_factory, users_code
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.stress.metrics import as_metric

_OF_OTHERS = (
    *("weights", "weights_key", "weights_ignore", "download", "data_root", "resize", "crop"),
    *("preprocess", "class_index", "normalize", "mean", "std"),
)


@dataclass(frozen=True)
class ResolvedLanguage:
    """What ``analyze_request`` takes.

    Args:
        network: The network, on the CPU.
        samples: The texts as tokens; or what a function of the user's gives.
        request: With the metric for the head, the stressed texts, and where the network is from.
    """

    network: nn.Module
    samples: Samples | Evaluation
    request: AnalysisRequest


def names_language_model(source: ModelAndData) -> bool:
    """Return whether a request names a language model, as ``hf:FOLDER``."""
    return source.model.startswith(HUGGING_FACE)


def resolve_language(
    source: ModelAndData, request: AnalysisRequest, report: Report
) -> ResolvedLanguage:
    """Return the language model and the samples that names refer to.

    Args:
        source: The names.
        request: With the names of metric and stressed data, and the seed of a choice of texts.
        report: Shows progress.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    _check_settings(source)
    metric = as_metric(request.metric)
    data = _read(source, source.data, request)
    model = load_language_model(source.model)
    request = replace(request, name=HUGGING_FACE + model.name, origin=_origin(source, model))
    if not isinstance(data, Texts):
        return ResolvedLanguage(model.network, data, replace(request, metric=metric))
    if source.samples is not None:
        data = data.draw(source.samples, request.sweep.seed)
    task = language_task(
        model,
        data,
        stressed=_stressed(source, request, data),
        max_length=source.max_length,
        choice_score=source.choice_score,
        progress=partial(report, "Reading the texts"),
    )
    # The usual metric of all other data stands for the one that the head calls for.
    usual = request.metric == AnalysisRequest.metric
    notes = (task.reason, *task.notes) if usual else task.notes
    for note in notes:
        report(note, 0, SENTENCE)
    request = replace(
        request,
        metric=as_metric(task.metric) if usual else metric,
        stressed_data=task.stressed,
        label=None,
        notes=request.notes + notes,
    )
    return ResolvedLanguage(task.network, task.samples, request)


def _check_settings(source: ModelAndData) -> None:
    """Refuse settings of other networks and data.

    Raises:
        SettingError: Naming the first.
    """
    defaults = ModelAndData()
    for name in (*_OF_OTHERS, "stem", "class_order"):
        if getattr(source, name) != getattr(defaults, name):
            raise SettingError(
                f"Expected no `{name}` for the language model {source.model}, which comes whole "
                "from its folder."
            )


def _origin(source: ModelAndData, model: LanguageModel) -> dict[str, Any]:
    """Return where a network comes from, as plain values for the manifest."""
    language = {
        "model": model.name,
        "class": type(model.network).__name__,
        "head": model.head,
        "tokenizer": type(model.tokenizer).__name__,
        "max_length": source.max_length,
        "choice_score": source.choice_score,
    }
    defaults = vars(ModelAndData())
    return {
        "language": {
            key: value for key, value in language.items() if value != defaults.get(key, "")
        }
    }


def _read(source: ModelAndData, name: str, request: AnalysisRequest) -> Any:  # noqa: ANN401
    """Return the texts of a file, or what a function of the user's gives."""
    if Path(name).suffix.lower() in SUFFIXES:
        label = None if request.label is None else str(request.label)
        return load_texts(name, text=source.text, label=label)
    if not is_factory(name):
        raise DataError(
            f"Expected `data` to be a file of texts ({', '.join(SUFFIXES)}) or `module:function` "
            f"for the language model {source.model}, got {name}."
        )
    data = call_factory(name, "data set")
    if isinstance(data, Texts | Evaluation):
        return data
    count, seed = source.samples, request.sweep.seed
    read = partial(samples_from, name=name, count=count, seed=seed, label=request.label)
    with users_code(name, "data set"):  # a dataset of the user's own decodes its items here
        return read_data(data, replace(request, bounds=source.bounds), read)


def _stressed(
    source: ModelAndData, request: AnalysisRequest, texts: Texts
) -> Texts | TextCorruption | None:
    """Return the stressed texts that a request names, of the same places if they are paired."""
    name = request.stressed_data
    if name is None:
        return None
    corruption = text_corruption(name)
    if corruption is not None:
        return corruption
    if name.partition(":")[0] in KINDS:
        raise SettingError(
            f"Expected a corruption of texts for `stressed`, typos or dropped_words, got {name!r}, "
            "which is one of images."
        )
    second = _read(source, name, request)
    if not isinstance(second, Texts):
        raise DataError(f"Expected texts for `stressed`, as for `data`, got others from {name}.")
    if request.pairing == PAIRED and texts.places and max(texts.places) < len(second):
        return second.take(texts.places)
    return second
