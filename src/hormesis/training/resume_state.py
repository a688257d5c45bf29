"""The state that Lightning resumes from: as a sealed file, read back only if it is as harmless."""

import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn

from hormesis.errors import TrainingError
from hormesis.models.checkpoint_files import READ_ERRORS
from hormesis.results.training_records import Seal, seal_of
from hormesis.storage.safe_read import open_regular
from hormesis.storage.training_files import write

State = dict[str, Any]
_KINDS = {
    "state_dict": dict,
    "loops": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "epoch": int,
    "global_step": int,
}
_MOST_VALUES, _MOST_DEPTH = 200_000, 32
_LEAST_BYTES, _TIMES = 1 << 26, 256  # some optimisers keep hundreds of gradients
_MOST_PICKLED = 1 << 21  # bytes that say how tensors are arranged, besides 2,048 for each


class StateFiles(CheckpointIO):
    """What Lightning writes its state with: whole, down to the disk, and sealed.

    Args:
        state: The state that it resumes from, read and checked before; None for a new training.
    """

    def __init__(self, state: State | None) -> None:
        """Keep the state, until Lightning asks for it."""
        self._state = state
        self.seal = Seal(0, "")

    def save_checkpoint(
        self,
        checkpoint: State,
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401
    ) -> None:
        """Write a state; ``seal`` is its seal afterwards."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getvalue()
        write(Path(path), content)
        self.seal = seal_of(content)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ANN401
        weights_only: bool | None = None,
    ) -> State:
        """Return the state, once."""
        state, self._state = self._state, None
        if state is None:
            raise TrainingError(f"The state {path} was asked for twice.")
        return state

    def remove_checkpoint(self, path: str | Path) -> None:
        """Refuse: Lightning removes nothing of ours."""
        raise TrainingError(f"Nothing removes the state {path}.")


def load_state(path: Path, network: nn.Module) -> State:
    """Return a state, on the CPU; nothing but plain values and tensors is unpickled.

    Args:
        path: Its file; a link is not followed.
        network: The network that it is of.

    Raises:
        OSError: If the file cannot be read, is no regular one, or far larger than the network.
        ValueError: If it is damaged, or no state of such a training.
    """
    values = [*network.parameters(), *network.buffers()]
    size = sum(value.nbytes for value in values)
    with open_regular(path, _LEAST_BYTES + _TIMES * size) as file:
        _check_archive(file, _MOST_PICKLED + 2048 * len(values))
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other formats: what it holds is checked below
                state = torch.load(file, map_location="cpu", weights_only=True)
        except READ_ERRORS as error:
            raise ValueError("it is damaged, or no state of a training") from error
    fault = next(_faults(state), "")
    if fault:
        raise ValueError(fault)
    return state


def epochs_of(state: State) -> int:
    """Return the number of whole epochs that a state comes after."""
    return int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def weights_in(state: State, network: nn.Module) -> None:
    """Give a network the weights that a state holds.

    Raises:
        ValueError: If they do not fit.
    """
    start = "network."
    named = state["state_dict"].items()
    entries = {name.removeprefix(start): value for name, value in named if name.startswith(start)}
    try:
        network.load_state_dict(entries)
    except READ_ERRORS as error:
        raise ValueError("its weights do not fit the network") from error


def _check_archive(file: BinaryIO, pickled: int) -> None:
    """Refuse an archive that is cut short, changed, or unpacks to more than its size.

    PyTorch writes a checksum of every entry, and does not look at it when it reads.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            size = file.seek(0, io.SEEK_END)
            named = [entry.file_size for entry in entries if entry.filename.endswith(".pkl")]
            if sum(entry.file_size for entry in entries) > size or max(named, default=0) > pickled:
                raise ValueError("it unpacks to more than a training writes")
            broken = archive.testzip()
    except (zipfile.BadZipFile, *READ_ERRORS) as error:
        raise ValueError("it is damaged, or no state of a training") from error
    if broken is not None:
        raise ValueError(f"the checksum of its entry {broken[:60]!r} does not fit")


def _faults(state: object) -> Iterator[str]:
    """Yield why something is no state, in a few words."""
    if not isinstance(state, dict):
        yield f"it holds no state but a {type(state).__name__}"
        return
    for key, kind in _KINDS.items():
        if type(state.get(key)) is not kind and not isinstance(state.get(key), kind):
            yield f"it lacks a proper {key!r}"
    if _too_many(state):
        yield "its values are too many, or nested too deeply"
    if not all(isinstance(one, Tensor) for one in state["state_dict"].values()):
        yield "its weights are no tensors"
    try:
        epochs_of(state)
    except READ_ERRORS:
        yield "it does not say how many epochs are done"


def _too_many(state: object) -> bool:
    """Return whether there are more values than training writes; shared ones count each time."""
    count, waiting = 0, [(state, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > _MOST_VALUES or depth > _MOST_DEPTH:
            return True
        if isinstance(value, Mapping):
            waiting.extend((one, depth + 1) for one in value.values())
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            waiting.extend((one, depth + 1) for one in value)
    return False
