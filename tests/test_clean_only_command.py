"""Every command on studies without an attack: nothing about an attack, and no empty number."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import hormesis as hm
from browser import chromium
from hormesis.cli.app import main
from hormesis.results.study import load_study
from users import forgotten, settle

NETWORK = ["--model", "my.nets:build", "--data", "my.sets:held_out"]
ANALYZE = ["analyze", *NETWORK, "--thresholds", "3", "--attack", "none", "--no-progress"]
OUT = ["--out", "study"]
EMPTY = re.compile(r"(?i:adversar|under attack|\bnan\b)|\bNone\b|ε|Traceback")

LABELS = """[...document.querySelectorAll("[aria-label]")].map(e => e.getAttribute("aria-label"))"""


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 4))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with studies of two networks, and with a series of two epochs."""
    folder = tmp_path_factory.mktemp("made")
    images = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = network(0)(images).argmax(dim=1)
    labels[::9] = (labels[::9] + 1) % 4
    for seed in (0, 1):
        for out in (f"study{seed}", f"series/epoch-000{seed + 1}"):
            hm.analyze(
                network(seed),
                (images, labels),
                attack=None,
                sweep=hm.Sweep(thresholds=5, control=2),
                out=folder / out,
                execution=hm.Execution(progress=False),
                origin={"epoch": seed + 1},
            )
    return folder


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("COLUMNS", "80")
    return made


COMMANDS = [
    "show study0",
    "show study0 --reference random --multiplicity holm",
    "show series",
    "export study0",
    "export study0 --what responses",
    "export study0 --what targets --format json",
    "export series --what responses",
    "compare study0 study1",
    "compare study0 study1 --over seeds --out compared",
    "compare series --score clean",
    *(f"plot study0 --what {name} --out {name}.svg" for name in ("heatmap", "network")),
    "plot study0 --what responses --reference random --out responses.svg",
    "plot study0 --what weights --out weights.svg",
    "plot study0 --what heatmap --width double --out wide.svg",
    "plot series --what epochs --out epochs.svg",
    "report study0 --out study.html",
    "report study0 study1 --out several.html",
    "report series --out series.html",
    "status study0",
    "status series",
    "verify study0",
    "verify series",
    "watch study0 --out watched.html",
    "watch study0 --tensorboard events",
]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command(home: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert main(words.split()) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert EMPTY.findall(said.out) == []
    written = [path for path in home.rglob("*") if path.is_file() and path not in before]
    for path in written:
        if path.suffix in (".svg", ".csv"):
            assert EMPTY.findall(path.read_text()) == [], path


def test_a_study_from_the_command_line_to_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    with forgotten():
        assert main([*ANALYZE, *OUT]) == 0
        out = capsys.readouterr().out
        assert main([*ANALYZE, *OUT]) == 0  # opened, not measured again
        assert capsys.readouterr().out == out
        Path("set.yaml").write_text("attack: none\nthresholds: 3\nprogress: false\nout: study\n")
        assert main(["analyze", *NETWORK, "--config", "set.yaml"]) == 0
        assert capsys.readouterr().out == out
    assert out.splitlines()[2] == "no attack, clean samples alone"
    assert re.match(r"unfiltered accuracy: [\d.]+% clean; guessing: 25.0%", out.splitlines()[3])
    assert EMPTY.findall(out) == []
    assert max(map(len, out.splitlines())) <= 80
    assert load_study("study").manifest["attack"] == {"name": "none"}


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--epsilon 8/255", "Expected no `--epsilon` without an attack, got 8/255"),
        ("--steps 3", "Expected no `--steps` without an attack, got 3"),
        ("--adversary adaptive", "Expected an attack for `--adversary` 'adaptive', got none"),
        ("--confirm always", "Expected an attack for `--confirm` 'always', got none"),
        ("--cross-check", "Expected an attack for `--cross-check`, got none"),
    ],
)
def test_flags_that_need_an_attack(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: str,
    sentence: str,
) -> None:
    settle(tmp_path)
    monkeypatch.chdir(tmp_path)
    with forgotten():
        assert main([*ANALYZE, *flags.split()]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not Path("studies").exists()


def test_a_score_that_the_studies_lack(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "study0", "study1", "--score", "adversarial"]) == 2
    assert "The studies have no adversarial scores in common" in capsys.readouterr().err


def test_training_has_no_such_attack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--attack", "none", "--model", "resnet18", "--data", "digits"]) == 2
    assert "Unknown attack 'none'" in capsys.readouterr().err


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("sources", ["study0", "study0 study1", "series"])
def test_the_page_in_a_browser(home: Path, tmp_path: Path, sources: str, width: int) -> None:
    page = tmp_path / "page.html"
    assert main(["report", *sources.split(), "--out", str(page)]) == 0
    wrong: list[str] = []
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": width, "height": 900})
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("console", lambda line: line.type == "error" and wrong.append(line.text))
        opened.goto(page.as_uri())
        opened.wait_for_selector("html[data-ready=true]", state="attached")
        opened.locator("#panel details summary").click()
        opened.locator("#panel svg[role=img]").first.hover()
        texts = (
            opened.inner_text("body"),
            *opened.evaluate(LABELS),
        )
        heads = opened.locator("#table th").all_inner_texts()
        wide = opened.evaluate("document.documentElement.scrollWidth")
    assert wrong == []
    assert wide <= width
    assert heads[-1].strip() == "clean"
    assert [text for text in texts if re.search("(?i)adversar|under attack|NaN", text)] == []
    assert "No attack, clean samples alone." in texts[0]
