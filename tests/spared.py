"""What the suite need not do for each of its small studies, as it takes longer than they do.

Equal networks are compiled once: PyTorch takes half a second to export the smallest. Programs do
not change while they run, so that studies can share them. And no study finds out how much memory
it takes, as the smallest fits anywhere; ``engine/test_memory.py`` lets its studies do so.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn
from torch.utils._pytree import tree_structure

from hormesis.data.trees import Tree, tensors_in
from hormesis.engine import engines
from hormesis.engine.graph import Program
from hormesis.engine.memory import Footprint
from hormesis.measure import shard_worker

_MOST = 100_000  # parameters of a network whose program is kept
_CANNOT_BE_PICKLED = (pickle.PicklingError, AttributeError, TypeError, RuntimeError)


@contextmanager
def spared() -> Iterator[None]:
    """Compile no network anew for a study, and let none find out what it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "compile_network", _remembering(engines.compile_network))
        patch.setattr(shard_worker, "footprint", lambda *_: Footprint(np.zeros(1), np.zeros(1)))
        yield


def _remembering(compiled: Callable[..., Program]) -> Callable[..., Program]:
    """Return what compiles a network only where no equal one was compiled before."""
    known: dict[object, Program] = {}

    def remembered(network: nn.Module, example: Tree, **options: Any) -> Program:
        key = _identity(network, example, options)
        if key is None:
            return compiled(network, example, **options)
        if key not in known:
            known[key] = compiled(network, example, **options)
        return known[key]

    return remembered


class _Pickler(pickle.Pickler):
    """Writes tensors by their values; PyTorch itself writes where they are in memory, too."""

    def reducer_override(self, obj: object) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        return bytes, (obj.detach().numpy().tobytes(), obj.dtype, obj.shape, obj.requires_grad)


def _identity(network: nn.Module, example: Tree, options: dict[str, Any]) -> object:
    """Return what tells a network from others, with its very classes; None for those not kept."""
    if sum(parameter.numel() for parameter in network.parameters()) > _MOST:
        return None
    content = BytesIO()
    try:
        _Pickler(content).dump(network)
    except _CANNOT_BE_PICKLED:  # it has hooks, or a class within a function
        return None
    classes = tuple(type(module) for module in network.modules())
    forms = tuple((leaf.shape, leaf.dtype) for leaf in tensors_in(example))
    structure = str(tree_structure(example))
    return content.getvalue(), classes, structure, forms, tuple(sorted(options.items()))
