"""Any task of lm-evaluation-harness as an evaluation, document by document."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from copy import copy
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from hormesis.data.evaluation import Evaluation
from hormesis.errors import (
    DataError,
    HormesisError,
    MissingExtraError,
    SettingError,
    quoted,
    unknown,
)
from hormesis.language.quiet import quiet

Scores = Float[np.ndarray, " documents"]
_BINARY = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")


def lm_eval(
    task: Any,  # noqa: ANN401  (a name, a file, a mapping, or one of the harness's objects)
    tokenizer: Any,  # noqa: ANN401
    *,
    metric: str | None = None,
    samples: int | None = None,
    stressed: Any = None,  # noqa: ANN401
    batch_size: int = 16,
) -> Evaluation:
    """Return a task of lm-evaluation-harness as an evaluation: a document is a sample.

    Requests, the model around the network, filters and scores are the harness's own, so that the
    mean over all documents of a task is the figure that it reports.

    Args:
        task: The name of a task, whose data have to be in the local cache of ``datasets``; a file
            of YAML; a mapping as such a file holds, or of a name and what to change, such as
            ``{"task": "piqa", "num_fewshot": 5}``; or a task that the harness made.
        tokenizer: The tokenizer of the networks that are measured.
        metric: One of the task's metrics that is one number a document; by default its first.
        samples: How many documents are measured, the first ones; by default all.
        stressed: A task with a stressed version of each document, in the same order.
        batch_size: Requests that run at a time.

    Raises:
        MissingExtraError: If ``lm_eval`` is not installed.
        DataError: If a task cannot be loaded, or the two do not fit.
        SettingError: For a metric that the task does not have, or that is not one number a
            document.

    Example:
        >>> evaluation = lm_eval("piqa", tokenizer, samples=200)  # doctest: +SKIP
        >>> study = analyze(network, evaluation)  # doctest: +SKIP
    """
    if batch_size < 1:
        raise SettingError(f"Expected `batch_size` to be at least 1, got {batch_size}.")
    clean = _load(task)
    name, higher_is_better = _metric(clean, metric)
    count = _count(clean, samples)
    runs = [HarnessTask(clean, tokenizer, name, count, batch_size)]
    if stressed is not None:
        second = _load(stressed)
        _metric(second, name)
        if len(second.eval_docs) != len(clean.eval_docs):
            raise DataError(
                f"Expected as many documents in the stressed task as in the other, "
                f"{len(clean.eval_docs)}, got {len(second.eval_docs)}."
            )
        runs.append(HarnessTask(second, tokenizer, name, count, batch_size))
    return Evaluation(
        partial(_measure, runs),
        samples=count,
        stressed=stressed is not None,
        name=name,
        higher_is_better=higher_is_better,
        binary=name in _BINARY,
        identity=" ".join(run.identity() for run in runs),
    )


def _measure(
    runs: Sequence["HarnessTask"], network: nn.Module, numbers: Sequence[int], stressed: bool
) -> Scores:
    return runs[stressed].measure(network, numbers)


def _count(task: Any, samples: int | None) -> int:  # noqa: ANN401
    """Return how many documents are measured."""
    known = len(task.eval_docs)
    count = known if samples is None else samples
    if not 2 <= count <= known:
        raise SettingError(
            f"Expected `samples` from 2 to {known}, the documents there are, got {count}."
        )
    return count


class HarnessTask:
    """The first documents of a task, scored by the harness.

    Args:
        task: A task of the harness.
        tokenizer: The tokenizer.
        metric: Which of its metrics is returned.
        count: How many documents.
        batch_size: Requests that run at a time.
    """

    def __init__(
        self,
        task: Any,  # noqa: ANN401
        tokenizer: Any,  # noqa: ANN401
        metric: str,
        count: int,
        batch_size: int,
    ) -> None:
        """Make the requests of every document once."""
        self.task, self.tokenizer, self.metric = task, tokenizer, metric
        self.batch_size = batch_size
        self.documents = [task.eval_docs[number] for number in range(count)]
        with _quiet_harness(), _refusing("run"):
            self.requests = [self._requests_of(number) for number in range(count)]

    def _requests_of(self, number: int) -> list[Any]:
        """Return the requests of one document, as ``build_all_requests`` makes them."""
        task, document = self.task, self.documents[number]
        shots = task.config.num_fewshot or 0
        context = task.fewshot_context(
            document, num_fewshot=shots, gen_prefix=task.doc_to_prefix(document)
        )
        made = task.construct_requests(
            doc=document, ctx=context, metadata=(task.config.task, number, 1)
        )
        return made if isinstance(made, list) else [made]

    def measure(self, network: nn.Module, numbers: Sequence[int]) -> Scores:
        """Return the metric of some documents.

        Args:
            network: A causal language model of transformers.
            numbers: Of the documents.
        """
        asked = [[copy(one) for one in self.requests[number]] for number in numbers]
        with _quiet_harness():
            self._answer(network, [one for requests in asked for one in requests])
            values = [
                self._score(number, requests)
                for number, requests in zip(numbers, asked, strict=True)
            ]
        return np.array(values, dtype=np.float32)

    def _answer(self, network: nn.Module, requests: Sequence[Any]) -> None:
        """Note the network's answer to each request, behind the first of the task's filters."""
        from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

        make_model: Any = HFLM
        model = make_model(
            pretrained=network,
            tokenizer=self.tokenizer,
            backend="causal",
            batch_size=self.batch_size,
        )
        for kind in {request.request_type for request in requests}:
            some = [request for request in requests if request.request_type == kind]
            answers = getattr(model, kind)(some, disable_tqdm=True)
            for request, answer in zip(some, answers, strict=True):
                request.resps, request.filtered_resps = [answer], {}
        self.task._filters[0].apply(requests)

    def _score(self, number: int, requests: Sequence[Any]) -> float:
        """Return the metric of one document."""
        answers = [request.filtered_resps[self.task._filters[0].name] for request in requests]
        scores = self.task.process_results(self.documents[number], answers)
        value = scores.get(self.metric)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise DataError(
                f"The metric {self.metric!r} is not one number a document: choose another `metric`."
            )
        return float(value)

    def identity(self) -> str:
        """Return a hash of all requests, of what they are scored against, and of all tokens."""
        known = sorted(self.tokenizer.get_vocab().items())
        digest = hashlib.sha256(f"{self.metric} {known}".encode())
        for requests, document in zip(self.requests, self.documents, strict=True):
            digest.update(repr([request.args for request in requests]).encode())
            digest.update(json.dumps(document, sort_keys=True, default=str).encode())
        return digest.hexdigest()


def _load(task: Any) -> Any:  # noqa: ANN401
    """Return a task of the harness, from what names or describes it."""
    try:
        from lm_eval.api.task import Task  # pyright: ignore[reportMissingImports]
        from lm_eval.tasks import TaskManager, get_task_dict  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            "Tasks of lm-evaluation-harness need it: run `pip install hormesis[lm-eval]`."
        ) from error
    if isinstance(task, Task):
        return task
    is_file = isinstance(task, Path) or (isinstance(task, str) and task.endswith((".yaml", ".yml")))
    if not is_file and not isinstance(task, str | Mapping):
        raise SettingError(
            "Expected `task` to be the name of a task, a file of YAML, a mapping or a task of "
            f"lm-evaluation-harness, got {type(task).__name__}."
        )
    own = is_file or (isinstance(task, Mapping) and "dataset_path" in task)
    with _quiet_harness(), _refusing(f"load {str(task)[:60]!r}"):
        spec = dict(task) if isinstance(task, Mapping) else str(task)
        found = list(_tasks_in(get_task_dict([spec], TaskManager(include_defaults=not own))))
    if len(found) != 1:
        raise DataError(
            f"Expected one task of lm-evaluation-harness, got a group of {len(found)}: measure "
            "them one by one."
        )
    return found[0]


def _tasks_in(found: Mapping[Any, Any]) -> Iterator[Any]:
    for value in found.values():
        if isinstance(value, Mapping):
            yield from _tasks_in(value)
        else:
            yield value


def _metric(task: Any, metric: str | None) -> tuple[str, bool]:  # noqa: ANN401
    """Return the metric, and whether more of it is better."""
    known = {str(name): bool(better) for name, better in task.higher_is_better().items()}
    name = next(iter(known), "") if metric is None else metric
    if name not in known:
        raise SettingError(unknown("metric of the task", name, known))
    return name, known[name]


@contextmanager
def _quiet_harness() -> Iterator[None]:
    """Keep the harness and its libraries from writing on the terminal."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "evaluate")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with quiet(), redirect_stderr(StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn whatever the harness raises into a sentence."""
    try:
        yield
    except (HormesisError, MemoryError):
        raise
    except Exception as error:  # anything may come out of code that is not ours
        raise DataError(f"lm-evaluation-harness could not {what}: {quoted(error)}") from error
