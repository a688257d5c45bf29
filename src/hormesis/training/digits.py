"""A network for the embedded digits, trained on the spot and kept for the next run."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hormesis.errors import ModelError
from hormesis.inputs.checkpoints import load_weights
from hormesis.inputs.data import digits

EPOCHS = 5
BATCH = 100
PEAK_RATE = 2e-3
_RECIPE = f"adam one-cycle {PEAK_RATE} epochs {EPOCHS} batch {BATCH} v1"


def train_on_digits(
    network: nn.Module,
    *,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Train a network, in place, on the training part of the digits.

    Adam with a one-cycle schedule, batches of 100 and cross-entropy. The network, normalisation
    included, takes ``[batch, 1, 32, 32]`` and has ten outputs. It is left in evaluation mode.

    Args:
        network: What is trained.
        seed: Seed of the order of the samples.
        report: Called with steps done and in total.
    """
    samples = digits("train")
    generator = torch.Generator().manual_seed(seed)
    steps = EPOCHS * -(-len(samples) // BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    network.train().to(memory_format=torch.channels_last)  # twice as fast on a CPU
    done = 0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(samples), generator=generator).split(BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(network(samples.inputs[rows]), samples.labels[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            report(done, steps)
    network.eval().to(memory_format=torch.contiguous_format)
    network.zero_grad(set_to_none=True)


def trained_on_digits(
    network: nn.Module,
    name: str,
    *,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Give a fresh network the weights that training on the digits yields, and keep those.

    Args:
        network: Freshly built from ``seed``; it is changed.
        name: Its name, which tells kept weights apart.
        seed: Seed of its weights and of its training.
        report: Called with steps done and in total; not at all if the weights were kept.

    Returns:
        The file that keeps the weights.

    Raises:
        ModelError: If the network cannot be trained on the digits.
    """
    key = hashlib.sha256(f"{name} {seed} {_RECIPE} {torch.__version__}".encode()).hexdigest()[:12]
    path = cache_folder() / f"digits-{name.replace(':', '-')}-{key}.safetensors"
    if path.is_file():
        try:
            load_weights(network, path)
            return path
        except ModelError:
            path.unlink()  # damaged: train again
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # for dropout
        train_on_digits(network, seed=seed, report=report)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    safetensors.torch.save_model(network, str(partial))
    partial.replace(path)
    return path


def cache_folder() -> Path:
    """Return where trained networks are kept: ``hormesis`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hormesis"
