"""A network as a flat functional program: what is computed again when a parameter changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from hormesis.engine.dataflow import Flow
from hormesis.errors import ModelError

EXPORT_ERRORS = (
    RuntimeError,  # torch.export's own errors derive from it, or from one of the others
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
)
_STATEMENTS = ("_assert", "sym_constrain_range")  # nodes that check and compute nothing


class NotExportable(ModelError):  # noqa: N818
    """A network has no functional program; it can still be run in full."""


@dataclass(frozen=True)
class Slot:
    """Place of a value in a run."""

    index: int


@dataclass(frozen=True)
class Call:
    """One operation of a program.

    Args:
        function: What is called; it changes none of its arguments.
        args: Positional arguments, a ``Slot`` for each computed value.
        kwargs: The same for named arguments.
        out: Slot of the result.
        reads: Slots of the arguments, each once.
        live: Whether the result depends on the network's input.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: int
    reads: tuple[int, ...]
    live: bool


@dataclass(frozen=True)
class Program:
    """A network in evaluation mode as a list of operations without side effects.

    Nothing in it changes while it runs, so that threads can share it.

    Args:
        calls: All operations that depend on the input or on a parameter, in order.
        constants: One value a slot: parameters, buffers and what follows from them alone; None for
            what depends on the input.
        parameters: Slot of each parameter, by each of its names.
        descendants: Places in ``calls`` of what depends on a parameter, by each of its names.
        inputs: Slot of each leaf of the inputs, in the order of their structure.
        output: Slot of the logits, or of whatever output is measured.
        before: Slot of the input of the last ReLU, where no logit can be negative because of it.
        literal: The same network in PyTorch's own operations, whose gradients are those of the
            network bit for bit; None where they are not.
        flow: Which parameter feeds which.
        rounding: Largest difference seen between its logits and the network's, as a share of the
            largest logit.
        exact: Whether it computes in the network's own data type, so that nothing but rounding
            tells the two apart.
        most_rows: How many samples it takes at most.
    """

    calls: tuple[Call, ...] = field(repr=False)
    constants: tuple[Any, ...] = field(repr=False)
    parameters: Mapping[str, int] = field(repr=False)
    descendants: Mapping[str, frozenset[int]] = field(repr=False)
    inputs: tuple[int, ...]
    output: int
    before: int | None = None
    literal: "Program | None" = field(default=None, repr=False)
    flow: Flow = field(default=(), repr=False)
    rounding: float = 0.0
    exact: bool = True
    most_rows: int = 65535

    def weights(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Return the unfiltered parameters of these names."""
        return {name: self.constants[self.parameters[name]] for name in names}


@dataclass(frozen=True)
class Schedule:
    """Some calls of a program in order, each with the slots that are not needed after it."""

    steps: tuple[tuple[Call, tuple[int, ...]], ...]

    def run(self, values: list[Any]) -> None:
        """Compute the calls in place of ``values``, one value a slot."""
        for call, free in self.steps:
            values[call.out] = call.function(
                *(_filled(argument, values) for argument in call.args),
                **{name: _filled(argument, values) for name, argument in call.kwargs.items()},
            )
            for slot in free:
                values[slot] = None


def schedule(program: Program, indices: Iterable[int]) -> Schedule:
    """Return the calls at ``indices``; only what they compute themselves is freed."""
    calls = [program.calls[index] for index in sorted(indices)]
    own = {call.out for call in calls}
    seen = {program.output, program.before}
    steps = []
    for call in reversed(calls):
        ends = [slot for slot in (*call.reads, call.out) if slot in own and slot not in seen]
        seen.update(ends)
        steps.append((call, tuple(ends)))
    return Schedule(tuple(reversed(steps)))


def lower(exported: ExportedProgram, network: nn.Module) -> Program:
    """Return the flat program of an exported network.

    Args:
        exported: What ``tracing.export`` returned, its graph rewritten or not.
        network: The network it came from, for the names of its parameters.
    """
    builder = _Builder(_names(network))
    signature = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            builder.place(node, signature[node.name], exported)
        elif node.op == "get_attr":
            builder.slots[node] = builder.add(getattr(exported.graph_module, str(node.target)))
        elif node.op == "call_function" and not _is_statement(node):
            builder.call(node)
        elif node.op == "output":
            (result,) = pytree.tree_leaves(node.args)
            relu = last_relu(result)
            before = None if relu is None else builder.slots[relu.all_input_nodes[0]]
            builder.add_unused(network)
            program = builder.finish(builder.slots[result], before)
            return replace(program, most_rows=most_rows(exported))
    raise AssertionError("an exported graph ends with its output")


def most_rows(exported: ExportedProgram) -> int:
    """Return how many samples an exported network takes at most; 0 if it takes one number only."""
    sizes = [
        node.meta["val"].shape[0]
        for node in exported.graph.find_nodes(op="placeholder")
        if node.name in exported.graph_signature.user_inputs
    ]
    if not all(isinstance(size, torch.SymInt) for size in sizes):
        return 0
    ranges = exported.range_constraints
    return min(int(min(ranges[size.node.expr].upper, 65535)) for size in sizes)


def last_relu(result: fx.Node) -> fx.Node | None:
    """Return the ReLU whose outputs, averaged over positions, are the logits, or None."""
    aten = torch.ops.aten
    averages = (
        *(aten.view.default, aten.reshape.default, aten.flatten.using_ints, torch.reshape),
        *(aten.adaptive_avg_pool2d.default, aten.mean.dim),
    )
    node = result
    while node.target in averages and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    channels = [other.meta["val"].shape[1:2] for other in (node, result) if "val" in other.meta]
    is_last_relu = (
        node.target is aten.relu.default and len(channels) == 2 and channels[0] == channels[1]
    )
    return node if is_last_relu else None


class _Builder:
    """Collects slots and calls, and computes at once what depends on neither input nor filter."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = names
        self.slots: dict[fx.Node, int] = {}
        self.values: list[Any] = []
        self.live: set[int] = set()
        self.roots: list[frozenset[int]] = []  # the parameters' slots that a slot depends on
        self.parameters: dict[str, int] = {}
        self.calls: list[Call] = []
        self.inputs: list[int] = []

    def add(self, value: Any, roots: frozenset[int] = frozenset()) -> int:  # noqa: ANN401
        self.values.append(value)
        self.roots.append(roots)
        return len(self.values) - 1

    def place(self, node: fx.Node, spec: Any, exported: ExportedProgram) -> None:  # noqa: ANN401
        if spec.kind == InputKind.USER_INPUT:
            slot = self.slots[node] = self.add(None)
            self.inputs.append(slot)
            self.live.add(slot)
            return
        values = exported.state_dict if spec.target in exported.state_dict else exported.constants
        value = values[spec.target]
        slot = self.slots[node] = self.add(value.detach() if isinstance(value, Tensor) else value)
        if spec.kind == InputKind.PARAMETER:
            self.roots[slot] = frozenset({slot})
            for name in self.names[spec.target]:
                self.parameters[name] = slot

    def call(self, node: fx.Node) -> None:
        def index(value: Any) -> Any:  # noqa: ANN401
            return Slot(self.slots[value]) if isinstance(value, fx.Node) else value

        args, kwargs = fx.node.map_aggregate((node.args, node.kwargs), index)  # pyright: ignore
        reads = tuple(dict.fromkeys(self.slots[source] for source in node.all_input_nodes))
        live = not self.live.isdisjoint(reads)
        roots = frozenset().union(*(self.roots[slot] for slot in reads))
        out = self.slots[node] = self.add(None, roots)
        function: Any = node.target
        call = Call(function, tuple(args), dict(kwargs), out, reads, live)
        if live:
            self.live.add(out)
        else:
            with torch.no_grad():
                schedule_of(call).run(self.values)
        if live or roots:
            self.calls.append(call)

    def add_unused(self, network: nn.Module) -> None:
        """Add the parameters that the graph leaves out, as no output depends on them."""
        for name, parameter in network.named_parameters():
            if name not in self.parameters:
                slot = self.add(parameter.detach())
                self.roots[slot] = frozenset({slot})
                for other in self.names[name]:
                    self.parameters[other] = slot

    def finish(self, output: int, before: int | None) -> Program:
        used = _useful(self.calls, output)
        calls = tuple(call for call in self.calls if call.out in used)
        for slot, value in enumerate(self.values):
            if isinstance(value, Tensor) and slot not in used and not self._is_parameter(slot):
                self.values[slot] = None
        return Program(
            calls=calls,
            constants=tuple(self.values),
            parameters=self.parameters,
            descendants={
                name: frozenset(
                    index for index, call in enumerate(calls) if slot in self.roots[call.out]
                )
                for name, slot in self.parameters.items()
            },
            inputs=tuple(self.inputs),
            output=output,
            before=before,
        )

    def _is_parameter(self, slot: int) -> bool:
        return self.roots[slot] == frozenset({slot})


def schedule_of(call: Call) -> Schedule:
    """Return the schedule of one call, which frees nothing."""
    return Schedule(((call, ()),))


def _useful(calls: Sequence[Call], output: int) -> set[int]:
    """Return the slots that the output depends on."""
    used = {output}
    for call in reversed(calls):
        if call.out in used:
            used.update(call.reads)
    return used


def _names(network: nn.Module) -> dict[str, list[str]]:
    """Return all names of each parameter, by any of them."""
    groups: dict[int, list[str]] = {}
    every = list(network.named_parameters(remove_duplicate=False))
    for name, parameter in every:
        groups.setdefault(id(parameter), []).append(name)
    return {name: groups[id(parameter)] for name, parameter in every}


def _filled(argument: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return an argument with its slots replaced by their values."""
    kind = type(argument)
    if kind is Slot:
        return values[argument.index]
    if isinstance(argument, list | tuple):
        return [_filled(part, values) for part in argument]
    return argument


def _is_statement(node: fx.Node) -> bool:
    return str(getattr(node.target, "__name__", node.target)).startswith(_STATEMENTS)
