"""What a measurement asks and what it returns, whichever engine does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hormesis.data.bounds import Bounds
from hormesis.data.evaluation import Evaluation
from hormesis.data.trees import Tree, count_rows, device_of_rows, move_to, select_rows
from hormesis.engine.plan import Removal
from hormesis.settings.attacks import Attack, Given, NoAttack
from hormesis.stress.losses import Loss, cross_entropy
from hormesis.stress.metric import Metric


@dataclass(frozen=True)
class MeasurementSpec:
    """How every cell is measured.

    Args:
        metric: The per-sample score.
        attack: The attack, its magnitude a number before anything is measured; without one, what
            belongs to perturbed samples is zero and means nothing.
        adaptive: Attack every filtered network anew, instead of the unfiltered one once.
        bounds: Lowest and highest value of an input, in input units, see ``data.bounds``.
        seed: Seed of the attack's random starts.
        clean: Measure the samples as they are, too; if not, what belongs to them is zero and means
            nothing, and ``changed`` is that of the perturbed samples.
        surrogates: If there are any, a fixed adversary attacks the network with one of these
            removals instead of the network itself: each sample with the next one in turn.
        precision: ``"exact"``, or ``"bf16"`` to compute in that data type, inexactly.
        loss: What the attack raises.
        evaluation: Measures the samples in place of metric and attack, if there is one.
    """

    metric: Metric
    attack: Attack
    adaptive: bool
    bounds: Bounds
    seed: int
    clean: bool = True
    surrogates: tuple[Removal, ...] = ()
    precision: str = "exact"
    loss: Loss = cross_entropy
    evaluation: Evaluation | None = None

    @property
    def stressed(self) -> bool:
        """Whether perturbed samples are measured."""
        return self.attack.name != NoAttack.name

    @property
    def given(self) -> bool:
        """Whether the stressed samples are a second data set, which is part of every block."""
        return self.attack.name == Given.name

    @property
    def kind(self) -> str:
        """What the performance on stressed samples is called."""
        return "stressed" if self.given else "adversarial"

    def pair(self, scores: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the scores of clean and of perturbed samples; zeros for those not measured.

        Args:
            scores: Of the parts that were measured, see ``parts``.
        """
        nothing = torch.zeros_like(scores[0])
        if not self.stressed:
            return scores[0], nothing
        return (scores[0] if self.clean else nothing), scores[-1]

    def parts(self, clean: Tree, perturbed: Tree) -> tuple[Tree, ...]:
        """Return what is measured, inputs or labels: clean, perturbed, or both, in order."""
        if not self.stressed:
            return (clean,)
        return (clean, perturbed) if self.clean else (perturbed,)


@dataclass(frozen=True)
class Block:
    """Some consecutive samples, measured together.

    Args:
        inputs: In input units: a tensor, or a structure of tensors.
        labels: Of each sample; None if the metric needs none.
        first: Place of the first of them in the data set; random starts depend on it.
        stressed: As many samples of a second data set, if that is the stress.
    """

    inputs: Tree
    labels: Tree
    first: int = 0
    stressed: "Block | None" = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return count_rows(self.inputs)

    @property
    def device(self) -> torch.device:
        """Where the inputs are."""
        return device_of_rows(self.inputs)

    @property
    def stressed_labels(self) -> Tree:
        """The labels that stressed inputs are scored with."""
        return self.labels if self.stressed is None else self.stressed.labels

    def changed_by(self, change: Callable[[Tree], Tree], first: int | None = None) -> "Block":
        """Return the block with all inputs and labels changed.

        Args:
            change: Takes a tree and returns another.
            first: Place of the first sample afterwards, if that is another.
        """
        return Block(
            change(self.inputs),
            change(self.labels),
            self.first if first is None else first,
            None if self.stressed is None else self.stressed.changed_by(change, first),
        )

    def part(self, start: int, stop: int) -> "Block":
        """Return some of its samples, as a block of their own."""
        return self.changed_by(
            lambda tree: select_rows(tree, slice(start, stop)), self.first + start
        )

    def to(self, device: torch.device) -> "Block":
        """Return the block on a device."""
        return self.changed_by(lambda tree: move_to(tree, device))


Result = tuple[Tensor, Tensor, bool]
"""Performance on clean and on perturbed samples, and whether a logit changed."""


@dataclass(frozen=True)
class Outcomes:
    """Per-sample performance of the unfiltered network and of every removal on one block.

    Args:
        base_clean: Of the unfiltered network on clean inputs.
        base_adversarial: Of the unfiltered network on perturbed inputs.
        clean: One row a removal, on clean inputs.
        adversarial: One row a removal, on perturbed inputs.
        changed: Whether the removal changed a logit of any sample, clean or perturbed.
        base_idle: Where the attack on the unfiltered network had nothing to work with, see
            ``attacks.PerturbedInputs``.
        idle: The same of every removal, where each is attacked anew; else None.
    """

    base_clean: Float[Tensor, " samples"]
    base_adversarial: Float[Tensor, " samples"]
    clean: Float[Tensor, "removals samples"]
    adversarial: Float[Tensor, "removals samples"]
    changed: Bool[Tensor, " removals"]
    base_idle: Bool[Tensor, "two samples"]
    idle: Bool[Tensor, "removals two samples"] | None = None

    @staticmethod
    def of(
        base: tuple[Tensor, Tensor],
        removals: Sequence[Result],
        base_idle: Tensor,
        idle: Sequence[Tensor] | None = None,
    ) -> "Outcomes":
        """Return the outcomes of the unfiltered network and of every removal, clean ones first."""
        nothing = torch.zeros(0, len(base[0]))
        clean, adversarial, changed = zip(*removals, strict=True) if removals else ((), (), ())
        return Outcomes(
            base_clean=base[0],
            base_adversarial=base[1],
            clean=torch.stack(clean) if clean else nothing,
            adversarial=torch.stack(adversarial) if adversarial else nothing,
            changed=torch.tensor(changed, dtype=torch.bool),
            base_idle=base_idle,
            idle=None if idle is None else torch.stack([base_idle, *idle])[1:],
        )

    def head(self, count: int) -> "Outcomes":
        """Return the outcomes of the first ``count`` samples."""
        if count == len(self.base_clean):
            return self
        return Outcomes(
            base_clean=self.base_clean[:count],
            base_adversarial=self.base_adversarial[:count],
            clean=self.clean[:, :count],
            adversarial=self.adversarial[:, :count],
            changed=self.changed,
            base_idle=self.base_idle[:, :count],
            idle=None if self.idle is None else self.idle[..., :count],
        )

    @staticmethod
    def concatenate(parts: "Sequence[Outcomes]") -> "Outcomes":
        """Return the outcomes of a block that was measured in parts."""
        idle = [part.idle for part in parts if part.idle is not None]
        return Outcomes(
            base_clean=torch.cat([part.base_clean for part in parts]),
            base_adversarial=torch.cat([part.base_adversarial for part in parts]),
            clean=torch.cat([part.clean for part in parts], dim=1),
            adversarial=torch.cat([part.adversarial for part in parts], dim=1),
            changed=torch.stack([part.changed for part in parts]).any(dim=0),
            base_idle=torch.cat([part.base_idle for part in parts], dim=1),
            idle=torch.cat(idle, dim=2) if len(idle) == len(parts) else None,
        )
