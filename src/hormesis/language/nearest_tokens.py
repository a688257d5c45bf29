"""Is what an attack on embeddings found a text? The tokens nearest to perturbed vectors."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hormesis.data.bounds import UNBOUNDED
from hormesis.data.embedded import attended_tokens, token_ids, with_perturbation
from hormesis.data.samples import Samples, samples_from
from hormesis.data.trees import Tree, move_to, select_rows
from hormesis.errors import SettingError
from hormesis.language.embeddings import perturbed_embeddings
from hormesis.models.adapter import inner_network, perturbation_of
from hormesis.models.embedding_perturbation import EmbeddingPerturbation, vocabulary
from hormesis.settings.attacks import FGSM, Attack
from hormesis.settings.request import AnalysisRequest, as_attack
from hormesis.settings.threat import norm_of
from hormesis.stress.attacks import perturb
from hormesis.stress.losses import as_loss

_MOST = 16  # samples that a study looks at
_TOKENS = 1024  # compared with a part of the vocabulary at a time


class Neighbours(NamedTuple):
    """The tokens of some samples, padding left out, and the token next to each perturbed vector.

    Args:
        sample: Row of each token.
        position: Its place in the sample.
        token: Its id.
        other: Id of the nearest other token.
        to_token: Euclidean distance of the perturbed vector from the token's own.
        to_other: Distance from the other's.
    """

    sample: Int[Tensor, " tokens"]
    position: Int[Tensor, " tokens"]
    token: Int[Tensor, " tokens"]
    other: Int[Tensor, " tokens"]
    to_token: Float[Tensor, " tokens"]
    to_other: Float[Tensor, " tokens"]


def nearest_tokens(
    network: nn.Module,
    inputs: Any,  # noqa: ANN401
    labels: Any = None,  # noqa: ANN401
    attack: Any = FGSM(0.1),  # noqa: ANN401
    *,
    loss: Any = "cross_entropy",  # noqa: ANN401
    tokenizer: Any = None,  # noqa: ANN401
) -> pd.DataFrame:
    """Return what an attack makes of each token: is another one nearer to its perturbed vector?

    Distances are Euclidean, as the attack's magnitude is: a token whose vector moves by less than
    half of its distance from all others stays the nearest. An angle would not tell a long vector
    from a short one.

    Args:
        network: Takes token ids; ``perturbed_embeddings`` names the embedding if need be. It is
            attacked as it is, and is the same afterwards.
        inputs: Of at least two samples: a mapping with ``input_ids``, or the ids as one tensor.
        labels: What the loss takes.
        attack: With a number as ``epsilon``, such as ``study.metadata.attack.epsilon``.
        loss: What the attack raises, see ``analyze``.
        tokenizer: Turns ids into text, for the columns ``text`` and ``other_text``: of
            transformers, of tokenizers, or a function of an id.

    Returns:
        A row for each token that is no padding: ``sample``, ``position``, its id ``token``,
        ``other``, the nearest other token after the attack, ``to_token`` and ``to_other``, the
        distances of the perturbed vector from both, and ``changed``: whether the other is nearer.

    Raises:
        AttackError: See ``perturbed_embeddings``.

    Example:
        >>> network = nn.Sequential(nn.Embedding(3, 1), nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> _ = network[0].weight.data.copy_(torch.tensor([[0.0], [1.0], [4.0]]))
        >>> _ = network[2].weight.data.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        >>> ids, labels = torch.tensor([[1, 2], [1, 0]]), torch.tensor([0, 1])
        >>> nearest_tokens(network, ids, labels, FGSM(0.3))[["token", "other", "changed"]]
           token  other  changed
        0      1      0     True
        1      2      1    False
        2      1      0    False
        3      0      1    False
    """
    attack, texts = as_attack(attack), _texts(tokenizer)
    samples = samples_from((inputs, labels), bounds=None)
    own = move_to(samples.inputs, _device(network))
    perturbable = perturbed_embeddings(network, own, norm=norm_of(attack))
    perturbation = perturbation_of(perturbable)
    assert perturbation is not None, "it was just made"
    perturbed = perturb(
        perturbable,
        with_perturbation(own, perturbation.dimensions),
        samples.labels,
        attack,
        bounds=UNBOUNDED,
        seed=0,
        loss=as_loss(loss),
    )
    found = find_neighbours(perturbation, inner_network(network), perturbed)
    table = pd.DataFrame({name: part.cpu().numpy() for name, part in found._asdict().items()})
    table["changed"] = table["to_other"] < table["to_token"]
    if texts is not None:
        table.insert(3, "text", [texts(token) for token in table["token"]])
        table.insert(5, "other_text", [texts(token) for token in table["other"]])
    return table


def _texts(tokenizer: Any) -> Callable[[int], str] | None:  # noqa: ANN401
    """Return what turns an id into text.

    Raises:
        SettingError: If a tokenizer cannot do that.
    """
    if tokenizer is None:
        return None
    for name in ("convert_ids_to_tokens", "id_to_token"):  # of transformers, and of tokenizers
        if hasattr(tokenizer, name):
            convert = getattr(tokenizer, name)
            return lambda token: str(convert(int(token)))
    if not callable(tokenizer):
        raise SettingError(
            "Expected `tokenizer` to have `convert_ids_to_tokens` or `id_to_token`, or to be a "
            f"function of a token's id, got {type(tokenizer).__name__}."
        )
    return lambda token: str(tokenizer(int(token)))


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


@torch.no_grad()
def find_neighbours(
    perturbation: EmbeddingPerturbation, network: nn.Module, inputs: Tree
) -> Neighbours:
    """Return the token next to each perturbed vector.

    Args:
        perturbation: How it is added.
        network: The network itself.
        inputs: With the perturbation.
    """
    ids = token_ids(inputs)
    assert ids is not None, "inputs with a perturbation have token ids"
    attended = attended_tokens(inputs)
    counted = torch.ones_like(ids, dtype=torch.bool) if attended is None else attended
    sample, position = counted.nonzero(as_tuple=True)
    tokens = ids[sample, position].long()
    embedding = perturbation.module(network)
    own = embedding(ids)[sample, position].float()
    vectors = own + perturbation.scaled(inputs)[sample, position].float()
    others = _nearest_others(embedding, vectors, tokens)
    to_token, to_other = (
        (vectors - near).square().sum(dim=1).sqrt() for near in (own, embedding(others).float())
    )
    return Neighbours(sample, position, tokens, others, to_token, to_other)


def _nearest_others(
    embedding: nn.Module,
    vectors: Float[Tensor, "tokens dimensions"],
    tokens: Int[Tensor, " tokens"],
) -> Int[Tensor, " tokens"]:
    """Return the nearest token other than the own one, the first of several."""
    nearest = torch.zeros_like(tokens)
    least = torch.full(tokens.shape, torch.inf, device=tokens.device)
    for first, part in vocabulary(embedding):
        known = part.float()
        # What the squared distances of a vector from all tokens have in common is left out.
        lengths = known.square().sum(dim=1)
        for rows in torch.arange(len(tokens), device=tokens.device).split(_TOKENS):
            distances = lengths - 2 * vectors[rows] @ known.T
            columns = tokens[rows] - first
            inside = (columns >= 0) & (columns < len(known))
            distances[inside.nonzero()[:, 0], columns[inside]] = torch.inf
            low, column = distances.min(dim=1)
            nearer = low < least[rows]
            least[rows] = torch.where(nearer, low, least[rows])
            nearest[rows] = torch.where(nearer, column + first, nearest[rows])
    return nearest


def notes_on_tokens(
    network: nn.Module, samples: Samples, attack: Attack, request: AnalysisRequest
) -> Iterator[str]:
    """Yield a sentence on whether an attack on embeddings finds other tokens.

    Args:
        network: In evaluation mode, unfiltered; one whose embeddings are not perturbed has no note.
        samples: In the order of the study; the first ones are attacked.
        attack: Its magnitude a number, if it has one.
        request: With the seed, and what the attack raises.
    """
    perturbation = perturbation_of(network)
    if perturbation is None:
        return
    count = min(_MOST, len(samples))
    both = select_rows((samples.inputs, samples.labels), slice(0, count))
    few, labels = move_to(both, _device(network))
    options = {"bounds": samples.bounds, "seed": request.sweep.seed, "loss": request.loss}
    perturbed = perturb(network, few, labels, attack, **options)
    found = find_neighbours(perturbation, inner_network(network), perturbed)
    tokens, changed = len(found.token), int((found.to_other < found.to_token).sum())
    if changed:
        yield (
            f"After the attack on the unfiltered network, {changed} of {tokens} tokens, those of "
            f"the first {count} samples, lie nearer to the vector of another token than to their "
            "own."
        )
        return
    yield (
        f"After the attack on the unfiltered network, each of {tokens} tokens, those of the first "
        f"{count} samples, is still nearest to its own vector: what the attack found is no other "
        "text."
    )
