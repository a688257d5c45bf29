"""Where a training goes on, and what of it is made anew before: the one place that mends a run."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from hormesis.errors import TrainingError
from hormesis.results.training_records import (
    Record,
    Seal,
    remove_older_states,
    seal_of,
    state_path,
    write_record,
)
from hormesis.results.training_run import (
    METRICS,
    RESUME,
    TrainingRun,
    checkpoint_path,
    read_metrics,
    write_metrics,
)
from hormesis.storage.metrics_table import first_rows
from hormesis.training.checkpoints import checkpoint_fault, write_checkpoint
from hormesis.training.resume_state import State, epochs_of, load_state, weights_in
from hormesis.training.run_state import RunState, metrics_note


@dataclass(frozen=True)
class ResumePoint:
    """Where a training goes on.

    Args:
        epoch: Number of epochs that are done.
        state: The file to resume from; None at the start.
        checkpoints: Seals of the checkpoints that are there, by epoch.
        metrics: The table so far.
        records: Records of the last states, the last one first.
        mended: What was damaged and is whole again, a sentence each.
        damaged: What is damaged and cannot be mended, a sentence each.
    """

    epoch: int = 0
    state: Path | None = None
    checkpoints: Mapping[int, Seal] = field(default_factory=dict)
    metrics: str = ""
    records: tuple[Record, ...] = ()
    mended: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def repair(folder: Path, now: RunState, network: nn.Module) -> ResumePoint:
    """Make anew what is damaged of a run and can be, and return where its training goes on.

    Checkpoints of the last states are made from these, the first one from the untrained network,
    the table from the records: each with the same bytes as before. Damaged states are made by
    training the epoch again, which the caller does.

    Args:
        folder: The run's folder, held by the caller.
        now: What ``standing`` has found.
        network: The untrained network, as the run's question has it; it is not changed.

    Raises:
        TrainingError: If the state of an earlier version is damaged.
    """
    if now.unsealed:
        return _of_earlier_version(folder, now, network)
    if not now.records:
        seal = write_checkpoint(network, folder, 0)
        return ResumePoint(checkpoints={0: seal}, mended=now.notes)
    last, notes, lost = now.records[0], list(now.notes), list[str]()
    note = metrics_note(folder, now, last.metrics)
    if read_metrics(folder / METRICS)[0] != last.metrics:
        write_metrics(folder, last.metrics)
    seals = dict(last.checkpoints)
    for epoch, seal in last.checkpoints.items():
        fault = seal.fault(checkpoint_path(folder, epoch))
        if not fault:
            continue
        made = _made_anew(folder, epoch, now, network)
        seals[epoch] = made or seal
        (notes if made else lost).append(_told(folder, epoch, fault, mended=made is not None))
    remove_older_states(folder, [record.epoch for record in now.records])
    records = tuple(_with_seals(folder, record, seals) for record in now.records)
    notes.extend([note] if note else [])
    state = state_path(folder, last.epoch)
    return ResumePoint(last.epoch, state, seals, last.metrics, records, tuple(notes), tuple(lost))


def _with_seals(folder: Path, record: Record, seals: Mapping[int, Seal]) -> Record:
    """Return a record, written anew if another version has written a checkpoint in other bytes."""
    wanted = {epoch: seals[epoch] for epoch in record.checkpoints if epoch in seals}
    if wanted == record.checkpoints:
        return record
    changed = replace(record, checkpoints=wanted)
    write_record(folder, changed)
    return changed


def _made_anew(folder: Path, epoch: int, now: RunState, network: nn.Module) -> Seal | None:
    """Write a checkpoint anew and return its seal, or None if nothing holds its weights."""
    if epoch == 0:
        return write_checkpoint(network, folder, 0)
    if all(record.epoch != epoch for record in now.records):
        return None
    path = state_path(folder, epoch)
    return write_checkpoint(_network_of(read_state(path, network), network, path), folder, epoch)


def _told(folder: Path, epoch: int, fault: str, *, mended: bool) -> str:
    path = checkpoint_path(folder, epoch)
    if mended:
        source = "the untrained network" if epoch == 0 else f"the state after epoch {epoch}"
        return f"The checkpoint {path.name} was damaged ({fault}) and was made anew from {source}."
    return (
        f"The checkpoint {path.name} is damaged ({fault}), and the state after epoch {epoch} is no "
        "longer there to make it from: train the same in another folder with `epochs` at "
        f"{epoch}, and copy it from there."
    )


def _of_earlier_version(folder: Path, now: RunState, network: nn.Module) -> ResumePoint:
    """Return where a training goes on that has no records, as far as that can be checked."""
    path = folder / RESUME
    state = read_state(path, network)
    epoch = epochs_of(state)
    text, fault = read_metrics(folder / METRICS)
    manifest = now.manifest or {}
    if fault or not 0 < epoch <= manifest["question"]["recipe"]["epochs"]:
        reason = f"{METRICS} is damaged: {fault}" if fault else f"{RESUME} is of no such epoch"
        raise TrainingError(
            f"The training {folder} cannot be resumed, as {reason}. {_anew(folder)}"
        )
    if text.count("\n") - 1 < epoch:
        raise TrainingError(
            f"The training {folder} cannot be resumed, as {METRICS} ends before epoch {epoch}. "
            f"{_anew(folder)}"
        )
    seals, notes, lost = dict[int, Seal](), list(now.notes), list[str]()
    for saved_epoch in [one for one in TrainingRun(folder, manifest).checkpoints if one <= epoch]:
        file = checkpoint_path(folder, saved_epoch)
        fault = checkpoint_fault(deepcopy(network), file)
        if not fault:
            seals[saved_epoch] = seal_of(file.read_bytes())
        elif saved_epoch in (0, epoch):
            made = _network_of(state, network, path) if saved_epoch else network
            seals[saved_epoch] = write_checkpoint(made, folder, saved_epoch)
            notes.append(_told(folder, saved_epoch, fault, mended=True))
        else:
            lost.append(_told(folder, saved_epoch, fault, mended=False))
    if 0 not in seals:
        seals[0] = write_checkpoint(network, folder, 0)
    table = first_rows(text, epoch)
    return ResumePoint(epoch, path, seals, table, (), tuple(notes), tuple(lost))


def read_state(path: Path, network: nn.Module) -> State:
    """Return a state.

    Raises:
        TrainingError: If it is damaged.
    """
    try:
        return load_state(path, network)
    except (OSError, ValueError) as error:
        raise not_resumed(path, str(error)) from error


def _network_of(state: State, network: nn.Module, path: Path) -> nn.Module:
    """Return a copy of a network with the weights of a state.

    Raises:
        TrainingError: If they do not fit.
    """
    made = deepcopy(network)
    try:
        weights_in(state, made)
    except ValueError as error:
        raise not_resumed(path, str(error)) from error
    return made


def not_resumed(path: Path, why: str) -> TrainingError:
    """Return the error that a training cannot be resumed from a state, and what to do."""
    return TrainingError(
        f"The training cannot be resumed, as {path} is damaged: {why}. {_anew(path.parent)}"
    )


def _anew(folder: Path) -> str:
    return f"Delete {folder}/resume* to train from the start, with the same result."
