"""The blocks of a network, what they are called, and what in them is no attention."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from hormesis.settings.targets import PartPattern
from hormesis.stress.structure_tree import ModuleTree, is_inside

_LISTS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
_NUMBER = re.compile(r"\d+$")
_BOTH = "gate and up"
_GATE_FIRST = ("ModernBertMLP", "Phi3MLP")  # by their classes, as no name tells the order
# What the matrices of a feed-forward part are called, by the end of their path.
_ROLES = {
    "gate": ("gate_proj", "wi_0"),
    "up": (
        *(
            "up_proj",
            "fc1",
            "c_fc",
            "lin1",
            "linear1",
            "linear_1",
            "layer_1",
            "fc_in",
            "wi",
            "wi_1",
        ),
        *("dense_h_to_4h", "intermediate.dense", "intermediate.conv1d", "ffn", "mlp.0"),
        "intermediate_dense",
    ),
    "down": (
        *("down_proj", "fc2", "lin2", "linear2", "linear_2", "layer_2", "fc_out", "wo", "mlp.Wo"),
        *("mlp.c_proj", "dense_4h_to_h", "output.dense", "output.conv1d", "ffn_output", "mlp.3"),
        "output_dense",
    ),
    _BOTH: ("gate_up_proj", "mlp.Wi"),
    "router": ("mlp.gate", "router"),
}


@dataclass(frozen=True)
class TransformerBlock:
    """One of the blocks that a network repeats.

    Args:
        path: Path of its module.
        label: What it is called, such as ``block 03`` or ``encoder block 3``.
    """

    path: str
    label: str


def find_blocks(tree: ModuleTree, attentions: Sequence[str]) -> list[TransformerBlock]:
    """Return the blocks of a network.

    A block is the innermost element of a list of modules that holds an attention and other
    matrices, or no more than the attention; the other elements of its list are blocks, too. Without
    an attention, it is an element of a list of modules of one class, each of which has several
    layers.

    Args:
        tree: The network.
        attentions: Paths of every attention in it.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16)
        >>> encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        >>> from hormesis.stress.structure_tree import read_tree
        >>> [block.label for block in find_blocks(read_tree(encoder), ["layers.0.self_attn"])]
        ['block 0', 'block 1']
    """
    lists: dict[str, None] = {}
    for path in attentions:
        block = _block_around(tree, path)
        if block:
            lists[block.rpartition(".")[0]] = None
    if not attentions:
        alike = [p for p, m in tree.modules.items() if isinstance(m, _LISTS) and _repeats(m)]
        lists = {path: None for path in alike if not any(is_inside(o, path) for o in alike)}
    elements = {path: _elements(tree, path) for path in tree.modules if path in lists}
    names = telling_names(elements)
    blocks = []
    for path, inside in elements.items():
        most = max((index for _, index in inside), default=0)
        for element, index in inside:
            label = f"{names[path]} block {zero_padded(index, most)}".strip()
            blocks.append(TransformerBlock(element, label))
    return blocks


def zero_padded(index: int, most: int) -> str:
    """Return an index with as many digits as the largest one, so that names sort by it.

    Example:
        >>> zero_padded(3, 9), zero_padded(3, 11)
        ('3', '03')
    """
    return str(index).zfill(len(str(most)))


def _block_around(tree: ModuleTree, attention: str) -> str:
    """Return the block of an attention; empty if it is in no list."""
    around, path = [], attention
    while path:
        parent = path.rpartition(".")[0]
        if isinstance(tree.modules[parent], _LISTS):
            around.append(path)
        path = parent
    for element in around:
        own = set(tree.matrices(attention))
        if set(tree.matrices(element)) - own - _of_outputs(tree, attention):
            return element
    return around[0] if around else ""


def _of_outputs(tree: ModuleTree, attention: str) -> set[str]:
    """Return the matrices next to an attention that read its heads, as BERT has them."""
    beside = f"{attention.rpartition('.')[0]}.output"
    return set(tree.matrices(beside)) if beside in tree.modules else set()


def _repeats(modules: nn.Module) -> bool:
    """Return whether a list holds several modules of one class, each of several layers."""
    kinds = [type(module) for module in modules.children()]
    several = all(sum(p.ndim > 1 for p in m.parameters()) > 1 for m in modules.children())
    return len(kinds) > 1 and len(set(kinds)) == 1 and several


def _elements(tree: ModuleTree, path: str) -> list[tuple[str, int]]:
    """Return the elements of a list that have matrices, each with its index."""
    elements = []
    for place, (name, _) in enumerate(tree.modules[path].named_children()):
        element = f"{path}.{name}" if path else name
        if element not in tree.modules or not any(tree.matrices(element)):
            continue  # the same module as another one, or a dropout
        number = _NUMBER.search(name)
        elements.append((element, int(number[0]) if number else place))
    return elements


def telling_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the part of each path that tells it from the others: nothing for a single one.

    Example:
        >>> telling_names(["model.encoder.layers", "model.decoder.layers"])
        {'model.encoder.layers': 'encoder', 'model.decoder.layers': 'decoder'}
        >>> telling_names(["features.1", "features.3"])
        {'features.1': 'features.1', 'features.3': 'features.3'}
    """
    words = {path: path.split(".") for path in paths}
    if len(words) < 2:
        return dict.fromkeys(words, "")
    columns = list(zip(*words.values(), strict=False))
    first = next((n for n, column in enumerate(columns) if len(set(column)) > 1), len(columns))
    turned = list(zip(*(reversed(own) for own in words.values()), strict=False))
    last = next((n for n, column in enumerate(turned) if len(set(column)) > 1), len(turned))
    names = {}
    for path, own in words.items():
        middle = own[first : len(own) - last]
        if middle and all(word.isdecimal() for word in middle):
            middle = own[max(first - 1, 0) : len(own) - last]
        names[path] = ".".join(middle)
    unique = len(set(names.values())) == len(names) and all(names.values())
    return names if unique else {path: path for path in words}


def feed_forward_names(
    tree: ModuleTree, block: TransformerBlock, attentions: Mapping[str, Sequence[str]]
) -> dict[str, list[str | PartPattern]]:
    """Return the matrices of a block that are no part of an attention, by their roles.

    Args:
        tree: The network.
        block: The block.
        attentions: By the path of every attention, the names of its matrices.

    Returns:
        By ``up``, ``gate``, ``down`` or, where there are several of them or an expert has it, the
        path within the block: the patterns of the matrices. Without any attention in the network
        and such a role in the block there are none.
    """
    own = {
        name for path, names in attentions.items() if is_inside(path, block.path) for name in names
    }
    start = len(block.path) + 1 if block.path else 0
    paths = {name: name[start:] for name in tree.matrices(block.path) if name not in own}
    roles = {name: _role(path) for name, path in paths.items()}
    counts = [*roles.values()]
    if not attentions and not any(counts):
        return {}
    named: dict[str, list[str | PartPattern]] = {}
    for name, path in paths.items():
        role = roles[name] if counts.count(roles[name]) == 1 else ""
        owner = tree.modules.get(f"{block.path}.{path}".rsplit(".", 2)[0])
        if role == _BOTH and type(owner).__name__ in _GATE_FIRST:
            named |= {"gate": [PartPattern(name, 0, 2, 0)], "up": [PartPattern(name, 0, 2, 1)]}
        else:
            named[role or _short(path)] = [name]
    return named


def _role(path: str) -> str:
    layer = path.removesuffix(".weight")
    if "expert" in layer:
        return ""
    for role, ends in _ROLES.items():
        if any(layer == end or layer.endswith(f".{end}") for end in ends):
            return role
    return ""


def _short(path: str) -> str:
    return path.removesuffix(".weight").removeprefix("mlp.")
