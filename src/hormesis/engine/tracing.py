"""From a network to a functional graph: what ``torch.export`` makes of its forward pass."""

import copy
import inspect
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.modules import transformer
from torch.utils import _pytree as pytree

from hormesis.data.trees import Tree, repeat_rows, select_rows
from hormesis.engine.graph import EXPORT_ERRORS, NotExportable, most_rows
from hormesis.models.adapter import AdaptedNetwork, unchecked
from hormesis.models.eval_mode import evaluation_mode

_ROWS = 3  # of the example, repeated if need be; a batch of one would be taken for a constant
_FEWEST_ROWS = 16  # that a graph must take: an engine that runs on fewer is none
_LONGEST = 160  # characters of a reason
_CONSTRAINTS = "Constraints violated"  # how PyTorch begins to say that the size of a batch matters


def export(network: nn.Module, example: Tree) -> ExportedProgram:
    """Return the network, in evaluation mode, as a functional graph for any batch from two on.

    Args:
        network: A network of one argument; a copy of it is exported.
        example: At least one sample: a tensor, or a structure of tensors.

    Raises:
        NotExportable: With the reason.
    """
    rows = select_rows(repeat_rows(example, _ROWS), slice(0, _ROWS))
    try:
        twin = copy.deepcopy(network)
    except EXPORT_ERRORS as error:
        raise NotExportable(f"it cannot be copied: {_line(error)}") from error
    with evaluation_mode(twin), torch.no_grad(), _plain_attention(), _quiet():
        if not _is_plain(twin, rows):
            # Of other outputs, such as caches, none is needed.
            twin.forward = unchecked(twin, rows)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            exported = _traced(twin, rows)
        except EXPORT_ERRORS as error:
            raise NotExportable(f"torch.export refused it: {_line(error)}") from error
    mutated = exported.graph_signature.buffers_to_mutate
    if mutated:
        name = next(iter(mutated.values()))
        raise NotExportable(f"it changes its buffer {name!r} when it runs")
    return exported


def _is_plain(network: nn.Module, rows: Tree) -> bool:
    """Return whether a network takes one argument by its name, and returns one tensor."""
    if isinstance(network, AdaptedNetwork) or not isinstance(network(rows), Tensor):
        return False
    kinds = [one.kind for one in inspect.signature(network.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL not in kinds


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Keep PyTorch's transformer layers from what cannot be exported.

    That is their fused operation, and the look at a mask whether it is a causal one, which only
    serves to leave it out.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    look = transformer._detect_is_causal_mask
    transformer._detect_is_causal_mask = lambda mask, is_causal=None, size=None: bool(is_causal)
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = look
        torch.backends.mha.set_fastpath_enabled(fused)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's warnings and pages about an export from the screen.

    What is wrong comes as an error, in one line. Logs that somebody asked for stay.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "TORCH_LOGS" in os.environ:
            yield
            return
        with _without_logs(), redirect_stderr(StringIO()):
            yield


@contextmanager
def _without_logs() -> Iterator[None]:
    top, silent = logging.getLogger("torch"), logging.NullHandler()
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.")]
    loggers = [top, *(logging.getLogger(name) for name in names)]
    handlers = {handler for logger in loggers for handler in logger.handlers}
    passes_on = top.propagate
    top.addHandler(silent)
    top.propagate = False
    for handler in handlers:
        handler.addFilter(_nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_nothing)
        top.propagate = passes_on
        top.removeHandler(silent)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def _traced(network: nn.Module, rows: Tree) -> ExportedProgram:
    # CUDA's kernels guard against more than 65,535 samples; a block has 512 at most.
    batch = Dim("batch", min=2, max=65535)
    try:
        exported = _exported(network, rows, batch, strict=False)
    except EXPORT_ERRORS as error:
        exported = _again(network, rows, batch, error)
    # An empty table leaves every operation whole and makes in-index ones functional.
    return exported.run_decompositions({})


def _again(network: nn.Module, rows: Tree, batch: object, first: BaseException) -> ExportedProgram:
    """Return the graph of a network that could not be traced at once for batches of any size."""
    try:
        # Reading the code instead of running it takes longer, and understands `len(inputs)`.
        return _exported(network, rows, batch, strict=True)
    except EXPORT_ERRORS:
        if not str(first).startswith(_CONSTRAINTS):
            raise
        # Some networks take another way from a certain size on, as for 64 samples and more.
        exported = _exported(network, rows, Dim.AUTO, strict=False)
        if most_rows(exported) < _FEWEST_ROWS:
            raise
        return exported


def _exported(network: nn.Module, rows: Tree, batch: object, *, strict: bool) -> ExportedProgram:
    shapes = pytree.tree_map(lambda leaf: {0: batch} if isinstance(leaf, Tensor) else None, rows)
    return torch.export.export(network, (rows,), dynamic_shapes=(shapes,), strict=strict)


def _line(error: BaseException) -> str:
    """Return the first sentence of an error that says what happened, in one short line."""
    lines = [" ".join(line.split()).strip(" -.") for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_CONSTRAINTS)]
    first = (telling or [type(error).__name__])[0]
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST].rstrip()} ..."
