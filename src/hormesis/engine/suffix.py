"""The fast engine: for each removal, only what depends on the filtered parameters runs again."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from hormesis.data.trees import Tree, device_of_rows, join_rows, repeat_rows
from hormesis.engine import adaptive, plain, recheck
from hormesis.engine.dataflow import flow_of
from hormesis.engine.executor import (
    Answer,
    PrefixExecutor,
    Stage,
    checked_rows,
    run_program,
    stages,
)
from hormesis.engine.graph import EXPORT_ERRORS, NotExportable, Program, lower
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes, Result
from hormesis.engine.plain import same
from hormesis.engine.plan import Removal
from hormesis.engine.recheck import measure_rounding
from hormesis.engine.rewrite import rewrite, round_to
from hormesis.engine.tracing import export
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode

# Largest difference, in units of the largest logit, that the program of a network may show.
_FAITHFUL = 1e-3
_ROUNDED = 1e-1  # the same for a program that computes in another data type


def compile_network(
    network: nn.Module,
    example: Tree,
    *,
    fast: bool = True,
    dtype: torch.dtype | None = None,
    adaptive_too: bool = False,
) -> Program:
    """Return the program that ``measure`` runs in place of the network.

    Args:
        network: Any network; it is copied and not changed.
        example: At least one sample, on the network's device.
        fast: On a CPU, rewrite layers so that they take less time; the results differ by rounding
            only. Elsewhere PyTorch's own layers are faster.
        dtype: Compute in this data type instead of the network's own, inexactly.
        adaptive_too: Look for a ``literal`` program, which only an adaptive adversary needs.

    Raises:
        NotExportable: With the reason; the plain loop can still measure such a network.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> program = compile_network(network, torch.zeros(1, 2))
        >>> len(program.descendants["0.weight"]) > len(program.descendants["2.weight"])
        True
    """
    _refuse_shared_memory(network)
    exported = export(network, example)
    flow = flow_of(exported)
    literal = lower(exported, network) if adaptive_too else None
    if fast and device_of_rows(example).type == "cpu":
        rewrite(exported)
    if dtype is not None:
        round_to(exported, dtype)
    program = lower(exported, network)
    moved = _rounding(program, network, example, _FAITHFUL if dtype is None else _ROUNDED)
    if literal is not None and adaptive.differentiates_as(
        network, literal, repeat_rows(example, 2)
    ):
        program = replace(program, literal=literal)
    return replace(program, flow=flow, rounding=moved, exact=dtype is None)


def measure(
    program: Program,
    network: nn.Module,
    removals: Sequence[Removal],
    block: Block,
    spec: MeasurementSpec,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples; the outcomes are those of the plain loop.

    The network itself is attacked, so that the inputs are those of the plain loop bit for bit, and
    rules on rows that rounding might decide (see ``ties.undecided``). An adaptive adversary goes
    through a program of PyTorch's own operations (``adaptive.measure``), if its gradients are those
    of the network, and otherwise through the plain loop.

    A removal counts as ``changed`` if a logit of the program differs, bit for bit, from that of the
    same program unfiltered. Several threads may measure at once with one program and network.

    Args:
        program: What ``compile_network`` made of the network.
        network: The network; the same afterwards, bit for bit.
        removals: What is removed, one after the other, never together.
        block: The samples.
        spec: How they are measured.
        tick: Called after each removal.

    Returns:
        The outcome of each removal on each sample, in the order of ``removals``.
    """
    if spec.adaptive and program.literal is not None and len(block) > 1:
        return adaptive.measure(program, program.literal, network, removals, block, spec, tick)
    if spec.adaptive:
        own = copy.deepcopy(network)  # attacked for each removal: no thread should wait
        return plain.measure(own, removals, block, spec, tick)
    rows = len(block) * len(spec.parts(block.inputs, block.inputs))
    if rows > program.most_rows:
        half, rest = len(block) // 2, len(block)
        return Outcomes.concatenate(
            [
                measure(program, network, removals, block.part(0, half), spec),
                measure(program, network, removals, block.part(half, rest), spec, tick),
            ]
        )
    with torch.inference_mode():
        measurement = _BlockMeasurement(program, network, block, spec)
        results: list[Result] = [measurement.unfiltered] * len(removals)
        pending = stages(program, removals)
        executor = PrefixExecutor(program, pending, measurement.inputs)
        for number, stage in enumerate(pending):
            executor.advance(stage, number)
            rounding, checked = measurement.check_stage(executor, stage, removals)
            for row in stage.rows:
                if row in checked:
                    results[row] = checked[row]
                elif stage.reaches:
                    answer = executor.filtered(stage, removals[row])
                    results[row] = measurement.result(answer, removals[row], rounding)
                tick()
    return Outcomes.of(measurement.unfiltered[:2], results, measurement.idle)


class _BlockMeasurement:
    """The measurement of one block."""

    def __init__(
        self, program: Program, network: nn.Module, block: Block, spec: MeasurementSpec
    ) -> None:
        self.program, self.network, self.spec = program, network, spec
        with recheck.exclusive_access(network):
            attacked, self.idle = plain.attack_block(network, block, spec)
        self.parts = spec.parts(block.inputs, attacked)
        self.inputs = join_rows(self.parts)
        self.part_labels = spec.parts(block.labels, block.stressed_labels)
        self.labels = join_rows(self.part_labels)
        self.answer = run_program(program, self.inputs)
        rounding = recheck.Rounding(recheck.largest(self.answer.logits).max().item())
        self.rounding = rounding
        if program.exact:
            self.rounding = measure_rounding(network, None, self.inputs, self.answer, rounding)
        self.unfiltered = (*self.score(self.answer, None, self.rounding), False)

    def check_stage(
        self, executor: PrefixExecutor, stage: Stage, removals: Sequence[Removal]
    ) -> tuple[recheck.Rounding, dict[int, Result]]:
        """Return how far rounding moves logits by a look at a few removals, and their results."""
        rounding, results = self.rounding, {}
        for row in checked_rows(stage, removals) if self.program.exact else ():
            removal, before = removals[row], rounding
            answer = executor.filtered(stage, removal)
            rounding = measure_rounding(self.network, removal, self.inputs, answer, rounding)
            if rounding != before:
                results = {}  # found under margins that have turned out to be too narrow
            results[row] = self.result(answer, removal, rounding)
        return rounding, results

    def result(self, answer: Answer, removal: Removal, rounding: recheck.Rounding) -> Result:
        if same(answer.logits, self.answer.logits):
            return self.unfiltered
        return (*self.score(answer, removal, rounding), True)

    def score(
        self, answer: Answer, removal: Removal | None, rounding: recheck.Rounding
    ) -> tuple[Tensor, Tensor]:
        """Return the performance on each clean sample, and on each perturbed one."""
        metric = self.spec.metric
        logits = recheck.recheck_logits(
            self.network,
            removal,
            self.parts,
            answer,
            self.labels,
            metric,
            rounding=rounding,
        )
        outputs = logits.chunk(len(self.parts))
        pairs = zip(outputs, self.part_labels, strict=True)
        return self.spec.pair([metric.measure(*pair) for pair in pairs])


def _refuse_shared_memory(network: nn.Module) -> None:
    """Refuse parameters that overlap in memory: filtering one would change the other unseen."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes, name)
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
        if tensor.nbytes
    )
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end:
            raise NotExportable(f"its tensors {one!r} and {other!r} share memory")


def _rounding(program: Program, network: nn.Module, example: Tree, tolerance: float) -> float:
    """Return how far a program's logits are from the network's, as a share of the largest.

    Raises:
        NotExportable: If that is more than rounding.
    """
    rows = repeat_rows(example, 2)
    with recheck.exclusive_access(network), evaluation_mode(network), torch.inference_mode():
        expected = outputs_of(network, rows)
        try:
            logits = run_program(program, rows).logits
        except EXPORT_ERRORS as error:
            raise NotExportable(f"its program does not run: {error}") from error
    scale = expected.abs().amax().clamp_min(torch.finfo(expected.dtype).tiny)
    if logits.shape != expected.shape:
        raise NotExportable("its program computes other logits than the network")
    moved = ((logits - expected).abs().amax() / scale).item()
    if not moved <= tolerance:
        raise NotExportable(
            "its program computes other logits than the network, by up to "
            f"{moved:.2g} of the largest"
        )
    return moved
