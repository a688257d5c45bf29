"""Devices by name."""

import torch

from hormesis.errors import SettingError, unknown

DEVICES = ("cpu", "cuda", "mps", "xpu")


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
