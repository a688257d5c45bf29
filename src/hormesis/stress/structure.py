"""Groups of a transformer by its structure: blocks, attention heads, projections, embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import nn

from hormesis.errors import ModelError
from hormesis.settings.choices import GROUPINGS, check_choice
from hormesis.settings.targets import PartPattern, Targets
from hormesis.stress.kinds import kind_by_module
from hormesis.stress.structure_attention import (
    AttentionParts,
    UnknownAttention,
    find_attentions,
)
from hormesis.stress.structure_blocks import (
    TransformerBlock,
    feed_forward_names,
    find_blocks,
    telling_names,
    zero_padded,
)
from hormesis.stress.structure_tree import ModuleTree, is_inside, read_tree

Groups = dict[str, list[str | PartPattern]]
_REMEDY = "spell out `groups`, such as {'head 0': [hormesis.part('qkv.weight', 0, 12, 0)]}"


def parts_of(network: nn.Module, what: str) -> Groups:
    """Return the groups of a transformer of one sort, as ``Targets(groups=...)`` takes them.

    They are read from the modules, the names and shapes of their parameters and, where there is
    one, the number of heads in a configuration. A layout that is not known is refused.

    A head is its rows of queries, keys and values, and its columns of the output projection; biases
    stay, and nothing of them passes those columns. Where several heads share keys and values, these
    are a group of their own, ``kv head``, and a head is its queries and its columns. Group names
    count from 0, as the names of the parameters do.

    Args:
        network: A network of transformers, timm or torchvision, or one of
            ``nn.MultiheadAttention``; its weights are not changed.
        what: ``"blocks"``, ``"attention"``, ``"heads"``, ``"projections"``, ``"mlp"`` or
            ``"embeddings"``.

    Returns:
        The patterns of each group by its name.

    Raises:
        SettingError: For another word.
        ModelError: If there are none, or their layout is not known.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16)
        >>> encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        >>> list(parts_of(encoder, "heads"))
        ['block 0 head 0', 'block 0 head 1', 'block 1 head 0', 'block 1 head 1']
        >>> [str(part) for part in parts_of(encoder, "projections")["block 1 keys"]]
        ['layers.1.self_attn.in_proj_weight@0:1/3']
        >>> parts_of(encoder, "blocks")["block 1"]
        ['layers.1.*']
    """
    check_choice("part of a network", what, tuple(GROUPINGS))
    structure = _Structure(read_tree(network))
    makers = {
        "blocks": structure.whole_blocks,
        "attention": structure.whole_attentions,
        "heads": structure.heads,
        "projections": structure.projections,
        "mlp": structure.feed_forward,
        "embeddings": structure.embeddings,
    }
    groups = makers[what]()
    if not groups:
        raise ModelError(
            f"The network, {type(structure.tree.root).__name__}, has no {what} that its modules "
            f"tell: {_REMEDY}."
        )
    return groups


def with_groups(network: nn.Module, targets: Targets) -> Targets:
    """Return a selection whose groups are spelled out.

    Args:
        network: The network.
        targets: A selection; without a word such as ``"heads"`` for its groups it stays as it is.

    Raises:
        ModelError: See ``parts_of``.
    """
    if isinstance(targets.groups, Mapping):
        return targets
    groups: Groups = {}
    for what in targets.groups:
        groups |= parts_of(network, what)
    return replace(targets, groups=groups)


@dataclass(frozen=True)
class _Structure:
    """The blocks and attentions of a network, and the groups that are made of them."""

    tree: ModuleTree

    @cached_property
    def found(self) -> list[AttentionParts | UnknownAttention]:
        return find_attentions(self.tree)

    @cached_property
    def blocks(self) -> list[TransformerBlock]:
        return find_blocks(self.tree, [one.path for one in self.found])

    @property
    def attentions(self) -> list[AttentionParts]:
        """Every attention; one whose heads cannot be told is refused."""
        for one in self.found:
            if isinstance(one, UnknownAttention):
                raise ModelError(
                    f"The attention {one.path} is not understood: {one.reason}; {_REMEDY}."
                )
        return [one for one in self.found if isinstance(one, AttentionParts)]

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each attention is called: its block, and what it is in the block."""
        block_of = {one.path: self._block(one.path) for one in self.found}
        labels = {}
        for path, block in block_of.items():
            if block is None:
                alone = len(block_of) == 1
                labels[path] = "" if alone else path
                continue
            same = [other for other, its in block_of.items() if its == block]
            roles = {other: _role(other) for other in same}
            clear = len(set(roles.values())) == len(same)
            role = roles[path] if clear else path[len(block.path) + 1 :]
            labels[path] = block.label if len(same) == 1 else f"{block.label} {role}"
        return labels

    def _block(self, path: str) -> TransformerBlock | None:
        around = [one for one in self.blocks if path == one.path or is_inside(path, one.path)]
        return max(around, key=lambda block: len(block.path), default=None)

    def whole_blocks(self) -> Groups:
        return {block.label: [f"{block.path}.*"] for block in self.blocks}

    def whole_attentions(self) -> Groups:
        return {
            f"{self.labels[one.path]} attention".strip(): [*self._matrices(one)]
            for one in self.attentions
        }

    def _matrices(self, one: AttentionParts) -> list[str]:
        """Return the names of the matrices of an attention, its output projection included."""
        return list(dict.fromkeys([*self.tree.matrices(one.path), one.outputs[0].pattern]))

    def heads(self) -> Groups:
        groups: Groups = {}
        for one in self.attentions:
            label, count, shared = self.labels[one.path], len(one.queries), len(one.keys)
            own = shared == count
            for head in range(count):
                parts = [one.queries[head], *((one.keys[head], one.values[head]) if own else ())]
                name = f"{label} head {zero_padded(head, count - 1)}".strip()
                groups[name] = _joined([*parts, one.outputs[head]])
            for head in range(0 if own else shared):
                name = f"{label} kv head {zero_padded(head, shared - 1)}".strip()
                groups[name] = _joined([one.keys[head], one.values[head]])
        return groups

    def projections(self) -> Groups:
        groups: Groups = {}
        for one in self.attentions:
            label = self.labels[one.path]
            roles = {"queries": one.queries, "keys": one.keys, "values": one.values}
            for role, parts in (*roles.items(), ("output", one.outputs)):
                groups[f"{label} {role}".strip()] = _joined(parts)
        return groups

    def feed_forward(self) -> Groups:
        attentions = {one.path: self._matrices(one) for one in self.attentions}
        return {
            f"{block.label} mlp {role}": [*names]
            for block in self.blocks
            for role, names in feed_forward_names(self.tree, block, attentions).items()
        }

    def embeddings(self) -> Groups:
        root = self.tree.root
        names = [
            self.tree.parameters[id(parameter)]
            for name, parameter in root.named_parameters()
            if kind_by_module(root, name) == "embedding"
        ]
        leaves = {name: name.removesuffix(".weight").rpartition(".")[2] for name in names}
        groups: Groups = {}
        for name, leaf in leaves.items():
            same = telling_names([other for other in names if leaves[other] == leaf])
            groups[" ".join(["embedding", *same[name].split(), leaf])] = [name]
        return groups


def _role(attention: str) -> str:
    """Return whether an attention reads its own block's sequence or another one, by its name."""
    name = attention.lower()
    return "cross" if any(word in name[-24:] for word in ("cross", "enc", "multihead")) else "self"


def _joined(parts: Sequence[PartPattern]) -> list[str | PartPattern]:
    """Return parts with those that are neighbours joined, and whole parameters by their names.

    Example:
        >>> [str(one) for one in _joined([PartPattern("a", 0, 6, 2), PartPattern("a", 0, 6, 3)])]
        ['a@0:1/3']
        >>> _joined([PartPattern("a", 0, 2, 1), PartPattern("a", 0, 2, 0)])
        ['a']
    """
    joined: list[str | PartPattern] = []
    for one in dict.fromkeys((part.pattern, part.axis, part.of) for part in parts):
        pattern, axis, of = one
        places = sorted({p.index for p in parts if (p.pattern, p.axis, p.of) == one})
        first, count = places[0], len(places)
        together = places == list(range(first, first + count))
        if count == of:
            joined.append(pattern)
        elif together and of % count == 0 and first % count == 0:
            joined.append(PartPattern(pattern, axis, of // count, first // count))
        else:
            joined.extend(PartPattern(pattern, axis, of, place) for place in places)
    return joined
