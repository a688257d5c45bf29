"""The command line in order: what it prints, writes and opens, and what it never imports."""

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hormesis.cli.app import main
from hormesis.cli.command_table import COMMANDS
from hormesis.cli.options import TABLE_FORMATS
from hormesis.engine import progress
from hormesis.report.plots import overview
from hormesis.report.plots.overview import draw_overview
from hormesis.results.study import load_study
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from users import forgotten, listing, settle

NETWORK = ["analyze", "--model", "my.nets:build", "--data", "my.sets:held_out"]
SMALL = [*NETWORK, "--thresholds", "3", "--epsilon", "0.1", "--engine", "plain"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    settle(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(progress, "_QUIET_SECONDS", math.inf)  # on a busy machine too
    # One test draws; the others need not wait for it.
    monkeypatch.setattr(overview, "draw_overview", lambda study, path: path.write_bytes(b"drawn"))
    with forgotten():
        yield folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study that was measured with the control, for the commands that only read one."""
    folder = tmp_path_factory.mktemp("made")
    settle(folder)
    with pytest.MonkeyPatch.context() as patched, forgotten():
        patched.chdir(folder)
        assert main([*SMALL, "--control", "--out", "study", "--no-progress"]) == 0
    return folder / "study"


def run(words, capsys):
    """What a command that succeeds prints."""
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def alone(code, *arguments, home, check=True):
    """Run Python code in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=home,
        capture_output=True,
        text=True,
        check=check,
        env={**os.environ, "COLUMNS": "80"},
    )


def test_a_study_is_made_printed_and_opened_again(home, monkeypatch, capsys):
    monkeypatch.setattr(overview, "draw_overview", draw_overview)
    out = run([*SMALL, "--out", "deep/study"], capsys)
    lines = out.splitlines()
    assert lines[1] == "my.nets:build on my.sets:held_out: 40 samples, 4 classes"
    assert lines[2] == "FGSM, ε = 0.1 in input units (25.5/255); fixed adversary"
    assert lines[-6:] == [
        "",
        "study:   deep/study",
        "picture: deep/study/overview.png",
        "next:    hormesis report deep/study --out report.html",
        "         hormesis show deep/study --reference density",
        "         hormesis export deep/study --what scores --format csv",
    ]
    assert max(map(len, lines)) <= 80
    assert "1 not tested: of kind bias, which was not asked for" in lines
    assert sorted(path.name for path in (home / "deep" / "study").iterdir()) == [
        ".hormesis.json",
        "cells.parquet",
        "manifest.json",
        "outcomes",
        "overview.png",
        "removals.parquet",
        "responses.parquet",
        "samples.parquet",
        "targets.parquet",
    ]
    assert (home / "deep" / "study" / "overview.png").read_bytes().startswith(b"\x89PNG")
    before = (home / "deep" / "study" / "manifest.json").read_bytes()
    assert run([*SMALL, "--out", "deep/study"], capsys) == out
    assert (home / "deep" / "study" / "manifest.json").read_bytes() == before


def test_another_question_in_the_same_folder_is_refused_or_replaces_it(home, capsys):
    run([*SMALL, "--out", "study"], capsys)
    before = listing(home)
    assert main([*SMALL, "--out", "study", "--filters", "low_pass"]) == 2
    said = capsys.readouterr().err
    assert "holds a study of another question (sweep.filters is ['low_pass'] here and" in said
    assert "`--out`" in said
    assert listing(home) == before
    run([*SMALL, "--out", "study", "--filters", "low_pass", "--overwrite"], capsys)
    assert load_study("study").manifest["question"]["sweep"]["filters"] == ["low_pass"]
    assert listing(home).keys() == before.keys()


def test_without_out_the_folder_is_named_after_the_question(home, capsys):
    out = run(SMALL, capsys)
    assert "study:   studies/my.sets-held_out-my.nets-build-fgsm\n" in out
    assert (home / "studies" / "my.sets-held_out-my.nets-build-fgsm" / "manifest.json").is_file()


def test_a_fraction_is_a_magnitude(capsys):
    run([*SMALL, "--epsilon", "8/255", "--out", "study"], capsys)
    assert load_study("study").manifest["attack"]["epsilon"] == 8 / 255


@pytest.mark.parametrize(
    ("words", "filters", "targets"),
    [
        ("--scope global", 4, ["all"]),
        ("--scope global --own-span", 4, ["all"]),
        ("--per channel", 4, [f"1.weight[{index}]" for index in range(4)]),
        ("--filters low_pass pulse_wave", 2, ["1.weight"]),
        ("--kinds linear bias", 4, ["1.weight", "1.bias"]),
        ("--include *.bias", 4, ["1.bias"]),
        ("--kinds linear bias --exclude *.weight", 4, ["1.bias"]),
        ("--adversary adaptive --attack pgd --steps 2", 4, ["1.weight"]),
        ("--by magnitude --metric loss", 4, ["1.weight"]),
        ("--metric my.sets:margin --seed 3", 4, ["1.weight"]),
        ("--control --reference random --base first --tolerance 0.2", 4, ["1.weight"]),
        ("--reference random", 4, ["1.weight"]),  # brings its control
        ("--engine auto --num-workers 2 --samples 20", 4, ["1.weight"]),
        ("--weights good.pt --epsilon auto", 4, ["1.weight"]),
    ],
)
def test_every_kind_of_analysis(words, filters, targets, capsys):
    out = run([*SMALL, "--out", "study", *words.split()], capsys)
    assert "study:   study\n" in out
    scores = load_study("study").scores
    assert scores["filter"].nunique() == filters
    assert scores["target"].unique().tolist() == targets
    assert scores["score"].unique().tolist() == ["clean", "adversarial", "difference"]


def printed_config(words, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*words, "--print_config"])
    return capsys.readouterr().out


def test_a_printed_configuration_gives_the_same_study(home, capsys):
    words = [*SMALL, "--epsilon", "8/255", "--include", "1.*", "--filters", "low_pass", "--control"]
    first = run([*words, "--out", "first"], capsys)
    Path("study.yaml").write_text(printed_config([*words, "--out", "second"], capsys))
    second = run(["analyze", "--config", "study.yaml", "--allow-code"], capsys)
    assert second == first.replace("first", "second")
    one, two = load_study("first"), load_study("second")
    assert one.manifest["question"] == two.manifest["question"]
    assert one.manifest["scoring"] == two.manifest["scoring"]
    assert one.responses.equals(two.responses)
    run([*words, "--out", "second"], capsys)  # the same question: opened


def test_flags_after_a_configuration_win(capsys):
    Path("study.yaml").write_text("epsilon: 0.25\nseed: 3\nfilters: [low_pass]\n")
    given = yaml.safe_load(
        printed_config(["analyze", "--config", "study.yaml", "--seed", "4"], capsys)
    )
    assert (given["epsilon"], given["seed"], given["filters"]) == (0.25, 4, ["low_pass"])


def test_the_keys_of_a_configuration_are_the_flags_and_print_the_defaults(capsys):
    given = yaml.safe_load(printed_config(["analyze"], capsys))
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["analyze", "--help"])
    text = capsys.readouterr().out
    missing = [key for key in given if f"--{key.replace('_', '-')}" not in text]
    assert missing == []
    for settings in (ModelAndData(), Targets(), Sweep(), Scoring(), Execution()):
        for name, default in vars(settings).items():
            expected = list(default) if isinstance(default, tuple) else default
            assert given[name] == expected, name
    assert list(given) == [flag.key for flag in COMMANDS["analyze"].flags]


def test_help_is_short_and_tells_every_default(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["analyze", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    defaults = {flag.key: flag.default for flag in COMMANDS["analyze"].flags}
    for key in ("model", "data", "epsilon", "adversary", "scope", "thresholds", "metric"):
        assert f"(default: {defaults[key]})" in text, key
    assert "type: " not in text
    for group in ("network and data", "adversary", "targets", "sweep", "scoring", "output"):
        assert f" {group}: " in text


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_fits_a_terminal(command, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_show_scores_anew(made, capsys):
    as_made = run(["show", made], capsys)
    assert "base network, reference base, robust within ±0.05" in as_made
    anew = run(
        ["show", made, "--reference", "random", "--base", "first", "--tolerance", "0.3"], capsys
    )
    assert "base first, reference random, robust within ±0.3" in anew
    assert run(["show", made], capsys) == as_made


def test_show_refuses_a_reference_that_was_not_measured(capsys):
    run([*SMALL, "--out", "study"], capsys)
    assert main(["show", "study", "--reference", "random"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "`--control`" in said.err


def read_yaml(path):
    return pd.DataFrame(yaml.safe_load(Path(path).read_text()))


@pytest.mark.parametrize("what", ["scores", "responses", "targets"])
@pytest.mark.parametrize("form", TABLE_FORMATS)
def test_export_writes_every_table_in_every_format(what, form, made, home, capsys):
    assert run(["export", made, "--what", what, "--format", form, "--to", "table"], capsys) == ""
    readers = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    read = {**readers, "yaml": read_yaml}[form]
    table = read("table", **({"precise_float": True} if form == "json" else {}))
    expected = getattr(load_study(made), what)
    assert list(table.columns) == list(expected.columns)
    filled = table.fillna("").astype(expected.fillna("").dtypes)
    pd.testing.assert_frame_equal(filled, expected.fillna(""), check_exact=form == "parquet")
    if form != "parquet":
        printed = run(["export", made, "--what", what, "--format", form], capsys)
        assert printed == (home / "table").read_text()
    assert [path.name for path in home.iterdir() if "partial" in path.name] == []


def test_export_is_exact_and_takes_another_scoring(made, capsys):
    words = ["export", made, "--reference", "base", "--format"]
    expected = load_study(made).scores_with(Scoring(reference="base"))["value"].tolist()
    assert [row["value"] for row in json.loads(run([*words, "json"], capsys))] == expected
    rows = csv.DictReader(io.StringIO(run([*words, "csv"], capsys)))
    assert [float(row["value"]) for row in rows] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--format parquet", "Parquet is no text: name a file for it with --to."),
        ("--to nowhere/table", "cannot be written to nowhere/table: No such file or directory"),
        ("--to .", "cannot be written to .: Is a directory"),
        ("--to link", "cannot be written to link: it is a link to a folder. Name another file"),
        ("--to /dev/full", "cannot be written to /dev/full: No space left on device"),
        ("--to /dev/full --format parquet", "to /dev/full: No space left on device"),
    ],
)
def test_export_refuses(words, message, made, home, capsys):
    (home / "link").symlink_to(home)
    before = listing(home)
    assert main(["export", str(made), *words.split()]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert listing(home) == before


def test_a_table_that_cannot_be_replaced_stays(made, home, monkeypatch, capsys):
    (home / "table").write_text("before")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: Path("/dev/full").write_bytes(b"x"))
    assert main(["export", str(made), "--to", "table"]) == 2
    capsys.readouterr()
    assert (home / "table").read_bytes() == b"before"


def test_the_version(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out.split()[0] == "hormesis"


WITHOUT_TORCH = """
import sys
from hormesis.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
found = {"torch", "torchvision", "foolbox", "pandas", "matplotlib"} & set(sys.modules)
print(sorted(found), file=sys.stderr)
"""


def test_what_needs_no_network_imports_no_torch(made, home):
    for words in (["--help"], ["--version"], ["analyze", "--help"], ["analyze", "--attack", "no"]):
        assert alone(WITHOUT_TORCH, *words, home=home).stderr.splitlines()[-1] == "[]"
    for words in (["export", made], ["show", made]):
        assert alone(WITHOUT_TORCH, *words, home=home).stderr == "['pandas']\n"


def test_python_m_is_the_same_command(home):
    code = "import runpy, sys; sys.argv[0] = 'x'; runpy.run_module('hormesis', run_name='__main__')"
    said = alone(code, "show", "nowhere", home=home, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("hormesis: error: The folder nowhere is no study")
    assert said.stderr.count("\n") == 1


MAIN = "import sys; from hormesis.cli.app import main; sys.exit(main())"


def test_output_that_nobody_reads_or_that_has_no_room_shows_no_traceback(made, home):
    words = ["export", str(made), "--what", "responses"]
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", MAIN, *words]
    with os.fdopen(write, "wb") as closed:
        said = subprocess.run(command, cwd=home, stdout=closed, stderr=-1, text=True, check=False)
    assert (said.returncode, said.stderr) == (141, "")
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        said = subprocess.run(command, cwd=home, stdout=full, stderr=-1, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr == (
        "hormesis: error: The disk is full: free some space and run the same command again.\n"
    )


SLOW = """
import time
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(16, 4)
    def forward(self, inputs):
        time.sleep(0.02)
        return self.inner(inputs.flatten(1))
"""


def test_an_interrupted_process_ends_soon_and_leaves_nothing(home):
    (home / "slow.py").write_text(SLOW)
    before = listing(home)
    words = ["analyze", "--model", "slow:Slow", "--data", "my.sets:held_out", "--out", "a/study"]
    words += ["--attack", "pgd", "--steps", "100000", "--epsilon", "0.1", "--engine", "plain"]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        deadline = time.monotonic() + 300
        while not (home / "a" / "study" / "manifest.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)  # into the attack, of half an hour
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err == "hormesis: interrupted; run the same command again to go on.\n"
    assert listing(home) == before


def test_letters_that_a_terminal_lacks_are_replaced(made, home):
    said = subprocess.run(
        [sys.executable, "-c", MAIN, "show", str(made)],
        cwd=home,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "FGSM, ? = 0.1 in input units" in said.stdout
