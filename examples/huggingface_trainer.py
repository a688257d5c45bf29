"""Selective retraining with Hugging Face's ``Trainer``: a tiny ViT on scikit-learn's digits.

    python examples/huggingface_trainer.py

Nothing is downloaded: the network is built from a configuration, and the digits come with
scikit-learn. Needs ``pip install 'transformers[torch]'``.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import (
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

import hormesis as hm


class Digits(Dataset):
    """Images and labels as the Trainer takes them."""

    def __init__(self, samples: hm.Samples) -> None:
        """Keep the samples."""
        self.samples = samples

    def __len__(self) -> int:
        """Return their number."""
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Return one of them."""
        return {
            "pixel_values": self.samples.inputs[number],
            "labels": self.samples.labels[number],
        }


class Selective(TrainerCallback):
    """Restores frozen channels after every step of the Trainer's optimiser."""

    def __init__(self, frozen: hm.Freezing) -> None:
        """Keep the frozen parameters."""
        self.frozen = frozen

    def on_train_begin(self, args, state, control, optimizer=None, **_):  # noqa: ANN001, ANN003, ANN201
        """Follow the optimiser, which accelerate has wrapped."""
        self.frozen.follow(getattr(optimizer, "optimizer", optimizer))

    def on_train_end(self, args, state, control, **_):  # noqa: ANN001, ANN003, ANN201
        """Compare every frozen value with that at the start."""
        print(f"{self.frozen.check():,} frozen values are equal, bit for bit")


def tiny_vit() -> ViTForImageClassification:
    """Return a ViT of two blocks for 32x32 images of one channel."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        num_channels=1,
        num_labels=10,
    )
    return ViTForImageClassification(config)


def train(model: nn.Module, samples: hm.Samples, folder: Path, *callbacks: TrainerCallback) -> None:
    """Train a model with the Trainer, for two epochs."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=2,
        per_device_train_batch_size=32,
        learning_rate=3e-3,
        weight_decay=0.1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
    )
    Trainer(model, arguments, train_dataset=Digits(samples), callbacks=list(callbacks)).train()


def main() -> None:
    """Train, analyse, and continue training the half of the layers with the higher scores."""
    from hormesis.data.datasets import digits

    samples, held_out = digits("train"), digits("test")
    folder = Path(tempfile.mkdtemp())
    model = tiny_vit()
    train(model, samples, folder)
    study = hm.analyze(
        model, held_out, attack=hm.FGSM(0.05), sweep=hm.Sweep(thresholds=7), out=folder / "study"
    )
    scores = study.scores_with(hm.Scoring(reference="base"))
    adversarial = scores.query("filter == 'combined' and score == 'adversarial'")["value"]
    selection = hm.Selection(
        undecided="estimate",
        scoring=hm.Scoring(reference="base", tolerance=abs(float(adversarial.median()))),
    )
    frozen = hm.freeze(model, study, selection)
    train(model, samples, folder, Selective(frozen))
    frozen.stop()


if __name__ == "__main__":
    main()
