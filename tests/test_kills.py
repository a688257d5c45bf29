"""A study killed at seeded moments, over and over, ends as one that was left in peace."""

import json
import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import killed
from fresh import processes
from hormesis.results.study import load_study
from hormesis.storage.files import MANIFEST, OUTCOMES, read_manifest
from hormesis.storage.ownership import MARKER
from hormesis.storage.store import FolderStore, whole_shards

KINDS = ("usual", "until", "overwrite", "extend")
REPLACED = ("overwrite", "extend")  # an old study by a new one


def process(out: Path, kind: str, at: float | None, log: Path) -> int | None:
    """Return the exit code of a process that analyses until it dies."""
    child = processes().Process(target=killed.run, args=(out, kind, at, log))
    child.start()
    child.join()
    return child.exitcode


def shards(folder: Path) -> dict[str, bytes]:
    files = sorted((folder / OUTCOMES).glob("[0-9]*.safetensors"))
    return {path.name: path.read_bytes() for path in files}


@cache
def in_peace(folder: Path, kind: str) -> tuple[Path, int, float]:
    """Return a study that nobody killed, how many events it had, and how long it took."""
    out, log = folder / kind, folder / f"{kind}.log"
    if kind in REPLACED:
        killed.analyze(out, "usual")
    assert process(out, kind, None, log) == 0
    events, seconds = log.with_suffix(".events").read_text().split()
    return out, int(events), float(seconds)


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peace")


def check_nothing_is_half_there(folder: Path) -> None:
    """Whoever reads the folder at this moment finds whole files only."""
    if not (folder / MANIFEST).exists():
        return
    manifest = read_manifest(folder)
    edges = manifest["shards"]["edges"]
    _, damaged = whole_shards(FolderStore(folder), edges, manifest["study"])
    assert not damaged
    if manifest["state"] == "finished" or shards(folder):
        assert len(load_study(folder).scores)


def endured(out: Path, kind: str, moments: list[float], log: Path) -> int:
    """Analyse, dying at these moments, and once more to the end; return how often it died."""
    died = 0
    for moment in moments:
        code = process(out, kind, moment, log)
        died += code != 0
        assert code in (0, -9, -14)
        check_nothing_is_half_there(out)
        if kind in REPLACED:
            assert load_study(out).finished
        if code == 0:
            break
    assert process(out, kind, None, log) == 0
    return died


def check(folder: Path, peace: Path, kind: str, seed: int, kills: int) -> None:
    expected, events, seconds = in_peace(peace, kind)
    chance = random.Random(seed)
    moments: list[float] = []
    for _ in range(kills):
        by_event = chance.random() < 0.8
        moments.append(chance.randrange(events) if by_event else chance.random() * seconds)
    out, log = folder / "study", folder / "log"
    if kind in REPLACED:
        killed.analyze(out, "usual")
    died = endured(out, kind, moments, log)
    assert shards(out) == shards(expected)
    ours, theirs = (json.loads((place / MANIFEST).read_text()) for place in (out, expected))
    for key in ("state", "study", "base", "notes", "shards"):
        assert ours[key] == theirs[key]
    assert load_study(out).scores.equals(load_study(expected).scores)
    assert {path.name for path in folder.iterdir()} == {"study", "log", "log.events"}
    assert [path.name for path in out.rglob(".*")] == [MARKER]
    if kind == "usual":  # one worker: a death costs the shard being written and the next one
        measured = Counter(log.read_text().split())
        assert sum(measured.values()) <= killed.SHARDS + 2 * died


@pytest.mark.parametrize("kind", ["usual", pytest.param("until", marks=pytest.mark.slow), "extend"])
def test_a_few_kills(tmp_path, peace, kind):
    check(tmp_path, peace, kind, seed=0, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 13))
def test_many_kills(tmp_path, peace, kind, seed):
    check(tmp_path, peace, kind, seed, kills=4)


@pytest.mark.slow
def test_a_kill_at_every_step_of_the_end(tmp_path, peace):
    _, events, _ = in_peace(peace, "overwrite")
    for at in range(events - 40, events):
        (tmp_path / str(at)).mkdir()
        out = tmp_path / str(at) / "study"
        killed.analyze(out, "usual")
        process(out, "overwrite", at, tmp_path / "log")
        check_nothing_is_half_there(out)
        killed.analyze(out, "overwrite" if out.exists() else "usual")
        assert [path.name for path in out.parent.iterdir()] == [out.name]
        assert shards(out) == shards(in_peace(peace, "overwrite")[0])
