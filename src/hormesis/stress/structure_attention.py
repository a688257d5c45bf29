"""The heads of each attention of a network: which values of its matrices belong to which head.

What is known of a layout is in the two tables here, and ``tests/stress/test_structure.py`` proves
each by a run: without the values of a head, a network computes what it does without the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hormesis.settings.targets import PartPattern
from hormesis.stress.structure_tree import ADAPTED, Matrix, ModuleTree, is_inside

# Queries, keys and values of their own: in each, the channels of a head are neighbours.
_SEPARATE = (
    ("q_proj", "k_proj", "v_proj"),
    ("query", "key", "value"),
    ("q", "k", "v"),
    ("q_lin", "k_lin", "v_lin"),
    ("query_proj", "key_proj", "value_proj"),
    ("q_head", "k_head", "v_head"),
    ("q_proj_weight", "k_proj_weight", "v_proj_weight"),
)
# Where the output projection is, from the attention and from the module around it.
_OUTPUTS = ("o_proj", "out_proj", "o", "out_lin", "dense", "Wo", "proj", "c_proj", "post_proj")
_OUTPUTS_AROUND = ("output.dense",)
_STACKED, _BY_GROUP, _FALCON = "stacked", "by group", "falcon"
# One matrix for all three, whose order nothing but the class tells: by its name, where it may come
# from, the name of the matrix, and whether all queries come first, then all keys and all values, or
# each group of heads has its own together.
_FUSED = {
    "MultiheadAttention": ("torch.nn", "in_proj_weight", _STACKED),
    "ShiftedWindowAttention": ("torchvision.models.swin_transformer", "qkv", _STACKED),
    "ShiftedWindowAttentionV2": ("torchvision.models.swin_transformer", "qkv", _STACKED),
    "Attention": (
        ("timm.layers.attention", "timm.models.vision_transformer", "timm.models.beit"),
        "qkv",
        _STACKED,
    ),
    "WindowAttention": ("timm.models.swin_transformer", "qkv", _STACKED),
    "EvaAttention": ("timm.models.eva", "qkv", _STACKED),
    "GPT2Attention": ("transformers", "c_attn", _STACKED),
    "ImageGPTAttention": ("transformers", "c_attn", _STACKED),
    "DecisionTransformerGPT2Attention": ("transformers", "c_attn", _STACKED),
    "ModernBertAttention": ("transformers", "Wqkv", _STACKED),
    "MptAttention": ("transformers", "Wqkv", _STACKED),
    "Phi3Attention": ("transformers", "qkv_proj", _STACKED),
    "GPTNeoXAttention": ("transformers", "query_key_value", _BY_GROUP),
    "BloomAttention": ("transformers", "query_key_value", _BY_GROUP),
    "PersimmonAttention": ("transformers", "query_key_value", _BY_GROUP),
    "DisentangledSelfAttention": ("transformers", "in_proj", _BY_GROUP),
    "FalconAttention": ("transformers", "query_key_value", _FALCON),
    "CausalSelfAttention": ("", "c_attn", _STACKED),  # minGPT, nanoGPT and what follows them
}
_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head")
_CHANNELS = ("head_dim", "attention_head_size", "head_size", "key_value_proj_dim", "d_head")
Parts = tuple[PartPattern, ...]


@dataclass(frozen=True)
class AttentionParts:
    """What belongs to each head of an attention.

    Args:
        path: Path of its module.
        queries: The rows of each head's queries.
        keys: The rows of the keys of each key-value head; as many as heads, or fewer.
        values: The same of the values.
        outputs: The columns of the output projection that read each head.
    """

    path: str
    queries: Parts
    keys: Parts
    values: Parts
    outputs: Parts


@dataclass(frozen=True)
class UnknownAttention:
    """An attention whose heads cannot be told.

    Args:
        path: Path of its module.
        reason: Why, as the end of a sentence.
    """

    path: str
    reason: str


def find_attentions(tree: ModuleTree) -> list[AttentionParts | UnknownAttention]:
    """Return every attention of a network, in the order of its modules.

    Args:
        tree: The network.
    """
    found = {path: _read(tree, path) for path in tree.modules}
    known = {path: one for path, one in found.items() if isinstance(one, AttentionParts)}
    seen = [path for path, one in found.items() if one is not None]
    for path in tree.attentions():
        if not any(path == own or is_inside(path, own) for own in seen):
            kind = type(tree.modules[path]).__name__
            found[path] = UnknownAttention(path, f"the layout of {kind} is not known")
    return [
        one
        for path, one in found.items()
        if one is not None and not any(is_inside(path, own) for own in known)
    ]


def _read(tree: ModuleTree, path: str) -> AttentionParts | UnknownAttention | None:
    """Return the attention at a path; None if there is none."""
    kind = type(tree.modules[path])
    homes, name, order = _FUSED.get(kind.__name__, ("", "", ""))
    if name and kind.__module__.startswith(homes):
        fused = tree.matrix(_within(path, name))
        if fused is not None:
            return _fused(tree, path, fused, order)
    for names in _SEPARATE:
        matrices = [tree.matrix(_within(path, name)) for name in names]
        three = [matrix for matrix in matrices if matrix is not None]
        if len(three) == 3:
            return _separate(tree, path, three)
    return None


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _output(tree: ModuleTree, path: str) -> Matrix | None:
    """Return the output projection of an attention, if there is just one."""
    parent = path.rpartition(".")[0]
    places = [_within(path, name) for name in _OUTPUTS]
    places += [_within(parent, name) for name in _OUTPUTS_AROUND]
    # What an adapter adds to the output reads all heads.
    places = [place for place in places if f"{place}.{ADAPTED}" not in tree.modules]
    found = {one.name: one for one in map(tree.matrix, places) if one is not None}
    return next(iter(found.values())) if len(found) == 1 else None


def _separate(
    tree: ModuleTree, path: str, three: Sequence[Matrix]
) -> AttentionParts | UnknownAttention:
    queries, keys, values = three
    output = _output(tree, path)
    if output is None:
        return UnknownAttention(path, "it has no output projection of a known name")
    heads = _heads(tree, path, queries.outputs)
    if heads is None:
        return UnknownAttention(path, f"its {queries.outputs} channels do not tell how many heads")
    channels = queries.outputs // heads
    groups = keys.outputs // channels
    fits = (
        queries.outputs == heads * channels
        and groups > 0
        and keys.outputs == groups * channels
        and heads % groups == 0
        and values.outputs % groups == 0
        and output.inputs == heads * (values.outputs // groups)
    )
    if not fits:
        sizes = f"{queries.outputs}, {keys.outputs}, {values.outputs} and {output.inputs}"
        return UnknownAttention(
            path,
            f"{heads} heads do not fit queries, keys, values and outputs of {sizes} channels",
        )
    return AttentionParts(
        path,
        _slices(queries, heads, range(heads)),
        _slices(keys, groups, range(groups)),
        _slices(values, groups, range(groups)),
        _columns(output, heads),
    )


def _fused(
    tree: ModuleTree, path: str, fused: Matrix, order: str
) -> AttentionParts | UnknownAttention:
    output = _output(tree, path)
    heads = None if output is None else _heads(tree, path, output.inputs)
    if output is None or heads is None:
        return UnknownAttention(path, "its output projection does not tell how many heads")
    units, rest = divmod(fused.outputs, output.inputs // heads)
    groups, odd = divmod(units - heads, 2)
    if rest or odd or groups < 1 or heads % groups or output.inputs % heads:
        return UnknownAttention(
            path, f"{heads} heads do not fit {fused.outputs} channels of {fused.name}"
        )
    if order == _FALCON:
        module = tree.modules[path]
        apart = not getattr(module, "new_decoder_architecture", False)
        order = _STACKED if apart and getattr(module, "multi_query", False) else _BY_GROUP
    each = heads // groups
    if order == _STACKED:
        queries, keys = list(range(heads)), list(range(heads, heads + groups))
        values = [key + groups for key in keys]
    else:
        starts = range(0, units, each + 2)
        queries = [start + head for start in starts for head in range(each)]
        keys = [start + each for start in starts]
        values = [key + 1 for key in keys]
    return AttentionParts(
        path,
        _slices(fused, units, queries),
        _slices(fused, units, keys),
        _slices(fused, units, values),
        _columns(output, heads),
    )


def _heads(tree: ModuleTree, path: str, channels: int) -> int | None:
    """Return the number of heads, as the module or its configuration says; None if neither does.

    The channels of one head come first: an encoder and a decoder may share a configuration that has
    the number of heads of one of them.
    """
    module = tree.modules[path]
    own = next((n for n in _HEADS if type(getattr(module, n, None)) is int), None)
    if own is not None:
        return getattr(module, own)
    size = tree.setting(path, _CHANNELS)
    if size is not None and channels % size == 0:
        return channels // size
    return tree.setting(path, _HEADS)


def _slices(matrix: Matrix, of: int, indices: Sequence[int]) -> Parts:
    return tuple(PartPattern(matrix.name, matrix.output_axis, of, index) for index in indices)


def _columns(matrix: Matrix, heads: int) -> Parts:
    return tuple(PartPattern(matrix.name, matrix.input_axis, heads, head) for head in range(heads))
