"""What a result was computed with: versions and hardware."""

import os
import platform
from importlib.metadata import version
from typing import Any

_PACKAGES = ("hormesis", "torch", "torchvision", "numpy", "scipy")


def environment() -> dict[str, Any]:
    """Return versions and hardware, as plain values."""
    return {
        "versions": {package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
    }
