"""Hormesis imports and runs on macOS and on Windows, as far as Linux can pretend to be them."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import hormesis
import users
from hormesis.data import image_cache

PRETENDER = Path(__file__).parent / "elsewhere.py"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pretends")
@pytest.mark.parametrize("system", ["windows", pytest.param("macos", marks=pytest.mark.slow)])
def test_everything_is_imported_and_a_study_is_made(system: str, tmp_path: Path) -> None:
    users.settle(tmp_path)
    source = str(Path(hormesis.__file__).parents[1])
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(tmp_path)])}
    said = subprocess.run(
        [sys.executable, PRETENDER, system, tmp_path],
        env=found,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert int(said.stdout.split()[0]) > 100, said.stdout
    plain, fast = (
        pd.read_parquet(tmp_path / name / "responses.parquet") for name in ("plain", "study")
    )
    pd.testing.assert_frame_equal(plain, fast)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("reserves", [True, False], ids=["reserved", "written"])
def test_room_is_taken_on_the_disk(
    reserves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reserves:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(image_cache, "_ZEROS", 1000)
    with (tmp_path / "array").open("xb") as file:
        file.write(b"header")
        image_cache._reserve(file, 12_345)
    assert (tmp_path / "array").read_bytes() == b"header" + bytes(12_339)
    assert (tmp_path / "array").stat().st_blocks * 512 >= 12_345


def test_the_partial_array_of_a_living_process_is_kept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    path = tmp_path / f".labelled-0.npy.{os.getpid()}.partial"
    assert image_cache._in_use(path)
    assert not image_cache._in_use(path.with_name(f".labelled-0.npy.{dead.pid}.partial"))
    assert not image_cache._in_use(path.with_name(f".labelled-0.npy.{'9' * 30}.partial"))
    assert not image_cache._in_use(path.with_name(".labelled-0.npy.²³.partial"))
