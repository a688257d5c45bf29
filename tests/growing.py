"""A study that is measured a few shards at a time."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hormesis.engine.shards import ShardTask
from hormesis.measure.pipeline import analyze
from hormesis.measure.shard_worker import ShardWorker
from hormesis.settings.attacks import FGSM
from hormesis.settings.execution import Execution
from hormesis.settings.sweep import Sweep


class Growing:
    """A study of ten shards that is measured one at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        generator = torch.Generator().manual_seed(0)
        self.data = torch.rand(300, 4, generator=generator), torch.arange(300) % 2
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 2))
        self.most = 300
        work = ShardWorker.__call__

        def until(worker: ShardWorker, task: ShardTask, tick: Any) -> bytes:
            if task.first >= self.most:
                raise KeyboardInterrupt
            return work(worker, task, tick)

        monkeypatch.setattr(ShardWorker, "__call__", until)

    def analyze(self, most: int = 300, *, overwrite: bool = False) -> None:
        self.most = most
        run = Execution(engine="plain", num_workers=1, progress=False, overwrite=overwrite)
        with suppress(KeyboardInterrupt):
            analyze(
                self.network,
                self.data,
                attack=FGSM(0.1),
                sweep=Sweep(thresholds=3, seed=int(overwrite)),
                out=self.folder,
                execution=run,
            )
