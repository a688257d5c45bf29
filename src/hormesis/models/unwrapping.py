"""The network inside wrappers that change how it runs, not what it computes."""

from collections.abc import Callable, Mapping

from torch import jit, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from hormesis.errors import ModelError, recipe

_COMPILED = "_orig_mod"  # where `torch.compile` keeps the network
_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")

_AGENTS = {"stable_baselines3", "sb3_contrib"}  # whose models hold their network as `policy`


def unwrapped(network: object) -> nn.Module:
    """Return the network inside DataParallel, DistributedDataParallel or ``torch.compile``.

    Of a model of stable-baselines3 that is its ``policy``. The wrapper shares its parameters, so
    that it stays as it is, too.

    Args:
        network: A network, wrapped or not.

    Raises:
        ModelError: For what cannot be filtered: a function, a name, a scripted, exported or
            quantised network.

    Example:
        >>> unwrapped(DataParallel(nn.Linear(1, 1)))
        Linear(in_features=1, out_features=1, bias=True)
        >>> unwrapped("resnet18")
        Traceback (most recent call last):
        hormesis.errors.ModelError: Expected a torch.nn.Module, got the text 'resnet18': make it \
with `hormesis.build_model`, and load its weights.
    """
    network = _policy_of(network)
    while isinstance(network, nn.Module):
        inner = _inside(network)
        if inner is network:
            _refuse_closed(network)
            return network
        network = inner
    if isinstance(network, str):
        remedy = "make it with `hormesis.build_model`, and load its weights"
        raise ModelError(f"Expected a torch.nn.Module, got the text {network!r}: {remedy}.")
    if isinstance(network, Mapping):
        raise ModelError(
            "Expected a torch.nn.Module, got a dictionary, perhaps of weights: build the network, "
            "and give it these with `load_state_dict`."
        )
    if isinstance(network, type):
        raise ModelError(
            f"Expected a torch.nn.Module, got the class {network.__name__}: call it to make a "
            "network, and load its weights."
        )
    kind = type(network).__name__
    module = type(network).__module__.partition(".")[0]
    if module in ("onnx", "onnxruntime"):
        raise ModelError(
            f"Expected a torch.nn.Module, got the {module} object {kind}: measure the PyTorch "
            "network that it was exported from."
        )
    remedy = (
        "pass the module that it calls, or wrap both in a `torch.nn.Module` of your own"
        if isinstance(network, Callable)
        else "pass the network itself"
    )
    raise ModelError(f"Expected a torch.nn.Module, got {kind}: {remedy}.")


def _policy_of(network: object) -> object:
    """Return the policy of a model of stable-baselines3; anything else as it is."""
    policy = getattr(network, "policy", None)
    homes = {kind.__module__.partition(".")[0] for kind in type(network).__mro__}
    return policy if homes & _AGENTS and isinstance(policy, nn.Module) else network


def _inside(network: nn.Module) -> nn.Module:
    if isinstance(network, DataParallel | DistributedDataParallel):
        return network.module
    inner = getattr(network, _COMPILED, None)
    return inner if isinstance(inner, nn.Module) else network


def _refuse_closed(network: nn.Module) -> None:
    """Refuse a network whose parameters cannot be replaced, or are no numbers to filter."""
    if isinstance(network, jit.ScriptModule):
        raise ModelError(
            "Expected a network in Python, got one made by torch.jit: measure the network that it "
            f"was made from{recipe('wrapped-networks')}."
        )
    for name, module in network.named_modules():
        if type(module).__module__.startswith(_QUANTISED):
            where = repr(name) if name else "the network"
            raise ModelError(
                f"Expected floating-point weights, got the quantised {type(module).__name__} "
                f"{where}: measure the network before its quantisation"
                f"{recipe('wrapped-networks')}."
            )
