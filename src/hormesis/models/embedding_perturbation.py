"""Perturbed embeddings of tokens, for attacks on what no gradient reaches."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hormesis.data.embedded import (
    EMBEDDING_PERTURBATION,
    TOKEN_IDS,
    attended_tokens,
    without_perturbation,
)
from hormesis.data.trees import Tree
from hormesis.errors import ModelError
from hormesis.settings.threat import L2

_ROWS = 4096  # of an embedding's table, computed at a time


@dataclass(frozen=True)
class Lookup:
    """Where a network looks up its tokens.

    Args:
        embedding: Name of the module.
        run: Which run of it in a forward pass, from 0.
        runs: How many there are; an encoder and a decoder may share one.
    """

    embedding: str
    run: int = 0
    runs: int = 1


@dataclass(frozen=True)
class EmbeddingPerturbation:
    """How a perturbation is added to the vectors of tokens, where a network looks them up.

    Ids, masks, positions and whatever else the network makes of them stay as they are, and so does
    the embedding, which can still be filtered. The perturbation has no unit: 1 is the root mean
    square of all values of the embedding (in L∞), or the norm that a sequence of such vectors has,
    padding left out (in L2: that times the root of their number of values). Miyato et al. 2017
    (arXiv:1605.07725) bring embeddings to variance 1 to that end; FreeLB (Zhu et al. 2020,
    arXiv:1909.11764) leaves out padding and takes one norm over a sequence, as this does.

    Args:
        lookup: Where the network looks up its tokens.
        norm: What perturbations are measured by, one of ``settings.threat.NORMS``.
        scale: Root mean square of all values of the embedding, see ``embedding_scale``.
        dimensions: Of a token's vector.
        alone: Whether the network takes the ids alone, and not a mapping.
    """

    lookup: Lookup
    norm: str
    scale: float
    dimensions: int
    alone: bool

    def own_inputs(self, inputs: Mapping[str, Any]) -> Tree:
        """Return what the network itself takes.

        Args:
            inputs: With a perturbation.
        """
        return inputs[TOKEN_IDS] if self.alone else without_perturbation(inputs)

    def described(self) -> dict[str, str | float]:
        """Return what is perturbed, and its scale, as a manifest holds it."""
        return {"module": self.lookup.embedding, "scale": self.scale}

    def module(self, network: nn.Module) -> nn.Module:
        """Return the embedding of a network."""
        return network.get_submodule(self.lookup.embedding)

    @contextmanager
    def added_to(self, network: nn.Module, inputs: Mapping[str, Any]) -> Iterator[None]:
        """Perturb the embeddings of a network that runs within the block.

        Args:
            network: The network.
            inputs: With a perturbation ``[batch, tokens, dimensions]``.

        Raises:
            ModelError: If the embedding does not return vectors of that shape, or does not run.
        """
        change, runs, name = self.scaled(inputs), 0, self.lookup.embedding

        def add(module: nn.Module, arguments: Any, vectors: Tensor) -> Tensor | None:  # noqa: ANN401
            nonlocal runs
            runs += 1
            if runs != self.lookup.run + 1:
                return None
            if vectors.shape != change.shape:
                raise ModelError(
                    f"Expected a perturbation of the shape {list(vectors.shape)} of the vectors "
                    f"that the embedding {name!r} looks up, got {list(change.shape)}."
                )
            return vectors + change.to(vectors.dtype)

        hook = self.module(network).register_forward_hook(add)
        try:
            yield
        finally:
            hook.remove()
        if runs <= self.lookup.run:
            raise ModelError(
                f"The embedding {name!r} did not run in a forward pass of the network, so that "
                "perturbing it would change nothing: name the module that looks up tokens."
            )

    def scaled(self, inputs: Mapping[str, Any]) -> Float[Tensor, "batch tokens dimensions"]:
        """Return what is added to the vectors: the perturbation in their unit, 0 for padding.

        Args:
            inputs: With a perturbation, and an attention mask if there is padding.
        """
        change = inputs[EMBEDDING_PERTURBATION] * self.scale
        attended = attended_tokens(inputs)
        if attended is not None:
            change = change * attended[..., None].to(change.dtype)
        if self.norm != L2:
            return change
        if attended is None:
            return change * math.sqrt(change.shape[1] * change.shape[2])
        values = attended.sum(dim=1).to(change.dtype) * change.shape[2]
        return change * values.sqrt()[:, None, None]


def embedding_scale(embedding: nn.Module) -> float:
    """Return the root mean square of all values that an embedding can return, to four digits.

    Four digits are the same on every machine, whatever order it adds numbers in.

    Args:
        embedding: Looks up the row of a number.

    Raises:
        ModelError: If all of them are zero, or one is not finite.

    Example:
        >>> embedding_scale(nn.Embedding.from_pretrained(torch.tensor([[1.0, 1.0], [2.0, 2.0]])))
        1.581
    """
    total, count = 0.0, 0
    for _, vectors in vocabulary(embedding):
        total += float(vectors.double().square().sum())
        count += vectors.numel()
    scale = math.sqrt(total / max(count, 1))
    if not (scale > 0 and math.isfinite(scale)):
        raise ModelError(
            "Expected an embedding with finite values other than zero, of which the magnitude of "
            f"an attack is a share, got values with the root mean square {scale:g}."
        )
    return float(f"{scale:.4g}")


def vocabulary(
    embedding: nn.Module,
) -> Iterator[tuple[int, Float[Tensor, "rows dimensions"]]]:
    """Yield the vectors of all tokens, some thousands at a time, each part with its first id.

    Args:
        embedding: Looks up the row of a number.
    """
    weight = embedding.weight
    assert isinstance(weight, Tensor), "an embedding has a weight"
    ids: Int[Tensor, " tokens"] = torch.arange(len(weight), device=weight.device)
    for first in range(0, len(weight), _ROWS):
        with torch.no_grad():
            vectors = embedding(ids[first : first + _ROWS])
        yield first, vectors
