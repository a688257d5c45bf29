"""A language model: a network of transformers, its tokenizer, and what its head scores."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from hormesis.errors import ModelError
from hormesis.language.quiet import import_transformers

CLASSIFIER, CAUSAL = "sequence classification", "causal language model"
_HEADS = {
    CLASSIFIER: "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    CAUSAL: "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
}
_NO_LIMIT = 10**9  # what tokenizers without a limit have as their longest input is larger


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network of transformers with its tokenizer.

    Args:
        network: One for sequence classification, or a causal language model; in evaluation mode.
        tokenizer: Its tokenizer.
        name: What messages call it; the class of the network by default.
        notes: What a reader has to know about it, in sentences.

    Raises:
        ModelError: For another kind of network, and a tokenizer of more tokens than the network
            has.

    Example:
        >>> model = LanguageModel(network, tokenizer)  # doctest: +SKIP
        >>> model.head  # doctest: +SKIP
        'causal language model'
    """

    network: nn.Module
    tokenizer: Any
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that both fit together."""
        object.__setattr__(self, "name", self.name or type(self.network).__name__)
        config = getattr(self.network, "config", None)
        embeddings = getattr(self.network, "get_input_embeddings", lambda: None)()
        if config is None or not isinstance(getattr(embeddings, "weight", None), nn.Parameter):
            raise ModelError(
                f"Expected a network of transformers with embeddings of tokens, got {self.name}: "
                "`hormesis.analyze` takes any network and its tokens."
            )
        if not all(hasattr(self.tokenizer, name) for name in ("get_vocab", "pad_token_id")):
            raise ModelError(
                f"Expected a tokenizer of transformers for {self.name}, got "
                f"{type(self.tokenizer).__name__}."
            )
        _ = self.head
        largest = max(self.tokenizer.get_vocab().values(), default=-1)
        if largest >= self.rows:
            raise ModelError(
                f"The tokenizer and the network {self.name} have another vocabulary size: tokens "
                f"up to number {largest}, and embeddings of {self.rows}: use the tokenizer that it "
                "was trained with."
            )

    @property
    def rows(self) -> int:
        """How many tokens the network knows."""
        return int(self.network.get_input_embeddings().weight.shape[0])  # pyright: ignore

    @property
    def head(self) -> str:
        """What its outputs are.

        Raises:
            ModelError: For a head that is not supported.
        """
        names = [kind.__name__ for kind in type(self.network).__mro__]
        found = next((head for head in map(head_of, names) if head), None)
        if found is None:
            raise ModelError(unknown_head(type(self.network).__name__, self.name))
        return found

    @property
    def padding(self) -> int:
        """The token that fills short texts up: the network's, the tokenizer's, or its last one."""
        network: Any = self.network
        candidates = (
            network.config.pad_token_id,
            self.tokenizer.pad_token_id,
            self.tokenizer.eos_token_id,
        )
        return next((one for one in candidates if self._is_token(one)), 0)

    @property
    def padding_notes(self) -> tuple[str, ...]:
        """A sentence if neither network nor tokenizer have a token for padding."""
        network: Any = self.network
        own = (network.config.pad_token_id, self.tokenizer.pad_token_id)
        if any(map(self._is_token, own)):
            return ()
        return (
            f"Neither {self.name} nor its tokenizer have a token for padding: short texts were "
            f"filled up with token {self.padding}, masked.",
        )

    def _is_token(self, value: object) -> bool:
        return isinstance(value, int) and 0 <= value < self.rows

    @property
    def longest(self) -> int | None:
        """How many tokens a text may have, special ones included; None without a limit."""
        network: Any = self.network
        own = getattr(network.config, "max_position_embeddings", None)
        limits = [own if isinstance(own, int) and own > 0 else _NO_LIMIT]
        for name, module in network.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                # RoBERTa counts positions from behind the number of its padding.
                first = 0 if module.padding_idx is None else module.padding_idx + 1
                limits.append(module.num_embeddings - first)
        limits.append(int(min(self.tokenizer.model_max_length, _NO_LIMIT)))
        return min(limits) if min(limits) < _NO_LIMIT else None

    @property
    def class_numbers(self) -> dict[str, int]:
        """The names of the classes of a classifier, with their numbers."""
        network: Any = self.network
        names = network.config.label2id or {}
        return {str(name): int(names[name]) for name in sorted(names, key=lambda one: names[one])}


@cache
def _heads() -> dict[str, str]:
    """Return the head of every class of transformers that is supported."""
    mapping = import_transformers().models.auto.modeling_auto
    return {
        kind: head for head, table in _HEADS.items() for kind in getattr(mapping, table).values()
    }


def head_of(kind: str) -> str | None:
    """Return the head of a class of transformers; None if it is not supported.

    Example:
        >>> head_of("GPT2LMHeadModel"), head_of("BertForQuestionAnswering")
        ('causal language model', None)
    """
    return _heads().get(kind)


def unknown_head(kind: str, name: str) -> str:
    """Return the sentence that refuses a class of another head."""
    return (
        f"Expected a network for sequence classification or a causal language model, got {kind} in "
        f"{name}: load it in Python and pass it to `hormesis.analyze` with its tokens, which takes "
        "any network."
    )
