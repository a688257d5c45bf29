"""The study on disk: a plain folder, written beside its place and renamed when it is complete.

    manifest.json        what was asked, fingerprints, versions, the unfiltered network's results
    targets.parquet      one row a parameter or channel, tested or not
    responses.parquet    one row a target, filter and threshold
    outcomes/*.safetensors   per-sample performance of each removal, one file a block of samples

Nothing here is pickled, and nothing needs torch.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy
from jaxtyping import Bool, Float

from hormesis.errors import StudyError

FORMAT = 1
MANIFEST = "manifest.json"
TARGETS = "targets.parquet"
RESPONSES = "responses.parquet"
OUTCOMES = "outcomes"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAMES = ("base_clean", "base_adversarial", "clean", "adversarial")


@dataclass(frozen=True)
class StoredOutcomes:
    """Per-sample performance of the unfiltered network and of every removal.

    Args:
        base_clean: Of the unfiltered network on clean inputs.
        base_adversarial: Of the unfiltered network on perturbed inputs.
        clean: One row a removal; ``responses.parquet`` says in ``outcome`` which row a cell reads.
        adversarial: The same on perturbed inputs.
        changed: Whether the removal changed a logit of any sample.
        measured: Whether the removal was measured on these samples; the outcomes of one that was
            not are zero and mean nothing. None if all were.
    """

    base_clean: Float[np.ndarray, " samples"]
    base_adversarial: Float[np.ndarray, " samples"]
    clean: Float[np.ndarray, "removals samples"]
    adversarial: Float[np.ndarray, "removals samples"]
    changed: Bool[np.ndarray, " removals"]
    measured: Bool[np.ndarray, " removals"] | None = None


@contextmanager
def staged(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of ``out`` if all goes well.

    After an error, an interruption included, the folder is removed and ``out`` is as it was.

    Args:
        out: Where the study shall lie.
        overwrite: Replace a study that lies there.

    Raises:
        StudyError: If ``out`` holds something else, or cannot be written.
    """
    check_free(out, overwrite=overwrite)
    out = out.resolve()  # a link stays, what it points to is replaced
    stage = out.parent / f".{out.name}.{os.getpid()}.partial"
    made = [folder for folder in (*out.parents,) if not folder.exists()]
    try:
        stage.mkdir(parents=True)
        (stage / OUTCOMES).mkdir()
        yield stage
        _replace(out, stage)
    except OSError as error:
        _discard(stage, made)
        raise _unwritable(out, error) from error
    except BaseException:
        _discard(stage, made)
        raise


def _replace(out: Path, stage: Path) -> None:
    """Put ``stage`` in the place of ``out``, which stays as it was if that fails."""
    old = stage.with_name(f"{stage.name}.old")
    try:
        if out.exists():
            out.rename(old)
        stage.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _discard(stage: Path, made: list[Path]) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    for folder in made:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def is_study(folder: Path) -> bool:
    """Return whether ``folder`` holds a study."""
    try:
        return (folder / MANIFEST).is_file()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that cannot be written, or holds anything but a study to overwrite.

    Raises:
        StudyError: Naming the folder and the remedy.
    """
    try:
        if out.exists():
            _check_replaceable(out, overwrite=overwrite)
        parent = next(folder for folder in out.absolute().parents if folder.exists())
        tempfile.TemporaryDirectory(prefix=".hormesis-", dir=parent).cleanup()
    except OSError as error:
        raise _unwritable(out, error) from error


def _check_replaceable(out: Path, *, overwrite: bool) -> None:
    if not out.is_dir():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a file.")
    if os.path.ismount(out) or Path.cwd().is_relative_to(out.resolve()):
        raise StudyError(
            f"The folder {out} cannot be replaced, as it is a mount point or the current folder: "
            "name a folder within it with `out`."
        )
    if not any(out.iterdir()):
        return
    if not is_study(out):
        raise StudyError(f"The folder {out} holds something else; choose another one with `out`.")
    if not overwrite:
        raise StudyError(
            f"The folder {out} holds a study; choose another one with `out`, or replace it with "
            "`overwrite`."
        )


def _unwritable(out: Path, error: OSError) -> StudyError:
    reason = os.strerror(error.errno) if error.errno else error
    remedy = "Free some space or choose" if error.errno in FULL else "Choose"
    return StudyError(
        f"The study {out} cannot be written: {reason}. {remedy} another folder with `out`."
    )


def write_outcomes(folder: Path, first: int, outcomes: StoredOutcomes) -> None:
    """Write the outcomes of one block of samples.

    Args:
        folder: The study's folder.
        first: Place of the block's first sample in the data set; it names the file.
        outcomes: What was measured.
    """
    _write(folder / OUTCOMES / f"{first:08d}.safetensors", packed_outcomes(first, outcomes))


def packed_outcomes(first: int, outcomes: StoredOutcomes) -> bytes:
    """Return the outcomes of one block of samples as a file holds them; 0 and 1 alone as bits.

    Args:
        first: Place of the block's first sample in the data set.
        outcomes: What was measured.
    """
    arrays: dict[str, np.ndarray] = {"changed": outcomes.changed}
    if outcomes.measured is not None:
        arrays["measured"] = outcomes.measured
    values_of = {name: getattr(outcomes, name) for name in _NAMES}
    binary = all(np.isin(values, (0, 1)).all() for values in values_of.values())
    for name, values in values_of.items():
        packed = np.packbits(values.astype(bool), axis=-1) if binary else values.astype(np.float32)
        arrays[name] = np.ascontiguousarray(packed)
    metadata = {
        "format": str(FORMAT),
        "first": str(first),
        "samples": str(len(outcomes.base_clean)),
        "binary": str(binary).lower(),
    }
    return _sealed(arrays, metadata)


def _sealed(arrays: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return a safetensors file with a checksum, whose bytes depend on its content alone."""
    # The library writes metadata in an order that differs from call to call.
    header, body = _opened(safetensors.numpy.save(dict(arrays)))
    sealed = {**metadata, "sha256": _checksum(metadata, body)}
    text = json.dumps({"__metadata__": sealed, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def _opened(content: bytes) -> tuple[Any, bytes]:
    """Return the header of a safetensors file, and the data behind it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _checksum(metadata: Mapping[str, str], body: bytes) -> str:
    said = " ".join(metadata[name] for name in ("format", "first", "samples", "binary"))
    return hashlib.sha256(said.encode() + body).hexdigest()


def read_outcomes(folder: Path) -> StoredOutcomes:
    """Return all outcomes of a study, its blocks joined in the order of the samples.

    Raises:
        StudyError: If there are none, a file is damaged, or a block is missing.
    """
    return joined(list(read_blocks(folder)))


def joined(blocks: Sequence[StoredOutcomes]) -> StoredOutcomes:
    """Return consecutive blocks as one; what was not measured in some of them is NaN there.

    Args:
        blocks: At least one.
    """

    def known(block: StoredOutcomes, name: str) -> np.ndarray:
        values = getattr(block, name)
        if block.measured is None or values.ndim == 1:
            return values
        return np.where(block.measured[:, None], values, np.float32(np.nan))

    return StoredOutcomes(
        *(np.concatenate([known(block, name) for block in blocks], axis=-1) for name in _NAMES),
        changed=np.any([block.changed for block in blocks], axis=0),
    )


def only_of(outcomes: StoredOutcomes, removals: Bool[np.ndarray, " removals"]) -> StoredOutcomes:
    """Return the outcomes with those of other removals left out, as if not measured."""
    if removals.all():
        return outcomes
    return replace(
        outcomes,
        clean=np.where(removals[:, None], outcomes.clean, np.float32(0)),
        adversarial=np.where(removals[:, None], outcomes.adversarial, np.float32(0)),
        changed=outcomes.changed & removals,
        measured=removals if outcomes.measured is None else removals & outcomes.measured,
    )


def part_of(outcomes: StoredOutcomes, first: int, end: int) -> StoredOutcomes:
    """Return the outcomes of the samples from ``first`` up to, not including, ``end``."""
    return replace(outcomes, **{name: getattr(outcomes, name)[..., first:end] for name in _NAMES})


def read_blocks(source: Path | Sequence[bytes]) -> Iterator[StoredOutcomes]:
    """Yield the outcomes of a study block by block, in the order of the samples.

    Args:
        source: The study's folder, or what its files would hold.

    Raises:
        StudyError: If there are none, a file is damaged, or a block is missing.
    """
    if isinstance(source, Path):
        contents = [(str(path), path) for path in _outcome_files(source)]
        if not contents:
            raise StudyError(f"The study {source} has no outcomes.")
    else:
        contents = [(f"block {place}", content) for place, content in enumerate(source)]
    samples, removals = 0, None
    for name, content in contents:
        first, block = _unpacked(name, content)
        removals = len(block.clean) if removals is None else removals
        if first != samples or len(block.clean) != removals:
            raise StudyError(
                f"The outcomes in {name} do not follow on those before it: a file is missing, or "
                "is from another study."
            )
        samples += len(block.base_clean)
        yield block


def has_outcomes(folder: Path) -> bool:
    """Return whether a study has kept its per-sample outcomes."""
    return bool(_outcome_files(folder))


def _outcome_files(folder: Path) -> list[Path]:
    return sorted((folder / OUTCOMES).glob("*.safetensors"))


def _unpacked(name: str, source: Path | bytes) -> tuple[int, StoredOutcomes]:
    """Return the place of a block's first sample, and its outcomes."""
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
        header, body = _opened(content)
        metadata = header["__metadata__"]
        if metadata["sha256"] != _checksum(metadata, body):
            raise ValueError("its checksum does not fit")
        arrays = safetensors.numpy.load(content)
        samples = int(metadata["samples"])
        if metadata["binary"] == "true":
            for key in _NAMES:
                arrays[key] = np.unpackbits(arrays[key], axis=-1, count=samples)
        changed, measured = arrays["changed"], arrays.get("measured")
        if measured is not None and (measured.dtype, measured.shape) != (bool, changed.shape):
            raise ValueError("`measured` is not one truth value a removal")
        values = (arrays[key].astype(np.float32, copy=False) for key in _NAMES)
        return int(metadata["first"]), StoredOutcomes(*values, changed=changed, measured=measured)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise StudyError(f"The outcomes in {name} are damaged: {error}.") from error


def write_tables(
    folder: Path, manifest: Mapping[str, Any], targets: pd.DataFrame, responses: pd.DataFrame
) -> None:
    """Write the manifest and the two tables of a study."""
    for name, table in ((TARGETS, targets), (RESPONSES, responses)):
        partial = folder / f".{name}.partial"
        table.to_parquet(partial, index=False)
        partial.replace(folder / name)
    text = json.dumps({"format": FORMAT, **manifest}, indent=2, allow_nan=False)
    _write(folder / MANIFEST, (text + "\n").encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a study.

    Raises:
        StudyError: If the folder is no study, is damaged, or was written by a later version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StudyError(f"The folder {folder} is no study: it has no {MANIFEST}.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"The manifest {path} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise StudyError(f"The manifest {path} is damaged: it does not say its format.")
    if manifest["format"] > FORMAT:
        raise StudyError(
            f"The study {folder} has format {manifest['format']}, this version reads up to "
            f"{FORMAT}; install a newer hormesis."
        )
    return manifest


def read_table(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return one of the tables of a study.

    Raises:
        StudyError: If it is missing, damaged or lacks a column.
    """
    try:
        table = pd.read_parquet(folder / name)
    except (OSError, ValueError) as error:
        raise StudyError(f"The table {folder / name} is missing or damaged: {error}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise StudyError(f"The table {folder / name} lacks the column {missing[0]}.")
    return table


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
