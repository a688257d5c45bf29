"""The module tree of a network, as the search for its blocks, heads and parts reads it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from typing import Any

from torch import nn

from hormesis.stress.kinds import kind_by_module, public_name

_ATTENTION = re.compile(r"attention|attn|\bXCA\b", re.IGNORECASE)
_VECTORS = ("bias", "norm", "embedding", "recurrent")
_CONFIGS = ("config", "configuration")
ADAPTED = "base_layer"
"""Name of a layer within one that adds an adapter to it."""


@dataclass(frozen=True)
class Matrix:
    """A weight matrix, whichever way round it is stored.

    Args:
        name: The pattern that matches the name of its parameter alone.
        outputs: Number of its output channels.
        inputs: Number of its input channels.
        output_axis: Axis along which the output channels lie, or the heads that hold them.
        input_axis: The same of the input channels.
    """

    name: str
    outputs: int
    inputs: int
    output_axis: int = 0
    input_axis: int = 1


@dataclass(frozen=True)
class ModuleTree:
    """The modules and parameters of a network without the wrappers of this package.

    Args:
        root: The network.
        modules: Its modules by path, each once.
        parameters: By the ``id`` of each parameter, the pattern that matches its name alone.
    """

    root: nn.Module
    modules: Mapping[str, nn.Module]
    parameters: Mapping[int, str]

    def matrix(self, path: str) -> Matrix | None:
        """Return the weight matrix of a layer or a parameter at a path; None if there is none.

        Of a layer with an adapter, as peft makes them, it is that of the layer itself.
        """
        module = self.modules.get(f"{path}.{ADAPTED}", self.modules.get(path))
        if module is None:
            owner, _, leaf = path.rpartition(".")
            parent = self.modules.get(owner)
            weight = None if parent is None else parent._parameters.get(leaf)
        else:
            weight = module._parameters.get("weight")
        if weight is None or id(weight) not in self.parameters:
            return None
        name, shape = self.parameters[id(weight)], tuple(weight.shape)
        if len(shape) == 3 and module is None:  # width, heads, channels of a head, as in XLNet
            return Matrix(name, shape[1] * shape[2], shape[1] * shape[2], 1, 1)
        if len(shape) != 2:
            return None
        if type(module).__name__ == "Conv1D":  # of transformers, which stores the inputs first
            return Matrix(name, shape[1], shape[0], 1, 0)
        return Matrix(name, *shape)

    def matrices(self, path: str) -> Iterator[str]:
        """Yield the names of all weight matrices and kernels in a module, embeddings apart."""
        module = self.modules[path]
        for own, parameter in module.named_parameters():
            kind = kind_by_module(module, own)
            if parameter.ndim > 1 and kind not in _VECTORS:
                yield self.parameters[id(parameter)]

    def attentions(self) -> list[str]:
        """Return the paths of modules that are attention by the name of their class, innermost."""
        named = [
            path
            for path, module in self.modules.items()
            if _ATTENTION.search(type(module).__name__) and any(self.matrices(path))
        ]
        return [path for path in named if not any(is_inside(other, path) for other in named)]

    def setting(self, path: str, names: tuple[str, ...]) -> int | None:
        """Return a number that a module, or the configuration nearest to it, has by some name.

        Args:
            path: Of the module.
            names: Of the number, the likeliest first.
        """
        while True:
            module = self.modules.get(path)
            for holder in (module, *(getattr(module, name, None) for name in _CONFIGS)):
                for name in names:
                    value: Any = getattr(holder, name, None)
                    if type(value) is int and value > 0:
                        return value
            if not path:
                return None
            path = path.rpartition(".")[0]


def read_tree(network: nn.Module) -> ModuleTree:
    """Return the module tree of a network.

    Args:
        network: Any network.

    Example:
        >>> tree = read_tree(nn.Sequential(nn.Linear(3, 2)))
        >>> tree.matrix("0"), list(tree.matrices(""))
        (Matrix(name='0.weight', outputs=2, inputs=3, output_axis=0, input_axis=1), ['0.weight'])
    """
    root: Any = network
    while public_name(root, "network.weight") == "weight":  # a wrapper of this package
        root = root.network
    names = {id(parameter): escape(name) for name, parameter in root.named_parameters()}
    return ModuleTree(root, dict(root.named_modules()), names)


def is_inside(path: str, other: str) -> bool:
    """Return whether a module lies within another one, which is not itself.

    Example:
        >>> is_inside("h.1.attn", "h.1"), is_inside("h.10", "h.1"), is_inside("h", "")
        (True, False, True)
    """
    return path != other and (not other or path.startswith(f"{other}."))
