"""A Lightning callback for selective training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

from hormesis.errors import TrainingError
from hormesis.results.study import Study
from hormesis.training.freeze import find_network, start_freezing
from hormesis.training.freezing import Freezing
from hormesis.training.retraining_plan import plan_retraining
from hormesis.training.selection import Selection


class SelectiveTraining(lightning.Callback):
    """Freezes the parameters that are not selected, in any training with Lightning.

    At the end of the training all frozen values are compared with those at its start, bit for bit;
    a difference is an error. Frozen values stay the same in every step, so an average of weights
    should too; a change by averaging is found at the end.

    Args:
        study: The study, or its folder.
        keep: The classes that are trained; None takes those of ``selection``.
        selection: Which parameters are trained.
        network: Name of the attribute of the LightningModule that is the network of the study;
            None takes the outermost submodule whose parameters have the study's names.
        same: Require the weights of the study, unless a checkpoint is resumed.

    Raises:
        SettingError: If nothing would be trained, or nothing frozen.
        StudyError: If the study cannot be read.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> first, last = (torch.nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> data = images, torch.arange(18) % 2
        >>> study = hm.analyze(network, data, attack=hm.FGSM(0.01), sweep=hm.Sweep(thresholds=5),
        ...                    execution=hm.Execution(progress=False))
        >>> selection = hm.Selection(("antifragile",), undecided="estimate",
        ...                          scoring=hm.Scoring(reference="density", tolerance=0.4))
        >>> selective = SelectiveTraining(study, selection=selection)
        >>> trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", logger=False,
        ...                             enable_checkpointing=False, callbacks=[selective])
        >>> selective in trainer.callbacks  # ``trainer.fit`` trains '2.weight' alone
        True
    """

    def __init__(
        self,
        study: Study | str | Path,
        keep: Sequence[str] | None = None,
        *,
        selection: Selection = Selection(),
        network: str | None = None,
        same: bool = True,
    ) -> None:
        """Choose the targets."""
        chosen = selection if keep is None else replace(selection, keep=tuple(keep))
        self._case = plan_retraining(study, chosen)
        self._name, self._same = network, same
        self._freezing: Freezing | None = None
        self.frozen_values = 0  # compared at the end of the training

    def setup(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Freeze, before the optimiser is made."""
        if stage != "fit" or self._freezing is not None:
            return
        network = find_network(pl_module, self._name, self._case.study)
        # A training that goes on has other weights than were analysed.
        self._freezing = start_freezing(
            network, self._case, same=self._same and not trainer.ckpt_path
        )

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Restore frozen channels after every step of every optimiser."""
        for optimizer in trainer.optimizers:
            self._started.follow(optimizer)

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Keep batch norms of frozen layers in evaluation mode, whatever changed their mode."""
        self._started.hold()

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare all frozen values with those at the start.

        Raises:
            TrainingError: If one has changed.
        """
        self.frozen_values = self._started.check()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Restore ``requires_grad`` of every parameter."""
        self._stop()

    def teardown(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Restore ``requires_grad`` of every parameter."""
        self._stop()

    def _stop(self) -> None:
        if self._freezing is not None:
            self._freezing.stop()
            self._freezing = None

    @property
    def _started(self) -> Freezing:
        if self._freezing is None:
            raise TrainingError("Expected the callback to be set up by a Lightning Trainer.")
        return self._freezing
