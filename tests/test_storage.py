"""The study on disk: its exact bytes, that it is whole or not there, and damage to it."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from handset import ROBUST, manifest, put, responses, targets, write
from hormesis.errors import StudyError
from hormesis.results.study import load_study
from hormesis.storage.atomic import write_file
from hormesis.storage.files import (
    MANIFEST,
    OUTCOMES,
    RESPONSES,
    TARGETS,
    read_manifest,
    read_table,
    write_manifest,
)
from hormesis.storage.folders import check_free, creating_study, is_study
from hormesis.storage.outcomes import StoredOutcomes, concatenate, only_removals
from hormesis.storage.ownership import MARKER, STUDY, claim
from hormesis.storage.replacement import successor, swap
from hormesis.storage.shards import Shard, pack
from hormesis.storage.store import FolderStore, read_blocks

NAMES = ("base_clean", "base_adversarial", "clean", "adversarial")


def floats(*values: object) -> np.ndarray:
    return np.array(values, dtype=np.float32)


TINY = StoredOutcomes(
    base_clean=floats(1, 1, 0),
    base_adversarial=floats(1, 0, 0),
    clean=floats([0, 1, 0], [1, 1, 1]),
    adversarial=floats([0, 0, 1], [1, 0, 0]),
    changed=np.array([True, False]),
)


def tiny(count: int, removals: int = 2, *, seed: int = 0, binary: bool = True) -> StoredOutcomes:
    generator = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        values = generator.normal(size=shape)
        return (values > 0 if binary else values).astype(np.float32)

    return StoredOutcomes(
        drawn(count),
        drawn(count),
        drawn(removals, count),
        drawn(removals, count),
        generator.random(removals) > 0.5,
    )


def write_study(folder: Path) -> Path:
    """Write a whole study of ten samples in two shards, which does not say where they end."""
    tables = manifest(), targets(["w"]), responses({"w": ROBUST})
    return write(folder, tables, tiny(6, 9), tiny(4, 9, seed=1))


@pytest.fixture
def folder(tmp_path):
    return write_study(tmp_path / "study")


def read_outcomes(folder: Path) -> StoredOutcomes:
    return concatenate(list(read_blocks(FolderStore(folder))))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# What is written


def test_the_manifest_to_the_letter(tmp_path):
    written = {"question": {"network": {"name": "ε-net"}}, "notes": [], "base": {"clean": 0.5}}
    write_manifest(tmp_path, written)
    said = (
        b"{\n"
        b'  "format": 2,\n'
        b'  "question": {\n'
        b'    "network": {\n'
        b'      "name": "\\u03b5-net"\n'
        b"    }\n"
        b"  },\n"
        b'  "notes": [],\n'
        b'  "base": {\n'
        b'    "clean": 0.5\n'
        b"  }"
    )
    seal = hashlib.sha256(said + b"\n}").hexdigest().encode()
    assert (tmp_path / MANIFEST).read_bytes() == said + b',\n  "sha256": "' + seal + b'"\n}\n'


def test_any_flipped_bit_of_the_manifest_is_seen_or_harmless(folder):
    path = folder / MANIFEST
    content, whole = path.read_bytes(), read_manifest(folder)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(flipped))
        try:
            found = read_manifest(folder)
        except StudyError:
            continue
        # The name of the checksum itself may be hit: then there is none.
        assert {name: found[name] for name in whole} == whole


def test_a_manifest_changed_by_hand_is_taken_without_its_checksum(folder):
    said = json.loads((folder / MANIFEST).read_text())
    said["notes"] = ["Mine."]
    (folder / MANIFEST).write_text(json.dumps(said))
    refused(folder, "is damaged: its checksum does not fit")
    del said["sha256"]
    (folder / MANIFEST).write_text(json.dumps(said))
    assert load_study(folder).notes == ("Mine.",)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"tables": 3}, "it lacks a proper `tables`"),
        ({"tables": {"x": 1}}, r"it lacks a proper `tables\.x`"),
        ({"shards": 3, "study": "a"}, "it lacks a proper `shards`"),
        ({"shards": {"edges": [0, "1"]}, "study": "a"}, r"it lacks a proper `shards\.edges`"),
        ({"shards": {"edges": [0]}, "study": "a"}, r"it lacks a proper `shards\.edges`"),
        ({"shards": {"edges": [0, 4, 4]}, "study": "a"}, "`shards` do not ascend from 0"),
        ({"shards": {"edges": [1, 4]}, "study": "a"}, "`shards` do not ascend from 0"),
        ({"shards": {"edges": [0, 4]}, "study": "a"}, "shards end at another sample than its data"),
        ({"shards": {"edges": [0, 10]}}, "it lacks `study`"),
        ({"shards": {"edges": [0, 10], "there": []}, "study": "a"}, r"proper `shards\.there`"),
    ],
)
def test_a_manifest_whose_shards_are_of_another_form(folder, entry, words):
    write_manifest(folder, {**read_manifest(folder), **entry})
    refused(folder, words)


def test_a_damaged_manifest_says_what_is_still_there(folder):
    (folder / MANIFEST).write_text("{")
    refused(folder, r"Still whole are 2 of 2 shards, of 10 samples: move that file away")
    path = folder / OUTCOMES / "00000000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused(folder, r"Still whole are 1 of 2 shards, of 4 samples")
    (folder / OUTCOMES / "00000006.safetensors").unlink()
    refused(folder, r"None of its shards can be read either: measure it again with `overwrite`")


ARRAYS = (
    b'"adversarial":{"dtype":"U8","shape":[2,1],"data_offsets":[0,2]},'
    b'"base_adversarial":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},'
    b'"base_clean":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},'
    b'"clean":{"dtype":"U8","shape":[2,1],"data_offsets":[4,6]},'
    b'"changed":{"dtype":"BOOL","shape":[2],"data_offsets":[6,8]}}'
)
DATA = bytes([0b00100000, 0b10000000, 0b10000000, 0b11000000, 0b01000000, 0b11100000, 1, 0])


def file_of(header: bytes) -> bytes:
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + DATA


def test_binary_outcomes_to_the_byte(tmp_path):
    (tmp_path / OUTCOMES).mkdir()
    FolderStore(tmp_path).put(256, pack(Shard(256, TINY, study="a1", inputs="b2")))
    said = (
        b'{"__metadata__":{"format":"2","study":"a1","inputs":"b2","first":"256","samples":"3",'
        b'"binary":"true"'
    )
    seal = hashlib.sha256(said + b"}," + ARRAYS + DATA).hexdigest().encode()
    (path,) = (tmp_path / OUTCOMES).iterdir()
    assert path.name == "00000256.safetensors"
    assert path.read_bytes() == file_of(said + b',"sha256":"' + seal + b'"},' + ARRAYS)


def test_outcomes_of_format_1_are_read(tmp_path):
    (tmp_path / OUTCOMES).mkdir()
    seal = hashlib.sha256(b"1 0 3 true" + DATA).hexdigest().encode()
    said = b'{"__metadata__":{"format":"1","first":"0","samples":"3","binary":"true","sha256":"'
    content = file_of(said + seal + b'"},' + ARRAYS)
    FolderStore(tmp_path).put(0, content)
    found = read_outcomes(tmp_path)
    for name in (*NAMES, "changed"):
        assert np.array_equal(getattr(found, name), getattr(TINY, name))
    FolderStore(tmp_path).put(0, content[:-1] + b"\1")
    with pytest.raises(StudyError, match="are damaged: its checksum does not fit"):
        read_outcomes(tmp_path)


def test_other_libraries_read_the_outcomes(tmp_path):
    (tmp_path / OUTCOMES).mkdir()
    put(tmp_path, 0, tiny(5, binary=False))
    path = tmp_path / OUTCOMES / "00000000.safetensors"
    arrays = safetensors.numpy.load_file(path)
    assert arrays["clean"].dtype == np.float32
    assert np.array_equal(arrays["clean"], tiny(5, binary=False).clean)
    with safetensors.safe_open(path, framework="numpy") as file:
        said = file.metadata()
    assert {name: said[name] for name in ("format", "first", "samples", "binary")} == {
        "format": "2",
        "first": "0",
        "samples": "5",
        "binary": "false",
    }


def test_the_same_outcomes_give_the_same_bytes(tmp_path):
    seen = set()
    for _ in range(12):
        (tmp_path / OUTCOMES).mkdir(exist_ok=True)
        put(tmp_path, 0, TINY)
        seen.add((tmp_path / OUTCOMES / "00000000.safetensors").read_bytes())
    assert len(seen) == 1


def test_a_study_folder_holds_these_files_and_no_others(folder):
    assert list(contents(folder)) == [
        "manifest.json",
        "outcomes/00000000.safetensors",
        "outcomes/00000006.safetensors",
        "responses.parquet",
        "targets.parquet",
    ]


def test_a_number_that_json_does_not_know_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_manifest(tmp_path, {"base": float("nan")})
    assert not is_study(tmp_path)


# What is read back


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 19), min_size=1, max_size=4),
    st.integers(0, 4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.integers(0, 99),
)
def test_outcomes_come_back(tmp_path_factory, sizes, removals, binary, seed):
    folder = tmp_path_factory.mktemp("study")
    (folder / OUTCOMES).mkdir()
    blocks = []
    first = 0
    for size, bits in zip(sizes, binary, strict=False):
        blocks.append(tiny(size, removals, seed=seed + first, binary=bits))
        put(folder, first, blocks[-1])
        first += size
    found = read_outcomes(folder)
    for name in NAMES:
        expected = np.concatenate([getattr(block, name) for block in blocks], axis=-1)
        assert getattr(found, name).dtype == np.float32
        assert np.array_equal(getattr(found, name), expected)
    assert np.array_equal(found.changed, np.any([block.changed for block in blocks], axis=0))


@pytest.mark.parametrize("odd", [0.5, 2.0, -1.0, float("nan"), float("inf")])
def test_a_single_number_beside_0_and_1_is_not_lost(tmp_path, odd):
    (tmp_path / OUTCOMES).mkdir()
    outcomes = tiny(9)
    outcomes.adversarial[1, 8] = odd
    put(tmp_path, 0, outcomes)
    assert np.array_equal(read_outcomes(tmp_path).adversarial, outcomes.adversarial, equal_nan=True)


@pytest.mark.parametrize("binary", [True, False])
def test_what_was_not_measured_is_said_and_never_read(tmp_path, binary):
    (tmp_path / OUTCOMES).mkdir()
    whole, later = tiny(5, binary=binary), tiny(4, seed=1, binary=binary)
    put(tmp_path, 0, whole)
    put(tmp_path, 5, only_removals(later, np.array([False, True])))
    first, second = read_blocks(FolderStore(tmp_path))
    assert first.measured is None
    assert second.measured is not None
    assert second.measured.tolist() == [False, True]
    assert not second.clean[0].any()
    assert np.array_equal(second.adversarial[1], later.adversarial[1])
    found = read_outcomes(tmp_path)
    assert np.array_equal(found.clean[:, :5], whole.clean)
    assert np.isnan(found.clean[0, 5:]).all()
    assert np.array_equal(found.clean[1, 5:], later.clean[1])
    assert np.array_equal(found.base_clean[5:], later.base_clean)


@pytest.mark.parametrize("wrong", [np.array([True]), np.array([1, 0], dtype=np.uint8)])
def test_a_mask_of_another_shape_is_damage(tmp_path, wrong):
    (tmp_path / OUTCOMES).mkdir()
    odd = replace(TINY)
    object.__setattr__(odd, "measured", wrong)  # past the check of shapes that the tests turn on
    put(tmp_path, 0, odd)
    with pytest.raises(StudyError, match="damaged: it holds `measured` of shape"):
        read_outcomes(tmp_path)


def test_tables_and_manifest_come_back(folder):
    pd.testing.assert_frame_equal(read_table(folder, TARGETS, ("target",)), targets(["w"]))
    found = read_table(folder, RESPONSES, ("target",))
    pd.testing.assert_frame_equal(found, responses({"w": ROBUST}), check_exact=True)
    written = json.loads(json.dumps(manifest()))  # tuples become lists
    assert read_manifest(folder) == {"format": 2, **written}


def test_a_large_study_is_read_in_the_order_of_its_samples(tmp_path):
    (tmp_path / OUTCOMES).mkdir()
    values = np.arange(120, dtype=np.float32)
    for first in range(0, 120, 10):
        block = values[first : first + 10]
        rows = block[None]
        put(tmp_path, first, StoredOutcomes(block, block, rows, rows, np.array([True])))
    assert np.array_equal(read_outcomes(tmp_path).base_clean, values)


# Whole or not there


STOPS = [
    (RuntimeError("the network broke"), RuntimeError, "the network broke"),
    (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    (SystemExit("end"), SystemExit, "end"),
    (StudyError("refused"), StudyError, "refused"),
    (OSError(errno.ENOSPC, "No space left on device"), StudyError, "No space left .* Free some"),
]


def stopped(out: Path, stop: BaseException, *, shards: int) -> None:
    """Begin a study, measure so many shards of it, and end."""
    with creating_study(out):
        write_manifest(out, manifest())
        for first in range(shards):
            put(out, first, tiny(1))
        raise stop


@pytest.mark.parametrize(("stop", "kind", "words"), STOPS)
def test_after_an_error_nothing_is_left_of_what_was_only_begun(tmp_path, stop, kind, words):
    with pytest.raises(kind, match=words):
        stopped(tmp_path / "deep" / "study", stop, shards=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("stop", "kind", "words"), STOPS)
def test_after_an_error_what_was_measured_is_kept(tmp_path, stop, kind, words):
    with pytest.raises(kind, match=words):
        stopped(tmp_path / "deep" / "study", stop, shards=1)
    assert list(contents(tmp_path / "deep" / "study")) == [
        MARKER,
        "manifest.json",
        "outcomes/00000000.safetensors",
    ]


@pytest.mark.parametrize(("stop", "kind", "words"), STOPS)
def test_after_an_error_an_old_study_is_untouched(folder, stop, kind, words):
    before = contents(folder)
    with pytest.raises(kind, match=words):
        stopped(successor(folder), stop, shards=0)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["study"]


def test_an_unfinished_study_without_a_shard_is_kept_when_it_was_there_before(folder):
    for path in (folder / OUTCOMES).iterdir():
        path.unlink()
    claim(folder, STUDY)
    before = contents(folder)
    with pytest.raises(RuntimeError, match="stop"), creating_study(folder):
        raise RuntimeError("stop")
    assert contents(folder) == before


def test_parents_that_others_use_meanwhile_are_kept(tmp_path):
    def crowded() -> None:
        with creating_study(tmp_path / "a" / "study"):
            (tmp_path / "a" / "other").mkdir()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        crowded()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


@pytest.mark.parametrize("failing", [1, 2])
def test_where_the_swap_fails_the_old_study_stays(folder, monkeypatch, failing):
    claim(folder, STUDY)
    before = contents(folder)
    calls = []
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    new = write_study(successor(folder))
    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="Permission denied"):
        swap(folder, new)
    monkeypatch.undo()
    assert contents(folder) == before
    swap(folder, new)
    assert [path.name for path in folder.parent.iterdir()] == ["study"]


def test_swapping_replaces_the_whole_study(folder):
    (folder / "overview.png").write_bytes(b"old")
    swap(folder, write_study(successor(folder)))
    assert "overview.png" not in contents(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["study"]


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "open"), (os, "write"), (os, "fsync"), (Path, "replace")]
)
def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_other(
    tmp_path, monkeypatch, owner, name
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"new")
    monkeypatch.undo()
    assert contents(tmp_path) == {"file": b"old"}


# Where a study may lie


def test_a_file_is_no_place_for_a_study(tmp_path):
    out = tmp_path / "notes.txt"
    out.write_text("mine")
    with pytest.raises(StudyError, match=r"`out` to be a folder, but .*notes\.txt is a file"):
        check_free(out, overwrite=True)
    assert out.read_text() == "mine"


def test_a_folder_below_a_file_is_no_place_either(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="cannot be written: Not a directory"):
        check_free(tmp_path / "notes.txt" / "study")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StudyError, match="holds something else; choose another one with `out`"):
        check_free(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {"thesis.tex": b"mine"}


def test_a_study_is_replaced_only_on_request(folder):
    with pytest.raises(StudyError, match=r"holds a study; choose another one .*`overwrite`"):
        check_free(folder)
    check_free(folder, overwrite=True)


def test_an_empty_folder_will_do_and_one_that_was_only_begun(tmp_path):
    check_free(tmp_path)
    (tmp_path / ".lock").write_text("{}")
    (tmp_path / OUTCOMES).mkdir()
    check_free(tmp_path)


def test_a_name_that_no_file_system_takes(tmp_path):
    out = tmp_path / ("x" * 300)
    assert not is_study(out)
    with pytest.raises(StudyError, match=r"cannot be written: File name too long\. Choose another"):
        check_free(out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StudyError, match="cannot be written: Permission denied"):
            check_free(tmp_path / "study")
    finally:
        tmp_path.chmod(0o700)


def test_checking_leaves_no_trace(tmp_path):
    check_free(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


# Damage


def refused(folder: Path, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        load_study(folder)


def test_no_study_at_all(tmp_path):
    refused(tmp_path, r"is no study: it has no manifest\.json")
    refused(tmp_path / "nowhere", r"is no study: it has no manifest\.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged: it is no JSON: Expecting value"),
        ('{"format": 1, "question"', "is damaged: it is no JSON: Expecting"),
        ("[1]", "is damaged: it is not a table of names and values"),
        ('{"question": {}}', "is damaged: it does not say its format"),
        ('{"format": "1"}', "is damaged: it does not say its format"),
        ('{"format": 3}', "has format 3, this version reads up to 2; install a newer hormesis"),
        ('{"format": 1}', "is damaged: it lacks `question`"),
    ],
)
def test_a_damaged_manifest(folder, text, words):
    (folder / MANIFEST).write_text(text)
    refused(folder, words)


def test_a_manifest_of_other_bytes(folder):
    (folder / MANIFEST).write_bytes(b'{"format": 1, "notes": ["\xff\xfe"]}')
    refused(folder, "is damaged: 'utf-8' codec")


@pytest.mark.parametrize("key", ["question", "scoring", "base", "notes"])
def test_a_manifest_that_lacks_an_entry(folder, key):
    said = read_manifest(folder)
    del said[key]
    write_manifest(folder, said)
    refused(folder, f"is damaged: it lacks `{key}`")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scoring", {"base": "nobody"}),
        ("scoring", {"bass": "network"}),
        ("scoring", [1, 2]),
        ("base", {"clean": 0.5}),
        ("base", 3),
    ],
)
def test_a_manifest_with_an_entry_of_another_form(folder, key, value):
    write_manifest(folder, {**read_manifest(folder), key: value})
    refused(folder, f"is damaged: its? .*`{key}[`.]")


@pytest.mark.parametrize("name", [TARGETS, RESPONSES])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_table(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    refused(folder, f"{name} is missing or damaged")


@pytest.mark.parametrize("name", [TARGETS, RESPONSES])
def test_a_missing_table(folder, name):
    (folder / name).unlink()
    refused(folder, f"{name} is missing or damaged")


@pytest.mark.parametrize(
    ("name", "column"),
    [(TARGETS, "reason"), (RESPONSES, "density"), (RESPONSES, "changed"), (RESPONSES, "progress")],
)
def test_a_table_without_one_of_its_columns(folder, name, column):
    pd.read_parquet(folder / name).drop(columns=column).to_parquet(folder / name)
    refused(folder, f"{name} lacks the column {column}")


def test_a_study_whose_outcomes_are_gone_still_opens(folder):
    for path in (folder / OUTCOMES).iterdir():
        path.unlink()
    study = load_study(folder)
    assert len(study.scores) == 12
    with pytest.raises(StudyError, match="has no outcomes"):
        study.outcomes()


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("00000000", r"00000006\.safetensors do not follow on those before it"),
        ("00000006", "has the outcomes of 6 samples out of 10"),
    ],
)
def test_a_missing_block(folder, gone, words):
    (folder / OUTCOMES / f"{gone}.safetensors").unlink()
    with pytest.raises(StudyError, match=words):
        load_study(folder).outcomes()


def test_a_block_of_another_study(folder):
    put(folder, 6, tiny(4, 8))
    with pytest.raises(StudyError, match="a file is missing, or is from another study"):
        load_study(folder).outcomes()


def test_outcomes_cut_off_anywhere(folder):
    path = folder / OUTCOMES / "00000000.safetensors"
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(StudyError, match=r"00000000\.safetensors are damaged"):
            read_outcomes(folder)


def test_any_flipped_bit_of_the_outcomes_is_seen_or_harmless(folder):
    path = folder / OUTCOMES / "00000000.safetensors"
    content = path.read_bytes()
    whole = read_outcomes(folder)
    harmless = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(flipped))
        try:
            found = read_outcomes(folder)
        except StudyError:
            continue
        harmless += 1
        for name in (*NAMES, "changed"):
            assert np.array_equal(getattr(found, name), getattr(whole, name))
    assert harmless < 20  # blanks behind the header, and the key "format" of the metadata


THREADS = """
import os, sys
from pathlib import Path
from hormesis.storage.table_checks import parse_parquet

content = Path(sys.argv[1]).read_bytes()
before = len(os.listdir("/proc/self/task"))
table = parse_parquet(content)
print(table["text"].tolist(), len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_reading_a_table_leaves_no_thread_behind(tmp_path):
    """A thread of Arrow's that still holds the file when Python ends aborts the process."""
    pd.DataFrame({"text": ["a", "b", "a"], "number": [1, 2, 3]}).to_parquet(tmp_path / "table")
    command = [sys.executable, "-c", THREADS, tmp_path / "table"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "['a', 'b', 'a'] 0\n"
