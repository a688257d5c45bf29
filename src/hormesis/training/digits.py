"""Training a network on the bundled digits, with its weights cached for the next run."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn.functional import cross_entropy

from hormesis.data.datasets import digits
from hormesis.data.image_cache import cache_folder
from hormesis.errors import ModelError
from hormesis.models.checkpoints import load_weights
from hormesis.models.networks import check_network, logits_of
from hormesis.storage.atomic import make_folder, replacing

EPOCHS = 5
BATCH = 100
PEAK_RATE = 2e-3
Progress = Callable[[int, int], None]


def train_on_digits(
    network: nn.Module, *, seed: int, report: Progress = lambda done, total: None
) -> None:
    """Train a network, in place, on the training part of the digits.

    Adam with a one-cycle schedule, batches of 100 and cross-entropy. The network, normalisation
    included, takes ``[batch, 1, 32, 32]`` and has ten outputs. It is left in evaluation mode; the
    global random state is restored.

    Args:
        network: The network.
        seed: Seed of the order of the samples, and of dropout; at least 0.
        report: Called with steps done and in total.

    Raises:
        ModelError: If the network cannot run on the digits, or its loss becomes NaN or infinite.
    """
    samples = digits("train")
    check_network(network, samples.inputs[:2], samples.classes)
    order = torch.Generator().manual_seed(seed)
    steps = EPOCHS * -(-len(samples) // BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    network.train().to(memory_format=torch.channels_last)  # twice as fast on a CPU
    done = 0
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(samples), generator=order).split(BATCH):
                optimizer.zero_grad()
                loss = cross_entropy(logits_of(network(samples.inputs[rows])), samples.labels[rows])
                if not bool(loss.isfinite()):
                    raise ModelError("Training on the digits diverged: the loss is not finite.")
                loss.backward()
                optimizer.step()
                schedule.step()
                done += 1
                report(done, steps)
    network.eval().to(memory_format=torch.contiguous_format)
    network.zero_grad(set_to_none=True)


def load_or_train_on_digits(
    network: nn.Module,
    name: str,
    *,
    seed: int,
    report: Progress = lambda done, total: None,
) -> Path | None:
    """Load the weights of a network trained on the digits, or train it and cache them.

    Args:
        network: Freshly built from ``seed``, with its normalisation; it is changed in place.
        name: Its name, for the name of the file.
        seed: Seed of its training.
        report: Called with steps done and in total; not called if the weights are cached.

    Returns:
        The file with the weights, or None if it could not be written.

    Raises:
        ModelError: If the network cannot be trained on the digits.
    """
    safe = name.replace(":", "-").replace("/", "-")
    path = cache_folder() / f"digits-{safe}-{_key(network, seed)}.safetensors"
    if path.is_file():
        try:
            load_weights(network, path)
            network.eval()
            return path
        except ModelError:
            pass  # damaged: train again
    train_on_digits(network, seed=seed, report=report)
    return path if _write_weights(network, path) else None


def _key(network: nn.Module, seed: int) -> str:
    """Return a digest of everything that the trained weights depend on."""
    recipe = f"adam one-cycle {PEAK_RATE} epochs {EPOCHS} batch {BATCH} seed {seed} v2"
    digest = hashlib.sha256(f"{recipe} torch {torch.__version__} {network!r}".encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]


def _write_weights(network: nn.Module, path: Path) -> bool:
    """Write the weights, and return whether that worked."""
    try:
        make_folder(path.parent)
        with replacing(path) as temporary:
            safetensors.torch.save_model(network, str(temporary))
    except (OSError, SafetensorError):
        return False
    return True
