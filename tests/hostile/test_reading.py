"""Studies of strangers: whatever lies in the place of a file, and whatever a file says.

Every command that reads a study ends with success or with one of our errors, in less than a second
and 500 MiB more than it takes for a study in which nothing is wrong.
"""

import os
import shutil
from functools import partial
from pathlib import Path
from random import Random

import pytest

import forged
import hormesis as hm
import reading
from hormesis.results.retraining import write_retraining
from hormesis.storage.safe_read import UnreadableFile, names_in
from hormesis.storage.shards import file_of, firsts_in
from mutations import MANY
from reading import COMMANDS, KINDS, PLACES, PLANTS, Ended, ended, plant

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="readings are forked")
_SOON = ("open", "status", "verify", "report")  # those of the fast part
_FEW, _MANY = 16, MANY
Usual = dict[str, Ended]
RETRAINING = {
    "study": {"network": "a", "data": "b", "epoch": None},
    "selection": {"targets": ["x"], "keep": ["robust"], "by": "clean", "filter": "combined"},
    "recipe": {"epochs": 1, "optimizer": "Adam", "rate": 0.1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Usual]:
    """Studies of every kind, and how commands end that read them, once that is known."""
    folder = tmp_path_factory.mktemp("made")
    assert ended(partial(reading.make, folder), 300).how == "done"
    return folder, {}


def _usual(made: tuple[Path, Usual], name: str) -> Ended:
    """Return how a command ends that reads a study in which nothing is wrong."""
    folder, known = made
    if name not in known:
        known[name] = _ended(_copied(folder, "finished", folder / "case"), name)
        assert known[name].how in ("done", "said"), known[name].how
    return known[name]


def _copied(made: Path, kind: str, case: Path) -> Path:
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    shutil.copytree(made / kind, case / "study")
    shutil.copytree(made / "until", case / "other")
    return case


def _ended(case: Path, name: str) -> Ended:
    return ended(partial(reading.read, name, case))


def _waits(kind: str, name: str) -> bool:
    """Whether a command waits for a study to be finished, as it is meant to."""
    return kind == "unfinished" and name == "watch"


@pytest.mark.parametrize("seed", range(12))
def test_what_lies_in_the_place_of_a_file(made, tmp_path, seed):
    chance = Random(seed)
    place, what = chance.choice(PLACES), chance.choice([*PLANTS])
    name, kind = chance.choice(_SOON), chance.choice(KINDS)
    case = _copied(made[0], kind, tmp_path / "case")
    plant(case / "study", place, what) if (case / "study" / place).parent.exists() else None
    found = _ended(case, name)
    assert found.within(_usual(made, name)), (kind, place, what, name, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_lies_in_the_place_of_any_file(made, tmp_path, name):
    bad = []
    for kind in KINDS:
        for place in PLACES:
            for what in PLANTS:
                if _waits(kind, name):
                    continue
                case = _copied(made[0], kind, tmp_path / "case")
                plant(case / "study", place, what)
                found = _ended(case, name)
                if not found.within(_usual(made, name)):
                    bad.append((kind, place, what, found))
    assert not bad, f"{len(bad)}: {bad[:5]}"


@pytest.mark.parametrize("place", ["manifest.json", "outcomes.parquet", "effects.parquet"])
@pytest.mark.parametrize("what", ["pipe", "link to a device", "terabyte", "repeated table"])
def test_what_lies_in_the_place_of_a_file_of_a_retraining(tmp_path, place, what):
    folder = tmp_path / "retrained"
    write_retraining(folder, RETRAINING)
    plant(folder, place, what)
    found = ended(partial(hm.write_report, folder, tmp_path / "report.html"))
    assert found.how == "said", found.how
    assert found.seconds < 5


@pytest.mark.parametrize("words", [["analyze", "--config"], ["compare", "a", "b", "--matching"]])
@pytest.mark.parametrize("what", ["pipe", "socket"])
def test_a_pipe_in_the_place_of_a_file_that_a_user_names(tmp_path, words, what):
    PLANTS[what](tmp_path / "file")
    assert ended(partial(reading.refused, [*words, "file"], tmp_path)).how == "done"


def test_a_folder_of_too_many_names_is_not_listed(tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    assert names_in(tmp_path, 3) == ["a", "b", "c"]
    with pytest.raises(UnreadableFile, match="it holds more than 2 names"):
        names_in(tmp_path, 2)


def test_names_that_are_no_shards_are_none(tmp_path):
    for name in (b"\xff\xfe.safetensors", b"9" * 20 + b".safetensors", b"00000000.pt", b"-1"):
        (tmp_path / os.fsdecode(name)).touch()
    for first in (256, 123456789):
        file_of(tmp_path, first).touch()
    assert firsts_in(tmp_path) == [256, 123456789]


def _forged(made: tuple[Path, Usual], case: Path, seed: int, names: tuple[str, ...]) -> str:
    """Return what is wrong with the reading of a forged study, or nothing."""
    chance = Random(seed)
    kind, name = chance.choice(KINDS), chance.choice(names)
    _copied(made[0], kind, case)
    how = forged.forge(case / "study", chance)
    found = "" if _waits(kind, name) else _ended(case, name)
    if not found or found.within(_usual(made, name)):
        return ""
    return f"{seed}: {kind} {name} {how} {found}"


@pytest.mark.parametrize("part", range(4))
def test_a_forged_study_is_read_or_refused(made, tmp_path, part):
    seeds = range(part * _FEW // 4, (part + 1) * _FEW // 4)
    bad = [wrong for seed in seeds if (wrong := _forged(made, tmp_path / "case", seed, _SOON))]
    assert not bad, "\n".join(bad)


@pytest.mark.slow
def test_ten_thousand_forged_studies_are_read_or_refused(made, tmp_path):
    names = tuple(COMMANDS)
    every = (_forged(made, tmp_path / "case", seed, names) for seed in range(_MANY))
    bad = [wrong for wrong in every if wrong]
    assert not bad, f"{len(bad)}: " + "\n".join(bad[:20])
