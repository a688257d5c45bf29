"""Inputs with a perturbation of embeddings beside the token ids: a leaf like any other.

Token ids are whole numbers, which no gradient reaches. What an attack may change instead is one
more input, ``EMBEDDING_PERTURBATION``, which is added to the vectors of the tokens, see
``models.embedding_perturbation``. Of clean samples it is zero, and takes no memory.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hormesis.data.trees import Tree

EMBEDDING_PERTURBATION = "embedding_perturbation"
"""Name of the input: floating-point, ``[batch, tokens, dimensions]``, as shares (see there)."""
TOKEN_IDS, ATTENTION_MASK = "input_ids", "attention_mask"  # as transformers call them


def token_ids(inputs: Tree) -> Tensor | None:
    """Return the token ids among inputs: ``input_ids`` of a mapping, or the inputs themselves.

    Returns:
        Integers ``[batch, tokens]``; None if there are no such.

    Example:
        >>> token_ids({"input_ids": torch.zeros(2, 5, dtype=torch.int64)}).shape
        torch.Size([2, 5])
        >>> token_ids(torch.zeros(2, 5)) is None
        True
    """
    found = inputs.get(TOKEN_IDS) if isinstance(inputs, Mapping) else inputs
    if not isinstance(found, Tensor) or found.is_floating_point() or found.is_complex():
        return None
    return found if found.ndim == 2 else None


def with_perturbation(inputs: Tree, dimensions: int) -> dict[str, Tree]:
    """Return inputs as a mapping with a perturbation of zeros, which share one value in memory.

    Args:
        inputs: Token ids, or a mapping that has them.
        dimensions: Of a token's vector.

    Example:
        >>> ids = torch.zeros(9, 5, dtype=torch.int64)
        >>> perturbed = with_perturbation(ids, 4)
        >>> list(perturbed), perturbed["embedding_perturbation"].stride()
        (['input_ids', 'embedding_perturbation'], (0, 0, 0))
    """
    ids = token_ids(inputs)
    assert ids is not None, "there are token ids"
    own = dict(inputs) if isinstance(inputs, Mapping) else {TOKEN_IDS: inputs}
    zero = torch.zeros((), device=ids.device)
    return {**own, EMBEDDING_PERTURBATION: zero.expand(*ids.shape, dimensions)}


def has_perturbation(inputs: Tree) -> bool:
    """Return whether inputs have a perturbation of embeddings.

    Example:
        >>> has_perturbation({"embedding_perturbation": torch.zeros(2, 5, 4)})
        True
    """
    return isinstance(inputs, Mapping) and EMBEDDING_PERTURBATION in inputs


def without_perturbation(inputs: Tree) -> Tree:
    """Return inputs without the perturbation of embeddings, if they have one."""
    if not has_perturbation(inputs):
        return inputs
    return {name: leaf for name, leaf in inputs.items() if name != EMBEDDING_PERTURBATION}


def attended_tokens(inputs: Tree) -> Bool[Tensor, "batch tokens"] | None:
    """Return which tokens are no padding, from the attention mask of inputs with a perturbation.

    Returns:
        None where no input says that: all tokens count.

    Example:
        >>> inputs = with_perturbation(torch.tensor([[7, 7, 0]]), 4)
        >>> attended_tokens({**inputs, "attention_mask": torch.tensor([[1, 1, 0]])})
        tensor([[ True,  True, False]])
    """
    mask = inputs.get(ATTENTION_MASK)
    shape = inputs[EMBEDDING_PERTURBATION].shape[:2]
    return mask != 0 if isinstance(mask, Tensor) and mask.shape == shape else None


def perturbable_values(inputs: Tree) -> Bool[Tensor, "batch values"] | None:
    """Return which values of a perturbation reach the network; None if all values do.

    Returns:
        Truth values that fit ``data.bounds.continuous_part``.
    """
    attended = attended_tokens(inputs) if has_perturbation(inputs) else None
    if attended is None:
        return None
    perturbation: Float[Tensor, "batch tokens dimensions"] = inputs[EMBEDDING_PERTURBATION]
    return attended[..., None].expand(perturbation.shape).flatten(1)
