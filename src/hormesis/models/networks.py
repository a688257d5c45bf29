"""Networks by name, and the check that a network fits its data."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torchvision.models import get_model, list_models

from hormesis.data.trees import Tree, count_rows
from hormesis.errors import HormesisError, MissingExtraError, ModelError, quoted, recipe, unknown
from hormesis.models.adapter import inner_network, pick_output
from hormesis.models.forward_failure import forward_failure
from hormesis.models.small_stem import with_small_stem
from hormesis.settings.choices import STEMS, check_choice
from hormesis.settings.factory import HUGGING_FACE, load_factory, users_code

PAPER = ("resnet18", "resnet50", "squeezenet1_1", "shufflenet_v2_x1_0")
OTHERS = (
    "any other torchvision classification name",
    "timm:NAME",
    "module:factory",
    "hf:FOLDER of a language model",
)
# Errors that torchvision and timm raise for a size that a family cannot be built for.
BUILD_ERRORS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


def build_model(
    name: str,
    *,
    classes: int,
    channels: int,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    stem: str = "standard",
) -> nn.Module:
    """Return a network with fresh random weights; nothing is ever downloaded.

    A first convolution that takes another number of channels is replaced by one with PyTorch's
    default weights and everything else equal, as the authors do for MNIST (METHOD, section 7).
    GoogLeNet and Inception come without their auxiliary heads, which only training uses.

    Args:
        name: A torchvision classification name, ``timm:NAME``, or ``module:factory``: a function
            without arguments, a class, or a network, which has to fit the data by itself.
        classes: Number of classes of the data, at least 1.
        channels: Number of input channels of the data, at least 1.
        size: Height and width of the data in pixels, for the families that are built for one size
            (ViT, MaxViT and many of timm's); ``None`` keeps the family's own.
        seed: Seed of the weights; the global random state stays as it was.
        stem: ``"small"`` takes a first layer for images of some 32×32 pixels, see
            ``with_small_stem``.

    Raises:
        SettingError: For another stem.
        ModelError: For an unknown name, or a network that cannot be built so.
        MissingExtraError: When timm is needed and not installed.
        SettingError: When ``module:factory`` does not exist, or fails.

    Example:
        >>> network = build_model("resnet18", classes=10, channels=1, size=(32, 32))
        >>> network.conv1.in_channels, network.fc.out_features
        (1, 10)
    """
    for what, count in (("classes", classes), ("channels", channels)):
        if count < 1:
            raise ModelError(f"Expected `{what}` to be at least 1, got {count}.")
    check_choice("stem", stem, STEMS)
    with _seed_weights(seed):
        if name.startswith("timm:"):
            network = _from_timm(name, classes, channels, size)
        elif ":" in name and not name.startswith(HUGGING_FACE):
            network = _from_factory(name)
        else:
            network = _from_torchvision(name, classes, channels, size)
        return with_small_stem(network) if stem == "small" else network


def check_name(name: str) -> None:
    """Refuse a name that ``build_model`` does not know, without building the network.

    Raises:
        ModelError: For an unknown name.
        MissingExtraError: When timm is needed and not installed.
        SettingError: When the attribute that ``module:factory`` names does not exist.

    Example:
        >>> check_name("resnet18")
    """
    if name.startswith(HUGGING_FACE):
        raise ModelError(
            f"Expected the name of a network for images, got the language model {name}: `analyze` "
            "takes it with a file of texts, and `hormesis.load_language_model` in Python."
        )
    if name.startswith("timm:"):
        find_timm(name)
    elif ":" in name:
        load_factory(name, "model")
    elif name not in _torchvision_names():
        raise ModelError(_unknown_model(name, _torchvision_names()))


def logits_of(output: object) -> Float[Tensor, "batch classes"]:
    """Return the logits in the output of a network.

    Args:
        output: The logits, a mapping or object with ``logits``, or a tuple or list that starts with
            them.

    Raises:
        ModelError: If there are none, or they are not floating-point ``[batch, classes]``.

    Example:
        >>> logits_of({"logits": torch.zeros(2, 3), "loss": None}).shape
        torch.Size([2, 3])
    """
    logits = output
    if isinstance(output, Mapping):
        logits = output.get("logits")
    elif hasattr(output, "logits"):
        logits = output.logits  # pyright: ignore[reportAttributeAccessIssue]
    elif isinstance(output, tuple | list) and output:
        logits = output[0]
    if not isinstance(logits, Tensor):
        raise ModelError(
            "Expected the network to return logits: a tensor, an object or mapping with `logits`, "
            f"or a tuple that starts with them, got {type(output).__name__}."
        )
    if logits.ndim != 2 or not logits.is_floating_point():
        raise ModelError(
            "Expected the network to return floating-point logits of shape [batch, classes], got "
            f"{logits.dtype} of shape {list(logits.shape)}."
        )
    return logits


def check_outputs(network: nn.Module, inputs: Tree) -> None:
    """Refuse a network whose weights or outputs are not finite, or that cannot run.

    The network runs once, as in ``check_network``.

    Args:
        network: A network of one argument.
        inputs: A few samples, on the network's device.

    Raises:
        ModelError: For weights or outputs that are not finite, a forward pass that fails, or an
            output that is no row of numbers a sample.

    Example:
        >>> check_outputs(nn.Linear(4, 2), torch.zeros(2, 4))
    """
    check_weights(network)
    outputs = pick_output(_outputs(network, inputs), None, count_rows(inputs))
    if not bool(outputs.isfinite().all()):
        raise ModelError(
            "The network returns NaN or infinite outputs: check its weights, and that the inputs "
            "are in the range it was trained with."
        )


def check_network(network: nn.Module, inputs: Tree, classes: int) -> None:
    """Refuse a network that cannot be measured on these data.

    The network runs once, in evaluation mode and without gradients; the mode of each of its
    modules is restored. More outputs than classes are allowed: a subset of ImageNet's classes.

    Args:
        network: The network, normalisation included.
        inputs: A small batch, in input units, on the network's device.
        classes: Number of classes of the data.

    Raises:
        ModelError: For weights or logits that are not finite, a forward pass that fails, an output
            that holds no logits, or fewer outputs than classes.

    Example:
        >>> check_network(nn.Linear(4, 2), torch.zeros(1, 4), classes=3)
        Traceback (most recent call last):
        hormesis.errors.ModelError: The network has 2 output(s) and the data have 3 classes: ...
    """
    check_weights(network)
    logits = pick_output(_outputs(network, inputs), None, count_rows(inputs))
    if logits.ndim != 2:
        raise ModelError(
            "Expected the network to return logits of shape [batch, classes] for labels that are "
            f"one class a sample, got outputs of shape {list(logits.shape)}: choose the `output` "
            "that holds the logits, or take their mean over all other axes in the network"
            f"{recipe('several-outputs')}."
        )
    if logits.shape[1] < classes:
        raise ModelError(
            f"The network has {logits.shape[1]} output(s) and the data have {classes} classes: "
            "pass a network, and weights, made for these data; labels count from 0."
        )
    if not bool(logits.isfinite().all()):
        raise ModelError(
            "The network returns NaN or infinite logits: check its weights, and that the inputs "
            "are in the range it was trained with."
        )


@contextmanager
def _seed_weights(seed: int) -> Iterator[None]:
    """Draw from ``seed`` on the CPU, so that every machine gets the same weights."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed: it would seed the accelerators too, which are not forked.
        torch.default_generator.manual_seed(seed)
        yield


def _torchvision_names() -> list[str]:
    return list_models(module=torchvision.models)


def _from_torchvision(
    name: str, classes: int, channels: int, size: tuple[int, int] | None
) -> nn.Module:
    check_name(name)
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    if size is not None and name.startswith("maxvit"):
        options["input_size"] = size
    if size is not None and name.startswith("vit_"):
        if size[0] != size[1]:
            raise ModelError(f"Expected square inputs for {name!r}, got {size[0]}x{size[1]}.")
        options["image_size"] = size[0]
    try:
        network = get_model(name, **options)
    except BUILD_ERRORS as error:
        raise ModelError(_build_failure(name, size, error)) from error
    _set_channels(network, channels)
    return network


def _set_channels(network: nn.Module, channels: int) -> None:
    """Replace the first convolution unless it takes ``channels`` already."""
    for name, old in network.named_modules():
        if not isinstance(old, nn.Conv2d):
            continue
        if old.in_channels != channels:
            new = nn.Conv2d(
                channels,
                old.out_channels,
                kernel_size=old.kernel_size,  # pyright: ignore[reportArgumentType]
                stride=old.stride,  # pyright: ignore[reportArgumentType]
                padding=old.padding,  # pyright: ignore[reportArgumentType]
                dilation=old.dilation,  # pyright: ignore[reportArgumentType]
                groups=old.groups,
                bias=old.bias is not None,
                padding_mode=old.padding_mode,  # pyright: ignore[reportArgumentType]
            )
            network.set_submodule(name, new)
        return


def _import_timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(
            "Names that start with 'timm:' need timm: run `pip install hormesis[timm]`."
        ) from error
    return timm


def find_timm(name: str) -> tuple[ModuleType, str]:
    """Return timm, and what timm calls ``timm:NAME``.

    Raises:
        ModelError: For an unknown name.
        MissingExtraError: When timm is not installed.
    """
    timm = _import_timm()
    short = name.removeprefix("timm:")
    if not timm.is_model(short):  # also refuses `hf-hub:`, which would ask the network
        raise ModelError(_unknown_model(name, [f"timm:{name}" for name in timm.list_models()]))
    return timm, short


def _from_timm(name: str, classes: int, channels: int, size: tuple[int, int] | None) -> nn.Module:
    timm, short = find_timm(name)
    options: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels}
    config = timm.get_pretrained_cfg(short)
    if size is not None and config is not None and config.fixed_input_size:
        options["img_size"] = size
    try:
        return timm.create_model(short, **options)
    except BUILD_ERRORS as error:
        raise ModelError(_build_failure(name, size, error)) from error


def _from_factory(spec: str) -> nn.Module:
    network = load_factory(spec, "model")
    if callable(network) and not isinstance(network, nn.Module):
        with users_code(spec, "model"):
            network = network()
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"Expected {spec!r} to be, or to return, a torch.nn.Module, got "
            f"{type(network).__name__}."
        )
    return network


def _unknown_model(name: str, names: Iterable[str]) -> str:
    """Return the refusal of a name, with suggestions."""
    near = difflib.get_close_matches(name.lower(), list(names), n=3, cutoff=0.5)
    names = dict.fromkeys([*near, *PAPER, *OTHERS])
    return unknown("model", name, names)


def _build_failure(name: str, size: tuple[int, int] | None, error: BaseException) -> str:
    inputs = "" if size is None else f" for inputs of {size[0]}x{size[1]} pixels"
    return f"Cannot build {name!r}{inputs}: {quoted(error)}"


def check_weights(network: nn.Module) -> None:
    """Refuse a network whose parameters hold no values, or some that are not finite.

    Raises:
        ModelError: Naming the parameter or buffer.
    """
    for name, value in network.named_parameters():
        if is_lazy(value) or value.is_meta:
            raise ModelError(
                f"Parameter {name!r} of the network holds no values yet: load weights, or run a "
                "lazy network once, before it is measured."
            )
        if not bool(value.isfinite().all()):
            raise ModelError(f"Parameter {name!r} of the network holds NaN or infinite values.")
    for name, value in network.named_buffers():
        # An attention mask may hold -inf on purpose; NaN is never meant.
        if not value.is_meta and bool(value.isnan().any()):
            raise ModelError(f"Buffer {name!r} of the network holds NaN.")


@torch.no_grad()
def _outputs(network: nn.Module, inputs: Tree) -> object:
    """Return the outputs in evaluation mode; every module's mode is restored."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        return network.eval()(inputs)
    except (HormesisError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # anything may come out of code that is not ours
        raise ModelError(forward_failure(inner_network(network), inputs, error)) from error
    finally:
        for module, training in modes:
            module.training = training


def build_for(
    name: str, shape: Sequence[int], classes: int, *, seed: int, stem: str = "standard"
) -> nn.Module:
    """Return an untrained network by name that fits data, see ``build_model``.

    Args:
        name: As ``build_model`` takes it.
        shape: Of one input, channels first.
        classes: Number of classes.
        seed: Seed of its weights.
        stem: ``"small"`` takes a first layer for small images.
    """
    size = (shape[1], shape[2]) if len(shape) == 3 else None
    return build_model(name, classes=classes, channels=shape[0], size=size, seed=seed, stem=stem)
