"""Links, pipes and files of others, planted at every place that the program touches in a study.

Whatever is asked for, nothing outside the study changes, no file of anybody else's is deleted, and
the result is success or one of our errors.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import cycle, product
from pathlib import Path

import pytest

import killed
from hormesis.cli.app import main
from hormesis.errors import HormesisError, StudyError
from hormesis.measure import shard_worker
from hormesis.report.html.live import Follower, page_sink
from hormesis.results.study import load_study
from hormesis.storage import lock
from hormesis.storage.atomic import TEMPORARY, temporary_beside
from hormesis.storage.files import MANIFEST
from hormesis.storage.folders import creating_study
from hormesis.storage.lock import LOCK
from hormesis.storage.ownership import COMPARISON, MARKER, STUDY, TRAINING, claim, owner
from parameters import one_at_a_time

KINDS = ("usual", "overwrite", "extend")
LEFT = f"{TEMPORARY}00000000-4711-0-abcd"
BESIDE = ("study", ".study.next", ".study.old")
WITHIN = (
    LOCK,
    MARKER,
    MANIFEST,
    "targets.parquet",
    "cells.parquet",
    "samples.parquet",
    "removals.parquet",
    "responses.parquet",
    "overview.png",
    "outcomes",
    "outcomes/00000000.safetensors",
    "outcomes/00000032.safetensors",
    ".manifest.json.partial",
    ".partial.overview.png",
    "outcomes/.00000000.safetensors.partial",
    LEFT,
    f"outcomes/{LEFT}.safetensors",
)
LINKS = ("folder", "file", "study", "nowhere", "itself", "relative", "/dev/null")
PLANTED = [*BESIDE, *(f"study/{name}" for name in WITHIN)]


@pytest.fixture(autouse=True, scope="module")
def _at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "SETTLE", 0.01)
        patch.setattr("hormesis.storage.replacement._PATIENCE", 2)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    killed.analyze(folder, "usual")
    return folder


@pytest.fixture
def precious(tmp_path: Path, whole: Path) -> Path:
    """What the user has elsewhere: a thesis, and a study with every name that is ours."""
    made = tmp_path / "elsewhere"
    (made / "folder").mkdir(parents=True)
    for name in ("thesis.tex", "00000000.safetensors", MANIFEST, ".lock"):
        (made / "folder" / name).write_text("years of work")
    shutil.copytree(whole, made / "study")
    return made


@pytest.fixture
def home(tmp_path: Path, precious: Path, whole: Path) -> Path:
    """Where one works, with an unfinished study."""
    made = tmp_path / "home"
    shutil.copytree(whole, made / "study")
    (made / "study" / "outcomes" / "00000032.safetensors").unlink()
    return made


@pytest.fixture
def finished(home: Path, precious: Path) -> Path:
    """The same, with a finished study."""
    name = "study/outcomes/00000032.safetensors"
    shutil.copy(precious / name, home / name)
    return home


def tree(folder: Path) -> dict[str, bytes | str]:
    """Return everything that lies in a folder: contents of files, and where links lead."""
    found = dict[str, bytes | str]()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else f"{path.lstat().st_mode:o}"
    return found


def plant(place: Path, leads: str, precious: Path) -> None:
    """Put a link in the place of whatever lies there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    targets = {
        "folder": precious / "folder",
        "file": precious / "folder" / "thesis.tex",
        "study": precious / "study",
        "nowhere": precious / "nothing",
        "itself": Path(place.name),
        "relative": Path(os.path.relpath(precious / "folder", place.parent)),
    }
    place.symlink_to(targets.get(leads, Path(leads)))


def harmless(act: Callable[[], object], *folders: Path) -> str:
    """Do something, and return the error of ours that it ends with, if any; nothing changes."""
    before, said = [tree(folder) for folder in folders], ""
    try:
        act()
    except HormesisError as error:
        said = str(error)
    assert [tree(folder) for folder in folders] == before
    return said


# Links


CASES = list(product(PLANTED, LINKS))
MOST = set(product(PLANTED, LINKS, KINDS))
FEW = [(*case, kind) for case, kind in zip(CASES, cycle(KINDS), strict=False)]


def check_links(place: str, leads: str, kind: str, home: Path, precious: Path) -> None:
    plant(home / place, leads, precious)
    said = harmless(lambda: killed.analyze(home / "study", kind), precious)
    assert not any("\n" in line for line in (said,))
    if not said:
        assert load_study(home / "study").finished
        assert not (home / "study" / "outcomes").is_symlink()


@pytest.mark.parametrize(("place", "leads", "kind"), FEW[::5])
def test_no_link_is_written_through(place, leads, kind, home, precious):
    check_links(place, leads, kind, home, precious)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "leads", "kind"), sorted(MOST - set(FEW[::5])))
def test_no_link_anywhere_is_written_through(place, leads, kind, home, precious):
    check_links(place, leads, kind, home, precious)


@pytest.mark.parametrize("leads", LINKS)
def test_a_link_is_no_place_for_a_study(leads, home, precious):
    plant(home / "study", leads, precious)
    said = harmless(lambda: killed.analyze(home / "study", "usual"), precious, home)
    assert said.startswith("Expected `out` to be a folder, but ")
    assert "is a link, to " in said


def test_a_folder_below_a_link_is_one_s_own_choice(home, precious):
    (home / "disk").symlink_to(precious / "folder")
    assert killed.analyze(home / "disk" / "new", "usual").finished
    assert load_study(precious / "folder" / "new").finished


@pytest.mark.parametrize(
    ("name", "place", "kind"),
    one_at_a_time(
        ["folder", "pipe"],
        [MANIFEST, LOCK, MARKER, "overview.png", LEFT],
        ["overwrite", "usual"],
    ),
)
def test_pipes_and_folders_with_names_of_ours(name, place, kind, home, precious):
    where = home / "study" / place
    where.unlink(missing_ok=True)
    if name == "pipe":
        os.mkfifo(where)
    else:
        where.mkdir()
        (where / "notes.txt").write_text("mine")
    harmless(lambda: killed.analyze(home / "study", kind), precious)
    assert name == "pipe" or (where / "notes.txt").read_text() == "mine"


# Files of others


@pytest.mark.parametrize(
    ("name", "kind"),
    one_at_a_time(
        ["notes.txt", ".git/config", "outcomes/notes.txt", "a/b", ".env"],
        ["overwrite", "usual", "extend"],
    ),
)
def test_a_study_with_a_file_of_the_user_s_is_not_replaced(name, kind, home, precious):
    mine = home / "study" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    if kind == "usual":
        assert killed.analyze(home / "study", kind).finished
    else:
        said = harmless(lambda: killed.analyze(home / "study", kind), home)
        there = "outcomes/notes.txt" if "outcomes" in name else name.split("/")[0]
        assert f"holds '{there}', which hormesis did not put there: move it away, or" in said
    assert mine.read_text() == "mine"


def test_what_is_put_into_a_study_while_its_successor_grows_stays(home, monkeypatch):
    measure, mine = shard_worker.ShardWorker.__call__, home / "study" / "notes.txt"

    def noted(*given):
        mine.write_text("mine")
        return measure(*given)

    with monkeypatch.context() as patch:
        patch.setattr(shard_worker.ShardWorker, "__call__", noted)
        with pytest.raises(StudyError, match=r"holds 'notes\.txt', which hormesis did not"):
            killed.analyze(home / "study", "overwrite")
    assert mine.read_text() == "mine"
    mine.unlink()
    assert killed.analyze(home / "study", "overwrite").finished
    assert os.listdir(home) == ["study"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("name", "holds", "kind"),
    one_at_a_time(
        [".study.next", ".study.old"],
        ["study", "notes", "file"],
        ["overwrite", "usual", "extend"],
    ),
)
def test_a_folder_of_the_user_s_beside_the_study_is_left_alone(name, holds, kind, home, precious):
    place = home / name
    if holds == "file":
        place.write_text("mine")
    else:
        shutil.copytree(precious / ("folder" if holds == "notes" else "study"), place)
    before = tree(home / name)
    said = harmless(lambda: killed.analyze(home / "study", kind), precious)
    assert tree(home / name) == before
    assert place.exists()
    assert (f"{name} is needed to replace" in said) == (kind != "usual")
    assert bool(said) == (kind != "usual")


def test_without_a_study_nothing_takes_the_place_of_one(home, precious):
    shutil.copytree(precious / "study", home / ".new.old")
    before = tree(home / ".new.old")
    assert killed.analyze(home / "new", "usual").finished
    assert tree(home / ".new.old") == before


def web_project(folder: Path) -> None:
    (folder / "public").mkdir(parents=True)
    (folder / MANIFEST).write_text('{"name": "shop", "format": 2, "start_url": "/"}')


def bare_project(folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST).write_text('{"name": "shop", "sha256": "' + "0" * 64 + '"}')


def training(folder: Path) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "epoch-0001.safetensors").write_text("weights")
    (folder / MANIFEST).write_text('{"training": 1, "question": {}}')


def marked_training(folder: Path) -> None:
    training(folder)
    claim(folder, TRAINING)


def dot_files(folder: Path) -> None:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("mine")
    (folder / ".env").write_text("mine")


def other_lock(folder: Path) -> None:
    folder.mkdir()
    (folder / LOCK).write_text("pid 4711\n")


def own_tables(folder: Path) -> None:
    folder.mkdir()
    (folder / "targets.parquet").write_text("mine")


OTHERS = [
    (web_project, "holds something else; choose another"),
    (bare_project, "holds something else; choose another"),
    (training, "holds something else; choose another"),
    (marked_training, "holds a training; choose another"),
    (dot_files, "holds something else; choose another one with `out`. It holds '.env'."),
    (other_lock, "It holds '.lock'."),
    (own_tables, "It holds 'targets.parquet'."),
]


@pytest.mark.parametrize(("kind", "other"), one_at_a_time(["overwrite", "usual", "extend"], OTHERS))
def test_what_is_no_study_is_not_replaced(kind, other, home):
    make, words = other
    make(home / "other")
    said = harmless(lambda: killed.analyze(home / "other", kind), home)
    assert (words in said) or (kind != "overwrite" and "other" in said and said)


def test_an_interruption_before_the_first_shard_deletes_nothing_of_the_user_s(
    tmp_path, monkeypatch
):
    dot_files(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shard_worker.ShardWorker, "__call__", stopped)
    before = tree(tmp_path)
    for out in (Path(), Path("new"), Path("deep/new")):
        with pytest.raises((KeyboardInterrupt, StudyError)):
            killed.analyze(out, "usual")
        assert tree(tmp_path) == before


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), SystemExit()])
def test_only_what_the_run_has_made_is_taken_back(tmp_path, stop):
    dot_files(tmp_path / "work")
    before = tree(tmp_path)

    def stopped() -> None:
        with creating_study(tmp_path / "work"):
            (tmp_path / "work" / MANIFEST).write_text("{}")
            raise stop

    with pytest.raises((KeyboardInterrupt, StudyError, SystemExit)):
        stopped()
    assert tree(tmp_path) == before


def test_an_old_study_without_a_marker_is_replaced_by_its_checksum(home):
    (home / "study" / MARKER).unlink()
    assert killed.analyze(home / "study", "overwrite").finished
    marker = owner(home / "study")
    assert marker is not None
    assert (marker.kind, marker.part) == (STUDY, "")
    (home / "study" / MARKER).unlink()
    (home / "study" / MANIFEST).write_text("{}")  # its shards tell
    assert killed.analyze(home / "study", "overwrite").finished
    (home / "study" / MARKER).unlink()
    (home / "study" / MANIFEST).write_text("{}")
    shutil.rmtree(home / "study" / "outcomes")
    said = harmless(lambda: killed.analyze(home / "study", "overwrite"), home)
    assert "Its manifest.json is not that of a study." in said


def test_who_may_not_work_there_deletes_nothing_that_grows(home, monkeypatch):
    measure, seen = shard_worker.ShardWorker.__call__, list[bool]()
    grows = home / ".study.next" / "outcomes" / "00000000.safetensors"

    def second(*given):
        if grows.exists() and not seen:
            with monkeypatch.context() as patch:
                patch.setattr(shard_worker.ShardWorker, "__call__", measure)
                with pytest.raises(StudyError, match="is being worked on by process"):
                    killed.analyze(home / "study", "until_overwrite")
            seen.append(grows.exists())
        return measure(*given)

    monkeypatch.setattr(shard_worker.ShardWorker, "__call__", second)
    assert killed.analyze(home / "study", "overwrite").finished
    assert seen == [True]


# Litter


def test_what_dead_processes_left_is_gone_after_the_next_run(home):
    study = home / "study"
    dead = temporary_beside(study / "x.json").name.replace(f"-{os.getpid()}-", "-999999999-")
    for folder in (home, study, study / "outcomes"):
        (folder / dead).write_text("litter")
    (study / LOCK).write_text('{"token": "')
    os.utime(study / LOCK, (1, 1))
    killed.analyze(study, "overwrite")
    assert not [path for path in home.rglob("*") if path.name in (dead, LOCK)]
    (study / LOCK).write_text('{"token": "')
    os.utime(study / LOCK, (1, 1))
    killed.analyze(study, "usual")  # opens it
    assert not (study / LOCK).exists()


# Commands


COMMANDS = {
    "report": ["report", "study", "--out", "it.html"],
    "plot": ["plot", "study", "--what", "heatmap", "--out", "it.png"],
    "csv": ["export", "study", "--to", "it.csv"],
    "parquet": ["export", "study", "--format", "parquet", "--to", "it.parquet"],
    "compare": ["compare", "study", "other", "--over", "seeds", "--out", "it"],
    "status": ["status", "study"],
    "verify": ["verify", "study"],
}


@pytest.mark.parametrize(
    ("command", "leads"),
    one_at_a_time(
        ["csv", "report", "plot", "parquet"],
        ["file", "folder", "nowhere", "itself", "relative"],
    ),
)
def test_a_link_in_the_place_of_a_file_is_replaced(command, leads, finished, precious, monkeypatch):
    home = finished
    monkeypatch.chdir(finished)
    words = COMMANDS[command]
    place = home / words[-1]
    plant(place, leads, precious)
    dead = home / temporary_beside(place).name.replace(f"-{os.getpid()}-", "-999999999-")
    dead.symlink_to(precious / "folder" / "thesis.tex")
    before = tree(precious)
    refused = leads == "itself" or (command in ("csv", "parquet") and place.is_dir())
    assert main(words) == (2 if refused else 0)
    assert tree(precious) == before
    if refused:
        return
    assert place.stat().st_size > 100
    assert not place.is_symlink()
    assert not dead.is_symlink()


LEADS = ("file", "nowhere", "itself")


def another_study(home: Path) -> None:
    """Put a study of another seed beside the one that is there."""
    shutil.copytree(home / "study", home / "other")
    manifest = json.loads((home / "other" / MANIFEST).read_text())
    manifest["question"]["sweep"]["seed"] = 1
    del manifest["sha256"]
    (home / "other" / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "leads", ["folder", *(pytest.param(one, marks=pytest.mark.slow) for one in LEADS)]
)
@pytest.mark.parametrize("name", ["it", "it/heatmap.png", "it/changes.csv", f"it/{LEFT}.csv"])
def test_comparisons_write_through_no_link(name, leads, finished, precious, monkeypatch):
    home = finished
    monkeypatch.chdir(home)
    another_study(home)
    if name != "it":
        (home / "it").mkdir()
        claim(home / "it", COMPARISON)
    plant(home / name, leads, precious)
    before = tree(precious)
    assert main(COMMANDS["compare"]) == (2 if name == "it" else 0)
    assert tree(precious) == before


def test_a_comparison_replaces_its_own_files_only(finished, monkeypatch, capsys):
    home = finished
    monkeypatch.chdir(home)
    another_study(home)
    (home / "it").mkdir()
    (home / "it" / "heatmap.png").write_text("mine")
    assert main(COMMANDS["compare"]) == 2
    assert "holds 'heatmap.png', which no comparison wrote" in capsys.readouterr().err
    assert (home / "it" / "heatmap.png").read_text() == "mine"
    (home / "it" / "heatmap.png").unlink()
    assert [main(COMMANDS["compare"]), main(COMMANDS["compare"])] == [0, 0]
    marker = owner(home / "it")
    assert marker is not None
    assert marker.kind == "comparison"


@pytest.mark.parametrize("command", ["status", "verify"])
@pytest.mark.parametrize("place", ["study", *(f"study/{name}" for name in WITHIN[:12])])
def test_readers_change_nothing(command, place, home, precious, monkeypatch):
    monkeypatch.chdir(home)
    for leads in ("file", "itself", "/dev/null"):
        plant(home / place, leads, precious)
        before = tree(home), tree(precious)
        assert main(COMMANDS[command]) in (0, 1, 2)
        assert (tree(home), tree(precious)) == before


@pytest.mark.parametrize("leads", ["folder", "file", "study", "itself", "/dev/null"])
@pytest.mark.parametrize("place", [".study.next", "page.html", "study"])
def test_a_live_page_is_written_through_no_link(place, leads, home, precious):
    plant(home / place, leads, precious)
    before = tree(precious)
    Follower(home / "study", [page_sink(home / "page.html")]).show(last=False)
    assert tree(precious) == before
