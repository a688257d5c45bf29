"""What a user has in the current folder: modules with networks and data, and checkpoints."""

import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

NETS = """
import torch
from torch import nn

def build():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 4))

class Failing(nn.Module):
    def forward(self, inputs):
        raise RuntimeError("inner trouble")

def three_classes(): return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
def three_channels(): return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 4))
def nothing_to_filter(): return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(4))
def filled(value):
    network = build()
    network[1].weight.data[0, 0] = value
    return network
def with_nan(): return filled(float("nan"))
def with_infinity(): return filled(float("inf"))
def constant():
    network = build()
    network[1].weight.data.fill_(0.5)
    return network
def raises(): raise ValueError("my trouble")
def leaves(): raise SystemExit(3)
def returns_three(): return 3
def wants_more(width): return build()
def function(): return torch.sin
def weights(): return build().state_dict()
class Dropping(nn.Linear):
    def forward(self, inputs):
        return nn.functional.dropout(super().forward(inputs.flatten(1)), training=True)
def dropping(): return Dropping(16, 4)
class MeanOnly(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs.flatten(1)).mean()
def mean_only(): return MeanOnly(16, 4)
"""

SETS = """
import torch

def inputs(count=40):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
def held_out(): return inputs(), torch.arange(40) % 4
def changed(value):
    broken = inputs()
    broken[3, 0, 0, 0] = value
    return broken, torch.arange(40) % 4
def with_nan(): return changed(float("nan"))
def with_infinity(): return changed(float("inf"))
def outside(): return inputs() * 2, torch.arange(40) % 4
def negative_labels(): return inputs(), torch.arange(40) - 1
def real_labels(): return inputs(), torch.rand(40)
def five_classes(): return inputs(), torch.arange(40) % 5
def empty(): return inputs(0), torch.zeros(0, dtype=torch.int64)
def single(): return inputs(1), torch.zeros(1, dtype=torch.int64)
def raises(): raise ValueError("my trouble")
def returns_three(): return 3
def one_number(outputs, targets): return outputs.sum()
def margin(outputs, targets): return outputs.amax(dim=1)
def absent(): return None
def texts(): return [("a good film", 1), ("a bad film", 0)]
def words(): return inputs(), ["cat", "dog"] * 20
def one_hot(): return inputs(), torch.eye(4).repeat(10, 1)
def from_one(): return inputs(), torch.arange(40) % 4 + 1
def pixels(): return (inputs() * 255).byte(), torch.arange(40) % 4
class broken:
    def __len__(self): return 40
    def __getitem__(self, number): raise ValueError("my trouble")
def a_list(outputs, targets): return [1.0] * len(outputs)
def fails(outputs, targets): raise ValueError("my trouble")
def right(outputs, targets): return (outputs.argmax(dim=1) == targets).float()
"""


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was_run",)


def settle(folder: Path) -> None:
    """Write a user's modules and checkpoints into ``folder``: usable, damaged and hostile ones."""
    (folder / "my").mkdir()
    (folder / "my" / "nets.py").write_text(NETS)
    (folder / "my" / "sets.py").write_text(SETS)
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    torch.save(network.state_dict(), folder / "good.pt")
    torch.save(nn.Linear(3, 3).state_dict(), folder / "other.pt")
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).state_dict(), folder / "three.pt")
    torch.save(network, folder / "whole.pt")
    broken = {
        name: torch.full_like(value, float("nan")) for name, value in network.state_dict().items()
    }
    torch.save(broken, folder / "nan.pt")
    (folder / "empty.pt").touch()
    (folder / "text.pt").write_text("hello")
    good = (folder / "good.pt").read_bytes()
    (folder / "cut.pt").write_bytes(good[: len(good) // 2])
    (folder / "cut.safetensors").write_bytes(b"12345678901234")
    (folder / "evil.pt").write_bytes(pickle.dumps(_Evil()))
    torch.save({"state_dict": _Evil()}, folder / "wrapped_evil.pt")
    (folder / "a_folder").mkdir()
    (folder / "a_folder" / "thesis.txt").write_text("years of work")
    (folder / "a_file").write_text("years of work")


@contextmanager
def forgotten() -> Iterator[None]:
    """Forget the user's modules at the end of the block."""
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == "my" or name.startswith("my.")]:
            del sys.modules[name]


def listing(folder: Path) -> dict[str, bytes]:
    """Return every file and folder below ``folder``, with what is in it; caches of Python aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if "__pycache__" not in str(path)
    }
