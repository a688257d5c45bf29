"""Multiple choice by likelihood, as lm-evaluation-harness scores it.

The score of a choice is the log-likelihood of its tokens behind those of the text, a sum. A text
and a choice have a blank between them. The harness's ``acc_norm`` divides the sum by the number of
letters of the choice, its ``acc_bytes`` by that of its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from hormesis.data.embedded import ATTENTION_MASK, TOKEN_IDS
from hormesis.errors import DataError
from hormesis.language.models import LanguageModel
from hormesis.language.quiet import quiet
from hormesis.language.texts import Texts
from hormesis.language.tokens import Progress, check_known, padded
from hormesis.settings.choices import check_choice
from hormesis.settings.network import CHOICE_SCORES

SCORED, LENGTHS = "scored", "lengths"
_BELOW = 100.0  # a place without a choice scores less than all others: exp(-100) adds nothing


class ChoiceScorer(nn.Module):
    """A causal language model that scores the choices of each question.

    Args:
        network: The causal language model; it is not copied.
    """

    def __init__(self, network: nn.Module) -> None:
        """Keep the network."""
        super().__init__()
        self.network = network
        self.training = network.training

    def get_input_embeddings(self) -> nn.Module:
        """Return the embeddings of tokens."""
        network: Any = self.network
        return network.get_input_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        scored: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Return the log-likelihood of each choice, ``[batch, choices]``, in nats.

        Args:
            input_ids: Tokens of the question and of one choice, ``[batch, choices, tokens]``.
            attention_mask: 1 at tokens, 0 at padding, of the same shape.
            scored: 1 at the tokens of the choice; nowhere for a place without a choice.
            lengths: What the sums are divided by, ``[batch, choices]``, at least 1; by default by
                nothing.
        """
        rows = input_ids.flatten(0, 1)
        logits = self.network(input_ids=rows, attention_mask=attention_mask.flatten(0, 1)).logits
        scores = logits[:, :-1].float().log_softmax(2).gather(2, rows[:, 1:, None])[..., 0]
        scores = scores.unflatten(0, (-1, input_ids.shape[1]))
        counted = scored[:, :, 1:]
        sums = (scores * counted).sum(2)
        if lengths is not None:
            sums = sums / lengths
        return torch.where(counted.any(2), sums, sums.amin(1, keepdim=True) - _BELOW)


@dataclass(frozen=True)
class Questions:
    """The tokens of questions.

    Args:
        ids: Of each question with each of its choices.
        starts: The place of the first token of each choice.
        lengths: Letters or bytes of each choice; empty for plain sums.
    """

    ids: Sequence[Sequence[Sequence[int]]]
    starts: Sequence[Sequence[int]]
    lengths: Sequence[Sequence[int]] = ()

    @property
    def width(self) -> int:
        """Tokens of the longest question with its choice."""
        return max(len(one) for rows in self.ids for one in rows)

    @property
    def most(self) -> int:
        """The largest number of choices."""
        return max(map(len, self.ids))


def tokenize_questions(
    model: LanguageModel, texts: Texts, score: str, progress: Progress | None = None
) -> Questions:
    """Return the tokens of questions with each of their choices.

    Args:
        model: A causal language model.
        texts: With choices.
        score: One of ``settings.network.CHOICE_SCORES``.
        progress: Called with questions done and in all.

    Raises:
        SettingError: For another score.
        DataError: For a question that is too long, or a choice without tokens of its own.
    """
    check_choice("choice_score", score, CHOICE_SCORES)
    ids, starts = [], []
    with quiet():
        for number in range(len(texts)):
            whole, start = _encode(model, texts, number)
            ids.append(whole)
            starts.append([start] * len(whole))
            if progress:
                progress(number + 1, len(texts))
    check_known(model, (max(map(max, rows)) for rows in ids), texts)
    lengths = ()
    if score != CHOICE_SCORES[0]:
        count = len if score == "characters" else lambda choice: len(choice.encode())
        lengths = [[count(choice) for choice in choices] for choices in texts.choices]
    return Questions(ids, starts, lengths)


def _encode(model: LanguageModel, texts: Texts, number: int) -> tuple[list[list[int]], int]:
    """Return the tokens of a question with each choice, and how many the question has alone.

    Blanks at the end of the question belong to the choices, whose tokens begin with them.
    """
    text, encode = texts.texts[number], model.tokenizer.encode
    start = len(encode(text.rstrip()))
    every = [encode(f"{text} {choice}") for choice in texts.choices[number]]
    longest = max(map(len, every))
    if min(map(len, every)) <= start or start == 0:
        raise DataError(
            f"A choice in {texts.where(number)} has no token of its own behind the text: the "
            "tokenizer joins them, or adds special tokens at the end."
        )
    if model.longest is not None and longest > model.longest:
        raise DataError(
            f"Expected at most {model.longest} tokens a question with its choice, the positions of "
            f"{model.name}, got {longest} in {texts.where(number)}: shorten it."
        )
    return every, start


def question_inputs(
    model: LanguageModel, questions: Questions, width: int, most: int
) -> dict[str, Tensor]:
    """Return the arguments of ``ChoiceScorer``.

    Args:
        model: The causal language model.
        questions: The tokens.
        width: Tokens of a row.
        most: Choices of a question; those with fewer repeat their first one, unscored.
    """
    blocks: dict[str, list[Tensor]] = {TOKEN_IDS: [], ATTENTION_MASK: [], SCORED: []}
    for rows, starts in zip(questions.ids, questions.starts, strict=True):
        absent = most - len(rows)
        full = [*rows, *[rows[0]] * absent]
        marks = [
            [0] * start + [1] * (len(one) - start) for one, start in zip(rows, starts, strict=True)
        ]
        blocks[TOKEN_IDS].append(padded(full, width, model.padding))
        blocks[ATTENTION_MASK].append(padded([[1] * len(one) for one in full], width, 0))
        blocks[SCORED].append(padded([*marks, *[[]] * absent], width, 0))
    inputs = {name: torch.stack(block) for name, block in blocks.items()}
    if questions.lengths:
        inputs[LENGTHS] = padded(questions.lengths, most, 1)
    return inputs


def right_choices(texts: Texts) -> Int[Tensor, " questions"]:
    """Return the place of the right choice of each question.

    Raises:
        DataError: For a label that is neither the place of a choice nor the choice itself.
    """
    if not texts.labels:
        raise DataError(
            "Expected a label for each question, the place of its right choice from 0, got none "
            f"in {texts.name}: name their column with `label`."
        )
    return torch.tensor([_right(texts, number) for number in range(len(texts))])


def _right(texts: Texts, number: int) -> int:
    label, choices = texts.labels[number], list(texts.choices[number])
    if isinstance(label, str) and label in choices:
        return choices.index(label)
    if isinstance(label, str) and label.isdecimal():
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(choices):
        raise DataError(
            f"Expected a label from 0 to {len(choices) - 1}, or the right choice itself, got "
            f"{label!r:.40} in {texts.where(number)}."
        )
    return label
