"""From a network that takes token ids to one whose embeddings can be attacked."""

from typing import Any

import torch
from torch import Tensor, nn

from hormesis.data.bounds import continuous_part
from hormesis.data.embedded import token_ids
from hormesis.data.trees import Tree, tensors_in
from hormesis.errors import AttackError, ModelError, recipe
from hormesis.models.adapter import (
    AdaptedNetwork,
    adapt,
    inner_network,
    outputs_of,
    perturbation_of,
)
from hormesis.models.embedding_perturbation import (
    EmbeddingPerturbation,
    Lookup,
    embedding_scale,
    vocabulary,
)
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.threat import L2, LINF

_REMEDY = f"measure without an attack (`attack=None`){recipe('text-classifier')}"


def perturbed_embeddings(
    network: nn.Module,
    inputs: Tree,
    embedding: str | None = None,
    *,
    norm: str = LINF,
    output: Any = None,  # noqa: ANN401
) -> AdaptedNetwork:
    """Return a network that adds one more input, ``embedding_perturbation``, to its embeddings.

    Its one argument is a mapping with that input, what it returns one tensor.

    ``analyze`` makes one by itself where token ids are attacked. It is made by hand to name the
    embedding, or to look at what an attack does.

    Args:
        network: Takes token ids; it is neither copied nor changed. If it is what this function made
            of one, the same embedding is taken.
        inputs: Some of its inputs: a mapping with ``input_ids``, or the ids as one tensor.
        embedding: Name of the module that looks up the ids, as ``named_modules`` has it; None finds
            it: what ``get_input_embeddings()`` returns, or the first ``nn.Embedding`` that looks up
            the ids when the network runs on the inputs. If it runs several times, as that of an
            encoder and a decoder does, the first run on the ids is perturbed.
        norm: What perturbations are measured by, ``"linf"`` or ``"l2"``.
        output: Which output of the network is measured, see ``analyze``.

    Raises:
        AttackError: If there are no token ids, other inputs have floating-point values, or no
            embedding looks the ids up.
        ModelError: If the network cannot run on the inputs.

    Example:
        >>> network = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 2))
        >>> perturbed = perturbed_embeddings(network, torch.zeros(2, 5, dtype=torch.int64))
        >>> perturbed.perturbation.lookup.embedding
        '0'
    """
    made = perturbation_of(network)
    if made is not None:
        network, embedding = inner_network(network), embedding or made.lookup.embedding
    ids = token_ids(inputs)
    if ids is None:
        raise AttackError(
            "Expected token ids whose embeddings to attack, as `input_ids` [batch, tokens] of a "
            f"mapping or as one tensor of integers, got none: {_REMEDY}."
        )
    if continuous_part(inputs) is not None:
        raise AttackError(
            "Expected inputs of whole numbers beside attacked embeddings, got floating-point ones: "
            "convert a mask with `mask.long()`."
        )
    lookup = _choose(network, _observe(network, inputs, ids, embedding, output), embedding)
    module = network.get_submodule(lookup.embedding)
    perturbation = EmbeddingPerturbation(
        lookup,
        norm,
        scale=embedding_scale(module),
        dimensions=next(vocabulary(module))[1].shape[1],
        alone=isinstance(inputs, Tensor),
    )
    adapted = adapt(network, inputs, output, perturbation)
    assert isinstance(adapted, AdaptedNetwork), "a perturbation adapts a network"
    return adapted


def _observe(
    network: nn.Module,
    inputs: Tree,
    ids: Tensor,
    named: str | None,
    output: Any,  # noqa: ANN401
) -> dict[str, list[bool]]:
    """Return the embeddings that run while a network runs on inputs, in order.

    Returns:
        Of each run whether it looked up the token ids of the inputs, one vector each.
    """
    runs: dict[str, list[bool]] = {}

    def note(name: str, arguments: Any, keywords: Any, vectors: Any) -> None:  # noqa: ANN401
        asked = tensors_in((arguments, keywords))
        same = bool(asked) and asked[0].numel() == ids.numel()
        same = same and torch.equal(asked[0].reshape(ids.shape), ids)
        fits = isinstance(vectors, Tensor) and vectors.shape[:-1] == ids.shape
        runs.setdefault(name, []).append(same and fits)

    hooks = []
    try:
        for name, module in _embeddings(network, named).items():
            hooks.append(
                module.register_forward_hook(
                    lambda _, args, kwargs, out, name=name: note(name, args, kwargs, out),
                    with_kwargs=True,
                )
            )
        with evaluation_mode(network), torch.no_grad():
            outputs_of(adapt(network, inputs, output), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return runs


def _embeddings(network: nn.Module, named: str | None) -> dict[str, nn.Module]:
    """Return the modules that may look up tokens: the one that was named, or all embeddings."""
    modules = dict(network.named_modules())
    if named is not None and not isinstance(getattr(modules.get(named), "weight", None), Tensor):
        got = f"a {type(modules[named]).__name__}" if named in modules else "no such module"
        known = [name for name, module in modules.items() if isinstance(module, nn.Embedding)]
        raise ModelError(
            f"Expected `embedding` to name a module with the vectors of all tokens, got {named!r}, "
            f"{got}: those of the network are {', '.join(map(repr, known)) or 'none'}."
        )
    preferred = _declared(network)
    found = {
        name: module
        for name, module in modules.items()
        if (isinstance(module, nn.Embedding) or module is preferred)
        and isinstance(module.weight, Tensor)
    }
    if named is not None:
        found = {named: modules[named]}
    for name, module in found.items():
        if getattr(module, "max_norm", None) is not None:
            raise ModelError(
                f"The embedding {name!r} changes its own values when it looks them up: leave out "
                "`max_norm`, or measure without an attack (`attack=None`)."
            )
    return found


def _declared(network: nn.Module) -> nn.Module | None:
    """Return the embedding that a network of transformers says it has."""
    getter = getattr(network, "get_input_embeddings", None)
    if getter is None:
        return None
    try:
        found = getter()
    except NotImplementedError:  # as models without one do
        return None
    return found if isinstance(getattr(found, "weight", None), Tensor) else None


def _choose(network: nn.Module, runs: dict[str, list[bool]], named: str | None) -> Lookup:
    """Return the run of an embedding that is perturbed.

    Args:
        network: The network.
        runs: See ``_observe``.
        named: The embedding that the user chose.

    Raises:
        AttackError: If none looks up the token ids.
    """
    on_ids = [name for name, found in runs.items() if any(found)]
    if on_ids:
        preferred = _declared(network)
        declared = [name for name in on_ids if network.get_submodule(name) is preferred]
        name = (declared or on_ids)[0]
        return Lookup(name, runs[name].index(True), len(runs[name]))
    if named is not None:
        how = "is called with something else than the token ids" if runs else "does not run"
        raise AttackError(
            f"The embedding {named!r} {how} when the network runs on the inputs: name the module "
            "that looks up `input_ids`, or leave `embedding` out to have it found."
        )
    raise AttackError(
        "Expected inputs with floating-point values to attack, got integers alone, which no "
        f"embedding of the network looks up one by one: {_REMEDY}, or name the module that does "
        "with `hormesis.perturbed_embeddings`."
    )


def unit_note(perturbation: EmbeddingPerturbation) -> str:
    """Return what is perturbed, and what the magnitude of an attack on it means, in sentences."""
    lookup, scale = perturbation.lookup, f"{perturbation.scale:g}"
    which = f" in run {lookup.run + 1} of {lookup.runs}" if lookup.runs > 1 else ""
    meaning = (
        f"a share of the root mean square of its values, {scale} before anything is filtered: no "
        "value of a token's vector changes by more."
    )
    if perturbation.norm == L2:
        meaning = (
            "a share of the norm of a sequence's vectors: the root mean square of the embedding's "
            f"values, {scale} before anything is filtered, times the root of the number of values "
            "in the sequence. All changes together are at most that large."
        )
    return (
        f"The attack perturbs the embeddings of tokens, which {lookup.embedding!r} looks up"
        f"{which}; padding stays as it is. Epsilon is {meaning}"
    )
