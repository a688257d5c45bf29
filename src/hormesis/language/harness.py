"""Any task of lm-evaluation-harness as an evaluation, document by document."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from hormesis.data.evaluation import Evaluation
from hormesis.errors import DataError, MissingExtraError, SettingError, quoted, unknown
from hormesis.language.quiet import quiet

_BATCH = 16
_BINARY = ("acc", "acc_norm", "acc_bytes", "exact_match")


def lm_eval(
    task: Any,  # noqa: ANN401  (a name, a mapping, a file, or one of the harness's objects)
    tokenizer: Any,  # noqa: ANN401
    *,
    metric: str | None = None,
    samples: int | None = None,
    num_fewshot: int | None = None,
    batch_size: int = _BATCH,
) -> Evaluation:
    """Return a task of lm-evaluation-harness as an evaluation: a document is a sample.

    Requests, the harness's model around the network, filters and scores are the harness's own, so
    that the mean over the documents of a whole task is the figure that it reports.

    Args:
        task: The name of a task, whose data have to be in the local cache of ``datasets``; a file
            of YAML, or a mapping as such a file holds; or a task as the harness makes it.
        tokenizer: The tokenizer of the networks that are measured.
        metric: One of the task's metrics that is one number a document; by default its first.
        samples: How many documents are measured, the first ones; by default all.
        num_fewshot: Examples in front of each document; by default as the task says.
        batch_size: Requests that run at a time.

    Raises:
        MissingExtraError: If ``lm_eval`` is not installed.
        DataError: If the task cannot be loaded.
        SettingError: For a metric that the task does not have, or that is not one number a
            document.

    Example:
        >>> evaluation = lm_eval("piqa", tokenizer, samples=200)  # doctest: +SKIP
        >>> study = analyze(network, evaluation)  # doctest: +SKIP
    """
    if batch_size < 1:
        raise SettingError(f"Expected `batch_size` to be at least 1, got {batch_size}.")
    loaded = _load(task, num_fewshot)
    name, higher = _metric(loaded, metric)
    documents = list(loaded.eval_docs)
    count = len(documents) if samples is None else samples
    if not 2 <= count <= len(documents):
        raise SettingError(
            f"Expected `samples` from 2 to {len(documents)}, the documents there are, got {count}."
        )
    run = HarnessTask(loaded, tokenizer, name, documents[:count], batch_size)
    return Evaluation(
        run,
        samples=count,
        name=name,
        higher_is_better=higher,
        binary=name in _BINARY,
        identity=run.identity(),
    )


class HarnessTask:
    """The function of an evaluation: the documents of a task, scored by the harness.

    Args:
        task: A task of the harness.
        tokenizer: The tokenizer.
        metric: Which of its metrics is returned.
        documents: The documents, by number.
        batch_size: Requests that run at a time.
    """

    def __init__(
        self, task: Any, tokenizer: Any, metric: str, documents: list[Any], batch_size: int  # noqa: ANN401
    ) -> None:
        """Keep them, and make the text in front of every document once."""
        self.task, self.tokenizer, self.metric = task, tokenizer, metric
        self.documents, self.batch_size = documents, batch_size
        with _quiet_harness(), _refusing("make requests of"):
            self.requests = [self._requests_of(number) for number in range(len(documents))]

    def _requests_of(self, number: int) -> list[Any]:
        """Return the requests of one document, as ``build_all_requests`` makes them."""
        task, document = self.task, self.documents[number]
        shots = task.config.num_fewshot or 0
        context = task.fewshot_context(document, num_fewshot=shots)
        made = task.construct_requests(
            doc=document, ctx=context, metadata=(task.config.task, number, 1)
        )
        return made if isinstance(made, list) else [made]

    def __call__(self, network: nn.Module, numbers: list[int], stressed: bool) -> np.ndarray:
        """Return the metric of some documents.

        Args:
            network: A causal language model of transformers.
            numbers: Of the documents.
            stressed: Unused: there is no stressed document.
        """
        asked = [request for number in numbers for request in self.requests[number]]
        with _quiet_harness():
            answers = iter(self._answers(network, asked))
        values = []
        for number in numbers:
            results = [next(answers) for _ in self.requests[number]]
            values.append(self._score(number, results))
        return np.array(values, dtype=np.float32)

    def _answers(self, network: nn.Module, asked: list[Any]) -> list[Any]:
        """Return the network's answer to each request, in their order."""
        from lm_eval.models.huggingface import HFLM

        model = HFLM(
            pretrained=network,  # pyright: ignore[reportArgumentType]
            tokenizer=self.tokenizer,
            backend="causal",
            batch_size=self.batch_size,
        )
        kinds = {request.request_type for request in asked}
        answers: dict[int, Any] = {}
        for kind in kinds:
            some = [place for place, one in enumerate(asked) if one.request_type == kind]
            given = getattr(model, kind)([asked[place] for place in some], disable_tqdm=True)
            answers.update(zip(some, given, strict=True))
        return [answers[place] for place in range(len(asked))]

    def _score(self, number: int, results: list[Any]) -> float:
        with _quiet_harness():
            filtered = self._filtered(number, results)
            scores = self.task.process_results(self.documents[number], filtered)
        return float(scores[self.metric])

    def _filtered(self, number: int, results: list[Any]) -> list[Any]:
        """Return results behind the first of the task's filters."""
        filters = getattr(self.task, "_filters", None)
        if not filters:
            return results
        answers, documents = [[one] for one in results], [self.documents[number]] * len(results)
        for step in filters[0].filters:
            answers = step().apply(answers, documents)
        return list(answers)

    def identity(self) -> str:
        """Return a hash of all requests, and of what they are scored against."""
        digest = hashlib.sha256()
        for requests, document in zip(self.requests, self.documents, strict=True):
            digest.update(repr([request.args for request in requests]).encode())
            digest.update(json.dumps(document, sort_keys=True, default=str).encode())
        return f"{self.metric} {digest.hexdigest()}"


def _load(task: Any, num_fewshot: int | None) -> Any:  # noqa: ANN401
    """Return a task of the harness, from what names or describes it."""
    try:
        from lm_eval.api.task import Task
        from lm_eval.tasks import TaskManager, get_task_dict
    except ImportError as error:
        raise MissingExtraError(
            "Tasks of lm-evaluation-harness need it: run `pip install hormesis[lm-eval]`."
        ) from error
    if not isinstance(task, Task):
        with _quiet_harness(), _refusing("load"):
            found = get_task_dict([_described(task)], TaskManager())
        leaves = list(_tasks_in(found))
        if len(leaves) != 1:
            raise DataError(
                f"Expected one task of lm-evaluation-harness, got a group of {len(leaves)}: measure "
                "them one by one."
            )
        task = leaves[0]
    if num_fewshot is not None:
        task.set_config("num_fewshot", num_fewshot)
    return task
