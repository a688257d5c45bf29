"""The marker that proves a folder ours, and a removal that touches nothing else."""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hormesis.errors import StudyError, TrainingError
from hormesis.storage import atomic
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.ownership import (
    COMPARISON,
    MARKER,
    NEXT,
    STUDY,
    TRAINING,
    Owner,
    claim,
    claiming,
    owner,
)
from hormesis.storage.removal import (
    Layout,
    check_ours,
    entry_names,
    first_foreign,
    is_mount,
    remove,
    remove_new,
    remove_remains,
)

LAYOUT = Layout(r"manifest\.json|table", {r"inner": Layout(r"\d+", {r"deep-\d": Layout("x")})})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours in which every name is."""
    made = tmp_path / "made"
    (made / "inner" / "deep-1").mkdir(parents=True)
    for name in ("manifest.json", "table", "inner/12", "inner/deep-1/x", f"inner/{TEMPORARY}1"):
        (made / name).write_text(name)
    claim(made, STUDY)
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's, elsewhere, with names that are ours too."""
    made = tmp_path / "precious"
    made.mkdir()
    for name in ("manifest.json", "12", "x", "thesis.tex"):
        (made / name).write_text("years of work")
    return made


def tree(folder: Path) -> dict[str, str]:
    """Return what lies in a folder: contents of files, and where links lead."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_text()
        if path.is_file()
        else path.stat().st_mode.__format__("o")
        for path in sorted(folder.rglob("*"))
    }


# The marker


def test_a_marker_is_drawn_once_and_says_what_the_folder_holds(tmp_path: Path):
    assert owner(tmp_path) is None
    made = claim(tmp_path, TRAINING)
    assert made == owner(tmp_path) == claim(tmp_path, TRAINING)
    assert made.kind == TRAINING
    (tmp_path / "other").mkdir()
    assert claim(tmp_path / "other", TRAINING).identity != made.identity
    assert json.loads((tmp_path / MARKER).read_text()) == {
        "format": 1,
        "kind": "training",
        "identity": made.identity,
    }


def test_the_part_of_a_study_changes_and_its_identity_stays(tmp_path: Path):
    made = claim(tmp_path, STUDY, part=NEXT)
    assert owner(tmp_path) == Owner(STUDY, made.identity, NEXT)
    assert claim(tmp_path, STUDY) == Owner(STUDY, made.identity)
    assert owner(tmp_path) == Owner(STUDY, made.identity)


def test_what_is_another_s_is_not_claimed(tmp_path: Path):
    claim(tmp_path, TRAINING)
    with pytest.raises(StudyError, match="holds a training, not a study: choose another one"):
        claim(tmp_path, STUDY)
    with pytest.raises(TrainingError, match="holds a training, not a comparison: choose"):
        claim(tmp_path, COMPARISON, error=TrainingError)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 1, "kind": "study"}',
        '{"format": 1, "kind": "study", "identity": "../.."}',
        '{"format": 1, "kind": ["study"], "identity": "' + "0" * 32 + '"}',
        '{"format": 1, "kind": "home", "identity": "' + "0" * 32 + '"}',
        '{"format": 2, "kind": "study", "identity": "' + "0" * 32 + '"}',
        '{"format": 1, "kind": "study", "part": 1, "identity": "' + "0" * 32 + '"}',
        '{"format": 1, "kind": "study", "part": [], "identity": "' + "0" * 32 + '"}',
        '{"format": 1, "kind": "study", "identity": "' + "0" * 32 + '"' + " " * 5000 + "}",
    ],
)
def test_what_is_no_marker_proves_nothing_and_is_replaced(tmp_path: Path, text: str):
    (tmp_path / MARKER).write_text(text)
    assert owner(tmp_path) is None
    assert claim(tmp_path, STUDY) == owner(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "link", "loop", "endless"])
def test_a_marker_that_is_no_file_proves_nothing_and_is_not_waited_for(
    folder: Path, tmp_path: Path, kind: str
):
    there = tmp_path / "there"
    there.mkdir()
    place = there / MARKER
    if kind == "pipe":
        os.mkfifo(place)
    else:
        leads = {"link": folder / MARKER, "loop": place, "endless": "/dev/zero"}
        place.symlink_to(leads[kind])
    before = tree(folder)
    assert owner(there) is None
    claim(there, STUDY)
    assert owner(there) is not None
    assert tree(folder) == before


def test_a_link_to_a_folder_of_ours_is_nobody_s(folder: Path, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert owner(link) is None
    with pytest.raises(NotADirectoryError, match="is a link"):
        claim(link, STUDY)


def test_after_an_error_what_was_only_marked_is_gone(tmp_path: Path):
    def fails(out: Path, then: Callable[[], object]) -> None:
        with claiming(out, COMPARISON):
            then()
            raise RuntimeError("stop")

    out = tmp_path / "a" / "b"
    with pytest.raises(RuntimeError, match="stop"):
        fails(out, lambda: None)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(RuntimeError, match="stop"):
        fails(out, lambda: (out / "table").touch())
    assert sorted(path.name for path in out.iterdir()) == [MARKER, "table"]
    with pytest.raises(RuntimeError, match="stop"):
        fails(out, lambda: (out / "table").unlink())
    assert owner(out) is not None  # it was marked before


# Removal


def test_a_folder_of_ours_goes(folder: Path):
    check_ours(folder, LAYOUT)
    remove(folder, LAYOUT)
    assert not folder.exists()
    remove(folder, LAYOUT)


STRANGERS = ["notes.txt", ".git/config", "inner/notes.txt", "inner/deep-1/y", "inner/deep-11/x"]


@pytest.mark.parametrize("name", [*STRANGERS, "table.bak", "inner/12a", "empty/"])
def test_a_file_of_the_user_s_stops_everything(folder: Path, name: str):
    place = folder / name
    (place if name.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
    if not name.endswith("/"):
        place.write_text("mine")
    before = tree(folder)
    there = first_foreign(folder, LAYOUT)
    assert there is not None
    assert name.startswith(there)
    with pytest.raises(TrainingError, match=rf"holds '{there}', which hormesis did not put there"):
        remove(folder, LAYOUT, error=TrainingError)
    assert tree(folder) == before


LINKED = ["manifest.json", "table", "inner/12", "inner/deep-1", "inner", MARKER, f"{TEMPORARY}0"]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("leads", ["folder", "file", "nowhere", "itself", "/dev/null", ".."])
def test_no_link_is_followed_or_deleted(folder: Path, precious: Path, name: str, leads: str):
    place = folder / name
    if place.is_dir():
        place.rename(folder.parent / "moved")
    else:
        place.unlink(missing_ok=True)
    targets = {
        "folder": precious,
        "file": precious / "thesis.tex",
        "nowhere": precious / "nothing",
        "itself": place.name,
    }
    place.symlink_to(targets.get(leads, leads))
    before = tree(folder.parent)
    with pytest.raises(StudyError, match=f"holds '{name}', which"):
        remove(folder, LAYOUT)
    assert tree(folder.parent) == before


def test_a_link_to_the_folder_itself_is_not_followed(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder)
    before = tree(tmp_path)
    for function in (remove, check_ours, first_foreign):
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            function(tmp_path / "link", LAYOUT)
    remove_new(tmp_path / "link", LAYOUT, kept=())
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["manifest.json", "inner/12"])
def test_a_pipe_with_a_name_of_ours_is_not_ours(folder: Path, name: str):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(StudyError, match=f"holds '{name}'"):
        remove(folder, LAYOUT)


def test_a_second_name_of_a_file_keeps_it(folder: Path, precious: Path):
    (folder / "table").unlink()
    os.link(precious / "thesis.tex", folder / "table")
    remove(folder, LAYOUT)
    assert (precious / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["table", "inner/12", "inner/deep-1/x"])
def test_what_cannot_be_deleted_leaves_the_marker(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    unlink = os.unlink

    def refuses(path: str, *, dir_fd: int | None = None) -> None:
        if path == Path(name).name:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuses)
        remove(folder, LAYOUT)
    assert [path for path in tree(folder) if (folder / path).is_file()] == [MARKER, name]
    remove(folder, LAYOUT)
    assert not folder.exists()


def test_the_manifest_goes_first_and_the_marker_last(folder: Path, monkeypatch: pytest.MonkeyPatch):
    gone, unlink = [], os.unlink

    def noted(path: str, *, dir_fd: int | None = None) -> None:
        gone.append(path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", noted)
    remove(folder, LAYOUT)
    assert (gone[0], gone[-1]) == ("manifest.json", MARKER)


STEPS = ("unlink", "rmdir", "rename", "fsync")


def _dying(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let a process die before one of its steps."""
    done = 0

    def dying(step: Callable[..., None]) -> Callable[..., None]:
        def counted(*given: Any, **options: Any) -> None:
            nonlocal done
            if done == at:
                raise SystemExit("died")
            done += 1
            step(*given, **options)

        return counted

    for name in STEPS:
        monkeypatch.setattr(os, name, dying(getattr(os, name)))


@pytest.mark.parametrize("at", range(20))
def test_a_removal_that_is_interrupted_is_brought_to_its_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
):
    mine = tmp_path / f"{TEMPORARY}of-mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with monkeypatch.context() as patch, suppress(SystemExit):
        _dying(patch, at)
        remove(folder, LAYOUT)
    assert not folder.exists() or owner(folder) is not None
    monkeypatch.setattr(atomic, "_is_dead", lambda _: True)
    remove_remains(tmp_path)
    remove(folder, LAYOUT)
    assert list(tree(tmp_path)) == [mine.name, f"{mine.name}/thesis.tex"]


def test_only_what_is_new_and_ours_is_taken_back(folder: Path):
    kept = entry_names(folder) - {"table", "inner"}
    (folder / "inner" / "notes.txt").write_text("mine")
    (folder / "link").symlink_to(folder)
    remove_new(folder, LAYOUT, kept=kept)
    left = [MARKER, "inner", "inner/notes.txt", "link", "manifest.json"]
    assert list(tree(folder)) == left
    assert entry_names(folder / "nothing") == frozenset()


def test_a_mount_point_is_told(tmp_path: Path):
    assert is_mount(Path("/proc"))
    assert not is_mount(tmp_path)
