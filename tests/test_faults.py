"""Disks that are full, folders that may not be written, files that go bad: one sentence each."""

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import killed
from hormesis.cli.app import main
from hormesis.errors import StudyError
from hormesis.results.study import load_study
from hormesis.storage import files
from hormesis.storage.files import MANIFEST, OUTCOMES
from hormesis.storage.ownership import NEXT, STUDY, claim, owner


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    killed.analyze(folder, "usual")
    return folder


@pytest.fixture
def copy(tmp_path: Path, whole: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "study"))


def contents(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def shards(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if OUTCOMES in name}


# Full disks


def full_after(monkeypatch: pytest.MonkeyPatch, count: int, error: int) -> None:
    """Let so many files be written, and no more."""
    write, written = files.write_file, []

    def limited(path: Path, content: bytes) -> None:
        if len(written) == count:
            raise OSError(error, os.strerror(error))
        written.append(path)
        write(path, content)

    monkeypatch.setattr("hormesis.storage.files.write_file", limited)
    monkeypatch.setattr("hormesis.storage.store.write_file", limited)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("count", [0, 4, 7, 12])
def test_a_study_goes_on_where_there_was_no_room(tmp_path, whole, monkeypatch, count, error):
    out = tmp_path / "study"
    with monkeypatch.context() as patch:
        full_after(patch, count, error)
        with pytest.raises(StudyError, match=r"study cannot be written: .*another folder with"):
            killed.analyze(out, "usual")
    assert out.exists() == (count > 5)  # five files begin a study; what has no shard is taken away
    killed.analyze(out, "usual")
    assert shards(out) == shards(whole)


@pytest.mark.parametrize("count", [0, 3, 8, 13])
def test_a_study_to_be_replaced_stays_as_it_was(copy, monkeypatch, count):
    before = contents(copy)
    with monkeypatch.context() as patch:
        full_after(patch, count, errno.ENOSPC)
        with pytest.raises(StudyError, match=r"No space left on device\. Free some space or"):
            killed.analyze(copy, "extend")
    assert contents(copy) == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 20, 60])
def test_on_a_disk_that_is_truly_full(tiny_disk, whole, left):
    ballast = tiny_disk / "ballast"
    size = (200 - left) * 1024
    ballast.write_bytes(b"\1" * size)
    out = tiny_disk / "study"
    with pytest.raises(StudyError, match="cannot be written: No space left on device"):
        killed.analyze(out, "usual")
    ballast.unlink()
    killed.analyze(out, "usual")
    assert shards(out) == shards(whole)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(copy):
    before = contents(copy)
    (copy / OUTCOMES / "00000032.safetensors").unlink()
    (copy / OUTCOMES).chmod(0o500)
    try:
        with pytest.raises(StudyError, match="cannot be written: Permission denied"):
            killed.analyze(copy, "usual")
    finally:
        (copy / OUTCOMES).chmod(0o700)
    killed.analyze(copy, "usual")
    assert contents(copy).keys() == before.keys()


def test_a_study_that_took_its_place_is_marked_so_by_the_next_command(copy):
    claim(copy, STUDY, part=NEXT)  # as a process leaves it that dies just after the exchange
    killed.analyze(copy, "usual")
    there = owner(copy)
    assert there is not None
    assert (there.kind, there.part) == (STUDY, "")


# Files that go bad


def cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(content))


def delete(path: Path, chance: random.Random) -> None:
    path.unlink()


def overwrite(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(path.stat().st_size))


def swap(path: Path, chance: random.Random) -> None:
    """Exchange a file with another of its folder."""
    others = [one for one in path.parent.iterdir() if one.is_file() and one != path]
    other = chance.choice(sorted(others))
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


HARMS: tuple[Callable[[Path, random.Random], None], ...] = (cut, flip, delete, overwrite, swap)


def harm(folder: Path, seed: int) -> list[str]:
    """Damage one to three files of a study, shards above all, and return which now differ."""
    chance, before = random.Random(seed), contents(folder)
    for _ in range(chance.randint(1, 3)):
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        paths = [path for path in paths if path.name != MANIFEST]
        chosen = [path for path in paths if path.parent.name == OUTCOMES or chance.random() < 0.5]
        if chosen:
            chance.choice(HARMS)(chance.choice(chosen), chance)
    after = contents(folder)
    return [name for name in before if after.get(name) != before[name]]


def harmless(copy: Path, whole: Path, names: list[str]) -> bool:
    """Return whether what was changed means nothing, as blanks in a header do."""
    return not any(name.endswith(".parquet") for name in names) and load_study(copy).scores.equals(
        load_study(whole).scores
    )


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_found_named_and_mended(copy, whole, capsys, seed):
    check_damage(copy, whole, capsys, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 150))
def test_much_damage_is_found_named_and_mended(copy, whole, capsys, seed):
    check_damage(copy, whole, capsys, seed)


def check_damage(copy: Path, whole: Path, capsys: Any, seed: int) -> None:
    names = [name for name in harm(copy, seed) if not name.startswith(".")]
    if any(name == MANIFEST for name in names):  # a table that was exchanged with it
        assert main(["verify", str(copy)]) == 2
        assert "damaged" in capsys.readouterr().err
        return
    code = main(["verify", str(copy)])
    said = capsys.readouterr().out
    if code == 0:
        assert harmless(copy, whole, names)
        return
    assert code == 1
    assert any(name in said.replace("\n", "") for name in names)
    killed.analyze(copy, "usual")
    assert main(["verify", str(copy)]) == 0
    assert shards(copy) == shards(whole)
    assert load_study(copy).scores.equals(load_study(whole).scores)


@pytest.mark.parametrize("how", [cut, flip, overwrite])
@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_manifest_is_refused_or_read_rightly(copy, whole, how, seed):
    how(copy / MANIFEST, random.Random(seed))
    try:
        assert load_study(copy).scores.equals(load_study(whole).scores)
    except StudyError:
        with pytest.raises(StudyError, match="Still whole are 5 of 5 shards, of 160 samples"):
            load_study(copy)
        (copy / MANIFEST).unlink()
        killed.analyze(copy, "usual")
        assert shards(copy) == shards(whole)


def test_shards_of_another_study_are_seen(copy, whole, tmp_path, capsys):
    killed.analyze(tmp_path / "other", "until")
    name = f"{OUTCOMES}/00000000.safetensors"
    shutil.copy(tmp_path / "other" / name, copy / name)
    assert main(["verify", str(copy)]) == 1
    assert "it belongs to another study" in capsys.readouterr().out.replace("\n", " ")
    killed.analyze(copy, "usual")
    assert shards(copy) == shards(whole)
