"""Files that are there whole or not at all, and files of strangers read within bounds."""

import contextlib
import errno
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hormesis.storage import atomic
from hormesis.storage.atomic import (
    TEMPORARY,
    make_folder,
    remove_leftovers,
    replacing,
    temporary_beside,
    write_file,
)
from hormesis.storage.safe_read import (
    MOST_DEPTH,
    MOST_VALUES,
    UnreadableFile,
    parse_json,
    read_bytes,
)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]


def test_data_and_names_reach_the_disk_in_the_order_that_a_power_cut_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_file(tmp_path / "a", b"1")
    assert done == ["file", "rename", "folder"]
    done.clear()
    assert make_folder(tmp_path / "x" / "y") == [tmp_path / "x" / "y", tmp_path / "x"]
    assert done == ["folder", "folder"]
    assert make_folder(tmp_path / "x" / "y") == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EPERM])
@pytest.mark.parametrize("where", ["write", "fsync"])
def test_after_an_error_the_old_file_is_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int
):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, where, failing)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_file(path, b"new")
    monkeypatch.undo()
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"old")]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "link").symlink_to(precious)
    write_file(tmp_path / "link", b"new")
    assert precious.read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()


def test_a_library_that_writes_by_name_gets_the_suffix_it_goes_by(tmp_path: Path):
    with replacing(tmp_path / "picture.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(TEMPORARY)
        temporary.write_bytes(b"png")
    assert (tmp_path / "picture.png").read_bytes() == b"png"


def test_a_library_that_leaves_a_link_or_nothing_is_noticed(tmp_path: Path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        pass
    with pytest.raises(OSError), replacing(tmp_path / "a") as temporary:  # noqa: PT011
        temporary.symlink_to("/dev/zero")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "a." + "s" * 200])
def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path, name: str):
    write_file(tmp_path / name, b"1")
    assert (tmp_path / name).read_bytes() == b"1"


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path):
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path\n"
            "from hormesis.storage.atomic import temporary_beside\n"
            "temporary_beside(Path(sys.argv[1])).write_text('half')",
            tmp_path / "a.txt",
        ],
        check=False,
    )
    assert made.returncode == 0
    living = temporary_beside(tmp_path / "b")
    living.touch()
    elsewhere = tmp_path / f"{TEMPORARY}00000000-1-0-abcdabcd"
    elsewhere.touch()
    folder = tmp_path / f"{TEMPORARY}of-a-user"
    folder.mkdir()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, elsewhere, folder])
    remove_leftovers(tmp_path, alone=True)
    assert list(tmp_path.iterdir()) == [folder]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    "plant", [_pipe, _link_to_a_device, _link_to_itself, _sparse, _socket, Path.mkdir]
)
def test_no_pipe_link_device_or_endless_file_is_read(tmp_path: Path, plant):
    plant(tmp_path / "a")
    with pytest.raises(UnreadableFile, match=r"^it is (a link|a folder|larger|not a regular file)"):
        read_bytes(tmp_path / "a", 1 << 20)


def test_a_file_of_just_the_size_is_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(UnreadableFile, match="larger than 4 bytes"):
        read_bytes(tmp_path / "a", 4)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@given(_JSON, st.booleans())
def test_whatever_json_writes_is_read_as_json_reads_it(value, ascii_only: bool):
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_json(content) == json.loads(content)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * (MOST_DEPTH + 1), "nested more deeply"),
        ("[" + "[]," * MOST_VALUES + "1]", "more than 250,000 values"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested more deeply"),
        ("1" * 5000, "more than 400 digits"),
        ('"\\ud800"', "no valid Unicode"),
        ('{"\\udfff": 1}', "no valid Unicode"),
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("1e999", "too large"),
        ('{"a": 1, "a": 2}', "twice"),
        ("{", "no JSON"),
        ("", "no JSON"),
        ('"[[[', "no JSON"),
    ],
)
def test_json_that_no_program_of_ours_writes_is_refused(text: str, why: str):
    with pytest.raises(ValueError, match=why):
        parse_json(text.encode())


def test_brackets_within_texts_are_no_nesting():
    text = "[" * 1000 + '\\"' + "{" * 1000
    assert parse_json(json.dumps([text]).encode()) == [text]


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(content: bytes):
    with contextlib.suppress(ValueError):
        parse_json(content)
