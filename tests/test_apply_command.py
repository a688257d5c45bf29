"""``hormesis apply`` as users call it: the manifest names what it can, flags name the rest."""

import sys
from pathlib import Path

import pytest

import hormesis as hm
from hormesis.cli.app import main

MODULE = """
import sys
sys.path.insert(0, {tests!r})
import applied_made

def network():
    return applied_made.network()

def data():
    return applied_made.data()

def other_data():
    inputs, labels = applied_made.data()
    return inputs.flip(0) * 0.99, labels.flip(0)
"""
QUIET = ["--engine", "plain", "--num-workers", "1", "--no-progress"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a module of the user's, and a study of what it makes."""
    folder = tmp_path_factory.mktemp("home")
    tests = str(Path(__file__).parent)
    (folder / "mended.py").write_text(MODULE.format(tests=tests))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        words = [
            "analyze",
            "--model",
            "mended:network",
            "--data",
            "mended:data",
            "--samples",
            "120",
        ]
        words += ["--epsilon", "0.05", "--thresholds", "5", "--confirm", "never", "--out", "study"]
        assert main([*words, *QUIET]) == 0
        yield folder
    sys.modules.pop("mended", None)


def run(capsys, *words):
    code = main(["apply", "study", *words, *QUIET])
    said = capsys.readouterr()
    return code, " ".join(said.out.split()), " ".join(said.err.split())


def test_a_study_is_applied_where_its_names_are_allowed(home, capsys):
    code, _, error = run(capsys, "--out", "applied")
    assert code == 2
    assert "names code for its model, 'mended:network'" in error
    words = ["--allow-code", "--pgd-steps", "2", "--random-draws", "1", "--out", "applied"]
    code, out, error = run(capsys, *words)
    assert (code, error) == (0, "")
    assert "1 filter zeroes" in out
    assert "it is better under PGD" in out
    found = hm.load_applied(home / "applied")
    assert (home / "applied" / "path.svg").read_text().startswith("<?xml")
    assert found.metadata.proof.samples == 120
    code, again, _ = run(capsys, *words)
    assert (code, again) == (0, out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--aim", "quick"], "Unknown aim 'quick'"),
        (["--aim", "sparse", "--clean-loss", "1"], "no `--clean-loss` for the aim 'sparse', got 1"),
        (["--loss", "1"], "Expected no `--loss` for the aim 'robust', got 1"),
        (["--clean-loss", "-1"], "`--clean-loss` to be a number of percentage points, at least 0"),
        (["--proof-samples", "1"], "`--proof-samples` of the proof to be at least 2, got 1"),
        (["--baselines", "luck"], "Unknown baseline 'luck'"),
        (["--data", "mended:other_data"], "The study is of other data than these"),
        (["--proof-data", "mended:data"], "120 of the 240 samples for the proof are among those"),
    ],
)
def test_wrong_words_are_refused(home, capsys, words, said):
    known = ["--model", "mended:network", "--data", "mended:data"]
    code, _, error = run(capsys, *known, *words, "--out", "refused")
    assert code == 2
    assert said in error
    assert not (home / "refused").exists()


def test_an_aim_that_nothing_reaches_writes_nothing(home, capsys):
    words = ["--model", "mended:network", "--data", "mended:data", "--aim", "sparse", "--loss", "0"]
    study = home / "study"
    assert study.is_dir()
    code, out, _ = run(capsys, *words, "--proof-samples", "20", "--out", "sparse")
    assert code == 0
    assert ("nothing was applied" in out) == (not (home / "sparse").exists())
