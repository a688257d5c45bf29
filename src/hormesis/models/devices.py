"""Devices by name, and how they compute while something is measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from hormesis.errors import SettingError, unknown

DEVICES = ("cpu", "cuda", "mps", "xpu")

_Value = TypeVar("_Value")


def find_device(name: str | None) -> torch.device:
    """Return the device of that name; a GPU if there is one for None.

    Raises:
        SettingError: If there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in DEVICES:
        raise SettingError(unknown("device", name, DEVICES))
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
        raise SettingError(
            f"The device {name!r} cannot be used here: {reason}. Choose another one with "
            "`device`, such as cpu."
        ) from error


@contextmanager
def strict_arithmetic() -> Iterator[None]:
    """Compute in full single precision, by deterministic kernels, for a ``with`` block.

    By PyTorch's defaults, a GPU rounds the factors of a convolution to ten bits (TF32) and may
    choose kernels by their speed; after ``torch.set_float32_matmul_precision("medium")``, so do
    CPUs that know bfloat16. Which samples a network gets right would then depend on how many are
    measured at a time. The settings are those of the process, and are as before afterwards.

    Example:
        >>> with strict_arithmetic():
        ...     torch.get_float32_matmul_precision()
        'highest'
    """
    backends: Any = torch.backends
    owners = _precisions()
    kernels = backends.cudnn.deterministic, backends.cudnn.benchmark
    before = [owner.fp32_precision for owner in owners]
    tf32 = _unless_mixed(lambda: backends.cudnn.allow_tf32)
    matmul = _unless_mixed(torch.get_float32_matmul_precision)
    try:
        backends.cudnn.deterministic, backends.cudnn.benchmark = True, False
        _set_precision(tf32=False, matmul="highest")
        for owner in owners:
            owner.fp32_precision = "ieee"
        yield
    finally:
        backends.cudnn.deterministic, backends.cudnn.benchmark = kernels
        _set_precision(tf32=tf32, matmul=matmul)
        for owner, precision in zip(owners, before, strict=True):
            owner.fp32_precision = precision


def _precisions() -> list[Any]:
    """Return what has an attribute ``fp32_precision``; PyTorch before 2.9 has nothing of the kind.

    It holds the same as the older settings, and refuses to read those where the two disagree: both
    are set.
    """
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        return []
    gpu = [backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul]
    return [*gpu, backends.mkldnn.conv, backends.mkldnn.rnn, backends.mkldnn.matmul]


def _unless_mixed(read: Callable[[], _Value]) -> _Value | None:
    try:
        return read()
    except RuntimeError:  # set by ``fp32_precision``
        return None


def _set_precision(*, tf32: bool | None, matmul: str | None) -> None:
    if tf32 is not None:
        torch.backends.cudnn.allow_tf32 = tf32
    if matmul is not None:
        torch.set_float32_matmul_precision(matmul)
