"""The worker that measures the shards of a study, with batches that fit into memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.engine.engines import choose_engine
from hormesis.engine.evaluated import evaluation_engine
from hormesis.engine.memory import Measure, allot_memory, footprint, most_samples, room
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal
from hormesis.engine.shards import ShardMeasurer, ShardTask, block_of
from hormesis.errors import ModelError
from hormesis.measure.extend import EarlierStudy
from hormesis.models.adapter import outputs_of
from hormesis.settings.choices import RAY
from hormesis.settings.execution import Execution
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import Shard, pack
from hormesis.stress.losses import PASSED_ON


@dataclass(frozen=True)
class ShardWorker:
    """Measures shards into the bytes of their files: all that a machine needs besides the tasks.

    Args:
        measurer: Engine, samples, removals and how they are measured.
        study: Identity of the study.
        source: Another study whose outcomes are reused.
    """

    measurer: ShardMeasurer
    study: str
    source: EarlierStudy | None = None

    def __call__(
        self, task: ShardTask, tick: Callable[[int], None] = lambda samples: None
    ) -> bytes:
        """Measure a shard.

        Args:
            task: The shard.
            tick: Called after each removal with the number of samples it was measured on.

        Raises:
            ModelError: If the unfiltered network's performance is not finite.
        """

        def measure(part: ShardTask, clean: bool) -> StoredOutcomes:
            outcomes = _as_stored(self.measurer.measure(part, tick, clean=clean), part.wanted)
            # Nothing was attacked that could have been idle.
            return replace(outcomes, base_idle=None) if self.measurer.spec.given else outcomes

        if self.source is None:
            outcomes = measure(task, True)
        else:
            outcomes = self.source.shard(task, self.measurer.samples, measure)
        kinds = {"clean": "clean", "adversarial": self.measurer.spec.kind}
        for name, kind in kinds.items():
            if not np.isfinite(getattr(outcomes, f"base_{name}")).all():
                raise ModelError(
                    f"The {kind} {self.measurer.spec.metric.name} of the unfiltered network "
                    "is NaN or infinite: measure another performance, or check the network on all "
                    "samples."
                )
        inputs = self.measurer.part_fingerprint(task)
        stressed = self.measurer.stressed_fingerprint(task)
        return pack(Shard(task.first, outcomes, self.study, inputs, stressed))


def make_measurer(
    network: nn.Module,
    samples: Samples,
    removals: Sequence[Removal],
    spec: MeasurementSpec,
    execution: Execution,
    shard: int,
) -> ShardMeasurer:
    """Return the measurer of a study, with as many workers as memory holds.

    Args:
        network: The network, in evaluation mode.
        samples: All samples, in the order of the study.
        removals: What is removed.
        spec: How cells are measured; the attack's magnitude may still be ``auto``.
        execution: By which engine.
        shard: Samples in the largest shard.

    Raises:
        SettingError: If not even two samples fit at a time.
    """
    device = device_of(network)
    if spec.evaluation is not None:  # the user's function sees to its own memory
        engine = evaluation_engine(network)
        return ShardMeasurer(engine, samples, removals, spec, max(shard, 2), torch.device("cpu"))
    few = block_of(samples, slice(0, 2), 0).to(device)
    engine = choose_engine(network, few.inputs, execution, spec)
    needs = footprint(engine.measure, removals, few, spec)
    free = room(execution.memory, device)
    most = min(most_samples(few.inputs), max(shard, 2))
    workers, batch = allot_memory(replace(needs, kept=shard), free, engine.workers, most)
    name = f"{engine.name} on ray" if execution.engine == RAY else engine.name
    explained = partial(_explained, network, engine.measure)
    engine = replace(engine, name=name, workers=workers, measure=explained)
    return ShardMeasurer(engine, samples, removals, spec, batch, device)


def _explained(
    network: nn.Module,
    measure: Measure,
    removals: Sequence[Removal],
    block: Block,
    spec: MeasurementSpec,
    tick: Callable[[], None],
) -> Outcomes:
    """Measure a block; where that fails, say so if the network itself cannot run on the samples.

    Raises:
        ModelError: In this case; any other error as it is.
    """
    try:
        return measure(removals, block, spec, tick)
    except PASSED_ON:
        raise
    except Exception:
        with torch.no_grad():
            outputs_of(network, block.inputs)
        raise


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's parameters are."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _as_stored(outcomes: Outcomes, measured: np.ndarray) -> StoredOutcomes:
    """Return outcomes with one row for each removal of the plan, measured or not."""

    def spread(values: Tensor) -> np.ndarray:
        own = values.cpu().numpy()
        if measured.all():
            return own
        rows = np.zeros((len(measured), *own.shape[1:]), dtype=own.dtype)
        rows[measured] = own
        return rows

    return StoredOutcomes(
        base_clean=outcomes.base_clean.cpu().numpy(),
        base_adversarial=outcomes.base_adversarial.cpu().numpy(),
        clean=spread(outcomes.clean),
        adversarial=spread(outcomes.adversarial),
        changed=spread(outcomes.changed),
        measured=None if measured.all() else measured,
        base_idle=outcomes.base_idle.cpu().numpy(),
        idle=None if outcomes.idle is None else spread(outcomes.idle),
    )
