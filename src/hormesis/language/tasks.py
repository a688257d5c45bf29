"""A language model and its texts as a network and samples, with the metric that goes with both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hormesis.data.embedded import ATTENTION_MASK, TOKEN_IDS
from hormesis.data.samples import Samples
from hormesis.data.text_corruptions import TextCorruption, text_corruption
from hormesis.errors import DataError, ModelError, SettingError, did_you_mean
from hormesis.language.models import CLASSIFIER, LanguageModel
from hormesis.language.multiple_choice import (
    ChoiceScorer,
    question_inputs,
    right_choices,
    tokenize_questions,
)
from hormesis.language.texts import Texts
from hormesis.language.tokens import Progress, as_inputs_of, tokenize
from hormesis.settings.network import CHOICE_SCORES
from hormesis.stress.losses import IGNORED

_CUT = "{cut} of {count} texts of {name} were cut to their first {length} tokens."


@dataclass(frozen=True, eq=False)
class LanguageTask:
    """What ``analyze`` takes: a network, samples and a metric.

    Args:
        network: The network of the model, or what scores choices with it.
        samples: The texts as tokens, with labels.
        metric: Name of the metric that goes with both.
        reason: Why it does, in a sentence.
        stressed: The stressed texts, likewise, if there are any.
        notes: What a reader has to know, in sentences.

    Example:
        >>> task = language_task(model, load_texts("my.jsonl"))  # doctest: +SKIP
        >>> task.metric  # doctest: +SKIP
        'next_token_nll'
    """

    network: nn.Module
    samples: Samples
    metric: str
    reason: str
    stressed: Samples | None = None
    notes: tuple[str, ...] = ()


def language_task(
    model: LanguageModel,
    texts: Texts,
    *,
    stressed: Texts | TextCorruption | str | None = None,
    max_length: int | None = None,
    choice_score: str = CHOICE_SCORES[0],
    progress: Progress | None = None,
) -> LanguageTask:
    """Return texts as the tokens that a language model takes, and the metric for its head.

    A classifier is measured by its accuracy, or, with a single output, by the squared error; a
    causal language model by the negative log-likelihood of a token or, with choices, by how often
    the right choice is the likeliest.

    Args:
        model: The network and its tokenizer.
        texts: The texts, with the labels that the head needs.
        stressed: Other texts, or a corruption of these such as ``"typos:2"``.
        max_length: Tokens that are kept of each text, special ones included; None keeps all, and
            refuses a text that is too long for the network.
        choice_score: ``"sum"`` for the log-likelihood of a choice; ``"characters"`` or ``"bytes"``
            to divide it by their number, as lm-evaluation-harness does for ``acc_norm`` and
            ``acc_bytes``.
        progress: Called with texts done and in all.

    Raises:
        HormesisError: One sentence on what does not fit.

    Example:
        >>> model = load_language_model("my-model")  # doctest: +SKIP
        >>> texts = load_texts("my.jsonl")  # doctest: +SKIP
        >>> task = language_task(model, texts, stressed="typos:2")  # doctest: +SKIP
        >>> study = analyze(task.network, task.samples, stressed=task.stressed,
        ...                 metric=task.metric)  # doctest: +SKIP
    """
    second = stressed_texts(texts, stressed)
    both = (texts,) if second is None else (texts, second)
    chooses = bool(texts.choices)
    _check_kind(model, both, max_length, choice_score)
    if chooses:
        parts, cuts = _questions(model, both, choice_score, progress), [0] * len(both)
    else:
        parts, cuts = _sequences(model, both, max_length, progress)
    metric, reason = _measured(model, chooses=chooses, choice_score=choice_score)
    notes = [*model.notes, *model.padding_notes]
    for one, cut in zip(both, cuts, strict=True):
        if cut:
            named = {"cut": cut, "count": len(one), "name": one.name, "length": max_length}
            notes.append(_CUT.format(**named))
    network = ChoiceScorer(model.network) if chooses else model.network
    stressed_samples = None if second is None else parts[1]
    return LanguageTask(network, parts[0], metric, reason, stressed_samples, tuple(notes))


def stressed_texts(texts: Texts, stressed: Texts | TextCorruption | str | None) -> Texts | None:
    """Return the stressed texts: others, or these, corrupted.

    Raises:
        SettingError: For a name that is no corruption of texts.
    """
    if stressed is None or isinstance(stressed, Texts):
        return stressed
    found = text_corruption(stressed) if isinstance(stressed, str) else stressed
    if not isinstance(found, TextCorruption):
        known = ("typos", "dropped_words")
        raise SettingError(
            f"Expected a corruption of texts for `stressed`, {' or '.join(known)}, or a file of "
            f"texts, got {stressed!r:.80}.{did_you_mean(str(stressed), known)}"
        )
    return texts.corrupted(found)


def _check_kind(
    model: LanguageModel, both: tuple[Texts, ...], max_length: int | None, choice_score: str
) -> None:
    """Refuse texts of another kind than the head takes."""
    if len({bool(texts.choices) for texts in both}) > 1 or len({bool(t.pairs) for t in both}) > 1:
        raise DataError(
            f"Expected the same columns in {both[1].name} as in {both[0].name}: choices, or a "
            "second text, are in one of them only."
        )
    if both[0].choices:
        if model.head == CLASSIFIER:
            raise ModelError(
                f"Expected a causal language model for texts with choices, got {model.name}, which "
                "classifies: give each text a label instead."
            )
        if max_length is not None:
            raise SettingError(
                "Expected no `max_length` for texts with choices: shorten the texts."
            )
    elif choice_score != CHOICE_SCORES[0]:
        raise SettingError(
            f"Expected texts with choices for `choice_score` {choice_score!r}, got none."
        )
    if both[0].pairs and model.head != CLASSIFIER:
        raise DataError(
            f"Expected one text a sample for the causal language model {model.name}, got two: join "
            "them."
        )


def _measured(model: LanguageModel, *, chooses: bool, choice_score: str) -> tuple[str, str]:
    """Return the metric for a head, and the sentence that says so."""
    network: Any = model.network
    kind = type(network).__name__
    if chooses:
        by = "" if choice_score == CHOICE_SCORES[0] else f", divided by its {choice_score}"
        what = f"chooses the likeliest continuation{by}"
        return "accuracy", f"The causal language model {kind} {what}: accuracy is measured."
    if model.head != CLASSIFIER:
        return "next_token_nll", (
            f"{kind} is a causal language model: the negative log-likelihood of its tokens is "
            "measured."
        )
    if network.config.num_labels == 1:
        return "mse", f"{kind} has one output, a number: the squared error is measured."
    names = ", ".join(model.class_numbers)
    known = names if len(names) <= 60 else f"{names[:60].rstrip(' ,')} ..."
    count = network.config.num_labels
    return "accuracy", f"{kind} tells {count} classes apart ({known}): accuracy is measured."


def _questions(
    model: LanguageModel, both: tuple[Texts, ...], score: str, progress: Progress | None
) -> list[Samples]:
    """Return the samples of questions, all with as many tokens and places for choices."""
    every = [tokenize_questions(model, texts, score, progress) for texts in both]
    width = max(one.width for one in every)
    most = max(one.most for one in every)
    return [
        _as_samples(texts, question_inputs(model, one, width, most), right_choices(texts), most)
        for texts, one in zip(both, every, strict=True)
    ]


def _sequences(
    model: LanguageModel, both: tuple[Texts, ...], max_length: int | None, progress: Progress | None
) -> tuple[list[Samples], list[int]]:
    """Return the samples of texts, all with as many tokens, and how many of each were cut."""
    classifies = model.head == CLASSIFIER
    least = 1 if classifies else 2  # as the first token has no prediction
    read: Callable[[Texts], Any] = partial(
        tokenize, model, max_length=max_length, least=least, progress=progress
    )
    labels = [class_labels(model, texts) if classifies else None for texts in both]
    every = [read(texts) for texts in both]
    width = max(tokens.width for tokens in every)
    samples = []
    for texts, tokens, known in zip(both, every, labels, strict=True):
        inputs = as_inputs_of(model, tokens, width)
        if known is None:
            known = inputs[TOKEN_IDS].masked_fill(inputs[ATTENTION_MASK] == 0, IGNORED)
        network: Any = model.network
        count = network.config.num_labels if classifies else 0
        samples.append(_as_samples(texts, inputs, known, count if count > 1 else 0))
    return samples, [tokens.cut for tokens in every]


def _as_samples(texts: Texts, inputs: dict[str, Tensor], labels: Tensor, classes: int) -> Samples:
    places = torch.tensor(texts.places) if texts.places else None
    return Samples(inputs, labels, None, classes, texts.name, places=places)


def class_labels(model: LanguageModel, texts: Texts) -> Tensor:
    """Return the number of the class of each text; numbers as they are for a single output.

    Args:
        model: A classifier.
        texts: With labels: names that the head knows, or numbers.

    Raises:
        DataError: If there are none, or one that the head does not know.
    """
    if not texts.labels:
        raise DataError(
            f"Expected a label for each text of {texts.name} for the classifier {model.name}, got "
            "none: name their column with `label`."
        )
    network: Any = model.network
    if getattr(network.config, "problem_type", None) == "multi_label_classification":
        raise ModelError(
            f"{model.name} gives each text several labels: pass its network to `hormesis.analyze` "
            "with its tokens, and `multilabel_accuracy` as the metric."
        )
    count = int(network.config.num_labels)
    find = partial(_number, texts) if count == 1 else partial(_class, model, texts, count)
    return torch.tensor([find(number) for number in range(len(texts))])


def _number(texts: Texts, number: int) -> float:
    try:
        return float(texts.labels[number])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Expected a number as the label of each text, got {texts.labels[number]!r:.40} in "
            f"{texts.where(number)}."
        ) from error


def _class(model: LanguageModel, texts: Texts, count: int, number: int) -> int:
    label, known = texts.labels[number], model.class_numbers
    if isinstance(label, str):
        if label in known:
            return known[label]
        label = int(label) if label.isdecimal() and label.isascii() else label
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < count:
        names = ", ".join(known)[:80]
        raise DataError(
            f"The head of {model.name} does not know the label {label!r:.40} in "
            f"{texts.where(number)}: it knows {names}, and their numbers from 0 to {count - 1}."
        )
    return label
