"""Trainings from elsewhere: whatever their files hold, reading them succeeds or says so."""

import io
import json
import os
import resource
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

import hormesis as hm
import torn
from hormesis.cli.commands.status import run_status
from hormesis.errors import HormesisError, TrainingError
from hormesis.results.training_records import state_path
from hormesis.results.training_run import load_run
from hormesis.storage.sealed_json import dump_sealed
from hormesis.training.resume_state import epochs_of, load_state, weights_in
from hormesis.training.run_state import read_run_state
from hormesis.training.verify import verify_run
from mutations import changed, counts, damaged, fuzz

SECONDS, MEBIBYTES = 1.0, 500
LAST = state_path(Path(), torn.EPOCHS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    torn.run("train", folder)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


@contextmanager
def within_bounds() -> Iterator[None]:
    """Fail if the block takes more time of this process, or more memory, than was promised."""
    before, highest = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - before < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - highest
    assert grown / 1024 < MEBIBYTES


def read(folder: Path) -> None:
    """Read all that any command reads of a run without training."""
    with within_bounds():
        with suppress(HormesisError):
            run_status(verify_run(folder))
        with suppress(HormesisError):
            found = load_run(folder)
            repr(found)
            found.code()
            for epoch in found.chosen():
                found.fault(epoch)
            found.metrics.shape  # noqa: B018
        with suppress(HormesisError):
            read_run_state(folder)


def texts(valid: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return sealed files near a valid one, other values without a seal, and damaged bytes."""
    values = changed(valid)
    said = values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    return st.one_of(values.map(resealed), said, damaged(dump_sealed(valid)))


def resealed(value: Any) -> bytes:
    """Return a file as a forger leaves it, who computes its checksum anew."""
    try:
        return dump_sealed(value)
    except (ValueError, AttributeError, UnicodeEncodeError):
        return json.dumps(value).encode("utf-8", "surrogatepass")


@counts
def test_manifests(run, examples):
    path = run / "manifest.json"
    valid = json.loads(path.read_text())

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read(run)

    fuzz(texts(valid), examples, check)


@counts
def test_records(run, examples):
    path = (run / LAST).with_suffix(".json")
    valid = json.loads(path.read_text())

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read(run)

    fuzz(texts(valid), examples, check)


@counts
def test_tables_of_metrics(run, examples):
    path = run / "metrics.csv"
    content = path.read_bytes()
    for record in run.glob("resume-*.json"):
        record.unlink()  # which would refuse each before it is parsed

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read(run)

    fuzz(damaged(content), examples, check)


def packed(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def repacked(archive: bytes, inner: bytes) -> bytes:
    """Return a state whose pickle is another one, with checksums that fit."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(found, "w") as new:
        for entry in old.infolist():
            name = entry.filename
            new.writestr(name, inner if name.endswith("data.pkl") else old.read(entry))
    return found.getvalue()


@counts
def test_states(whole, tmp_path, examples):
    """Damaged archives, damaged pickles within whole ones, and other values."""
    content = (whole / LAST).read_bytes()
    state = torch.load(whole / LAST, weights_only=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        inner = archive.read(name)
    network, path = torn.network(), tmp_path / "state.ckpt"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with within_bounds(), suppress(OSError, ValueError):
            found = load_state(path, network)
            epochs_of(found)
            weights_in(found, network)

    fuzz(
        st.one_of(
            damaged(content),
            damaged(inner).map(lambda one: repacked(content, one)),
            changed(state).map(packed),
        ),
        examples,
        check,
    )


def share(examples: int) -> int:
    """Return how many examples are tried where each trains an epoch."""
    return max(3, examples // 50)


@counts
def test_going_on_from_states_that_claim_to_be_whole(whole, tmp_path, examples):
    """An earlier version sealed nothing: other values reach Lightning itself."""
    record = json.loads((whole / LAST).with_suffix(".json").read_text())
    state = torch.load(whole / LAST, weights_only=True)
    out = tmp_path / "run"

    def check(content: bytes) -> None:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(whole, out, ignore=shutil.ignore_patterns("resume-*", ".*"))
        (out / "manifest.json").write_text(json.dumps({"training": 1, **record["manifest"]}))
        (out / "resume.ckpt").write_bytes(content)
        with suppress(HormesisError):
            torn.run("train", out, epochs=torn.EPOCHS + 1)

    fuzz(changed(state).map(packed), share(examples), check)


# --- what is no file ----------------------------------------------------------------------------

PLACES = (
    "manifest.json",
    "metrics.csv",
    LAST.name,
    LAST.with_suffix(".json").name,
    "checkpoints/epoch-0002.safetensors",
    ".hormesis.json",
)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", [pipe, endless, sparse, folder])
def test_what_is_no_file_hangs_nobody(run, name, kind):
    (run / name).unlink()
    kind(run / name)
    read(run)
    if name == ".hormesis.json" and kind is folder:
        return
    health = verify_run(run)
    assert (name in health.damaged) or name == ".hormesis.json"


def test_a_state_of_a_terabyte_is_not_read(tmp_path):
    sparse(tmp_path / "a.ckpt")
    with pytest.raises(OSError, match="it is larger than"):
        load_state(tmp_path / "a.ckpt", torn.network())


def test_values_that_multiply_are_refused(tmp_path):
    """Ten lists of ten of the one before: a billion values in a kilobyte."""
    bomb: list[Any] = [0]
    for _ in range(9):
        bomb = [bomb] * 10
    state = torch.load(io.BytesIO(packed({"loops": {}, "bomb": bomb})), weights_only=True)
    state |= {"state_dict": {}, "optimizer_states": [], "lr_schedulers": []}
    (tmp_path / "a.ckpt").write_bytes(packed({**state, "epoch": 1, "global_step": 1}))
    with pytest.raises(ValueError, match="too many, or nested too deeply"):
        load_state(tmp_path / "a.ckpt", torn.network())


def test_a_state_that_wants_to_run_code_does_not(run):
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (run / "pwned",))

    shutil.copy(run / LAST, run / "resume.ckpt")
    for path in run.glob("resume-*"):
        path.unlink()
    torch.save({"state_dict": Evil()}, run / "resume.ckpt")
    with pytest.raises(TrainingError, match=r"resume.ckpt is damaged"):
        hm.train(
            torn.network(), torn.sets(), out=run, recipe=torn.RECIPE, trainer_config=torn.QUIET
        )
    assert not (run / "pwned").exists()
