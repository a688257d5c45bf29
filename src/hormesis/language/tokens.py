"""Texts as tokens: padded on the right to one length, with a mask."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.data.embedded import ATTENTION_MASK, TOKEN_IDS
from hormesis.errors import DataError, SettingError, quoted
from hormesis.language.models import LanguageModel
from hormesis.language.quiet import quiet
from hormesis.language.texts import Texts

TYPES = "token_type_ids"
_AT_A_TIME = 256  # texts
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts.

    Args:
        ids: Those of each text, special ones included.
        types: To which of two texts each belongs; empty where the network does not ask.
        cut: How many texts were cut to the longest length.
    """

    ids: Sequence[Sequence[int]]
    types: Sequence[Sequence[int]] = ()
    cut: int = 0

    @property
    def width(self) -> int:
        """The number of tokens of the longest."""
        return max(map(len, self.ids))


def tokenize(
    model: LanguageModel,
    texts: Texts,
    max_length: int | None = None,
    *,
    least: int = 1,
    progress: Progress | None = None,
) -> Tokens:
    """Return the tokens of texts, none of them longer than the network takes.

    Args:
        model: The network and its tokenizer.
        texts: The texts.
        max_length: Tokens that are kept of each text, special ones included; None keeps all.
        least: Fewest tokens that a text may have.
        progress: Called with texts done and in all.

    Raises:
        SettingError: For a length that the network does not take.
        DataError: If a text is too long or too short, naming it.
    """
    _check_length(model, max_length, pairs=bool(texts.pairs))
    ids: list[Sequence[int]] = []
    types: list[Sequence[int]] = []
    for first in range(0, len(texts), _AT_A_TIME):
        some = slice(first, first + _AT_A_TIME)
        encoded = _encode(model, texts, some)
        ids += encoded[TOKEN_IDS]
        types += encoded.get(TYPES, ())
        if progress:
            progress(len(ids), len(texts))
    cut = 0
    if max_length is not None:
        too_long = [number for number, one in enumerate(ids) if len(one) > max_length]
        cut = len(too_long)
        for number in too_long:
            encoded = _encode(model, texts, slice(number, number + 1), max_length)
            ids[number] = encoded[TOKEN_IDS][0]
            if types:
                types[number] = encoded[TYPES][0]
    _check_lengths(model, texts, ids, least)
    check_known(model, (max(one, default=0) for one in ids), texts)
    return Tokens(ids, types, cut)


def _encode(
    model: LanguageModel, texts: Texts, some: slice, max_length: int | None = None
) -> dict[str, Any]:
    asks_types = TYPES in inspect.signature(model.network.forward).parameters
    with quiet():
        try:
            encoded = model.tokenizer(
                list(texts.texts[some]),
                list(texts.pairs[some]) or None,
                padding=False,
                truncation=max_length is not None,
                max_length=max_length,
                return_token_type_ids=None if asks_types else False,
                return_attention_mask=False,
            )
        except Exception as error:  # anything may come out of code that is not ours
            raise DataError(
                f"The tokenizer of {model.name} failed on {texts.where(some.start)} or one of the "
                f"texts behind it: {quoted(error)}"
            ) from error
    return dict(encoded)


def _check_length(model: LanguageModel, max_length: int | None, *, pairs: bool) -> None:
    if max_length is None:
        return
    least = int(model.tokenizer.num_special_tokens_to_add(pairs)) + 1 + pairs
    most = model.longest
    if max_length < least or (most is not None and max_length > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise SettingError(
            f"Expected `max_length` to be {limits} tokens for {model.name}, got {max_length}."
        )


def _check_lengths(
    model: LanguageModel, texts: Texts, ids: Sequence[Sequence[int]], least: int
) -> None:
    for number, one in enumerate(ids):
        if len(one) < least:
            raise DataError(
                f"Expected at least {least} token{'s' if least > 1 else ''} a text, got {len(one)} "
                f"in {texts.where(number)}: leave it out, or join it with another."
            )
    lengths = [len(one) for one in ids]
    if model.longest is not None and max(lengths) > model.longest:
        number = lengths.index(max(lengths))
        raise DataError(
            f"Expected at most {model.longest} tokens a text, the positions of {model.name}, got "
            f"{lengths[number]} in {texts.where(number)}: `max_length` {model.longest} keeps the "
            "first of each, or split the text."
        )


def check_known(model: LanguageModel, largest: Any, texts: Texts) -> None:  # noqa: ANN401
    """Refuse tokens that the network has no embedding for.

    Args:
        model: The network.
        largest: The largest token of each text.
        texts: The texts.

    Raises:
        DataError: Naming the first text with such a token.
    """
    for number, token in enumerate(largest):
        if token >= model.rows:
            raise DataError(
                f"The tokenizer gives {texts.where(number)} the token {token}, and {model.name} "
                f"has {model.rows}: use the tokenizer that it was trained with."
            )


def padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Int[Tensor, "rows width"]:
    """Return rows of numbers, filled up on the right to one width.

    Example:
        >>> padded([[1, 2], [3]], 3, 0)
        tensor([[1, 2, 0],
                [3, 0, 0]])
    """
    filled = torch.full((len(rows), width), value)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return filled


def as_inputs_of(model: LanguageModel, tokens: Tokens, width: int) -> dict[str, Tensor]:
    """Return the arguments of the network: tokens, their mask, and types if it asks for them.

    Args:
        model: The network.
        tokens: The tokens of the texts.
        width: Tokens of a row, at least those of the longest text.
    """
    inputs = {
        TOKEN_IDS: padded(tokens.ids, width, model.padding),
        ATTENTION_MASK: padded([[1] * len(one) for one in tokens.ids], width, 0),
    }
    if tokens.types:
        inputs[TYPES] = padded(tokens.types, width, 0)
    return inputs
