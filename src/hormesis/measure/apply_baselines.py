"""Networks that are proved beside an applied one: the unfiltered, and others of the same size."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from hormesis.measure.apply_path import target_pools
from hormesis.measure.shard_worker import device_of
from hormesis.measure.standing import count_zeroed
from hormesis.measure.study_plan import StudyPlan
from hormesis.settings.apply import (
    APPLIED,
    GLOBAL,
    LAYERS,
    RANDOM,
    UNFILTERED_NETWORK,
    WANDA,
    Proof,
)
from hormesis.stress.input_norms import input_norms
from hormesis.stress.kinds import public_name
from hormesis.stress.pruning import keep_by_wanda, keep_largest, keep_largest_by_layer, keep_random

Masks = Mapping[str, Tensor]


@dataclass(frozen=True)
class Variant:
    """A network of the proof, as what is kept of the unfiltered one.

    Args:
        name: What the tables call it.
        masks: By the names of the user's own network, True where a value is kept.
        draw: Which of several draws it is, from 0.
    """

    name: str
    masks: Masks
    draw: int = 0

    @property
    def removed(self) -> int:
        """Number of values that it zeroes."""
        return count_zeroed(self.masks)


def make_variants(
    planned: StudyPlan, masks: Masks, proof: Proof
) -> tuple[list[Variant], list[str]]:
    """Return the networks of a proof, all filtered ones with as many values zeroed, and notes.

    Args:
        planned: The plan of the study, whose targets may lose values.
        masks: What the path keeps.
        proof: Which baselines, and how many draws.
    """
    count = count_zeroed(masks)
    values = _values(planned)
    variants = [Variant(UNFILTERED_NETWORK, {}), Variant(APPLIED, masks)]
    notes: list[str] = []
    for name in proof.baselines:
        if name == GLOBAL:
            variants.append(Variant(name, keep_largest(values, count)))
        elif name == LAYERS:
            variants.append(Variant(name, keep_largest_by_layer(values, count)))
        elif name == RANDOM:
            variants += [
                Variant(name, keep_random(values, count, _seed(proof.seed, draw)), draw)
                for draw in range(proof.draws)
            ]
        elif name == WANDA:
            found, missing = _wanda(planned, values, count)
            variants += found
            notes += missing
    return variants, notes


def _seed(seed: int, draw: int) -> int:
    digest = hashlib.sha256(f"random/{seed}/{draw}".encode()).digest()
    return int.from_bytes(digest[:7])


def _values(planned: StudyPlan) -> dict[str, Tensor]:
    """Return what targets hold, by the names of the user's own network; zero is all else."""
    network = planned.network
    parameters = dict(network.named_parameters())
    return {
        public_name(network, name): parameters[name].detach().cpu() * pool
        for name, pool in target_pools(planned).items()
    }


def _wanda(planned: StudyPlan, values: Masks, count: int) -> tuple[list[Variant], list[str]]:
    """Return the network of Wanda's score, or a note why there is none."""
    network = planned.network
    if planned.evaluation is not None:
        return [], ["Wanda's score was left out: an evaluation gives no activations."]
    names = {public_name(network, name): name for name in target_pools(planned)}
    norms = input_norms(network, planned.samples, list(names.values()), device_of(network))
    missing = [own for own, name in names.items() if name not in norms]
    if missing:
        return [], [
            "Wanda's score was left out: it is for the weights of linear layers and convolutions, "
            f"which {missing[0]} is not."
        ]
    fitting = {own: norms[name] for own, name in names.items()}
    exact = {own: value.double() for own, value in values.items()}
    return [Variant(WANDA, keep_by_wanda(exact, fitting, count))], []
