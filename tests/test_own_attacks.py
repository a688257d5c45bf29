# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportAttributeAccessIssue=false
"""Studies under attacks of users, in L2 and toward a class: engines, manifest, report, commands."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import hormesis as hm
import known_answers as known
from hormesis.analysis.classes import UNCONFIRMED
from hormesis.analysis.evidence import claim_notes
from hormesis.cli.app import main
from hormesis.errors import AttackError
from hormesis.report.text.summary import print_summary
from hormesis.report.views.command_text import command
from hormesis.report.views.method_text import attack_text, facts
from hormesis.storage.files import read_manifest

torch.set_num_threads(1)

SIZE = 0.06


def steepest(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return what FGSM returns."""
    rows = inputs.clone().requires_grad_()
    loss = cross_entropy(network(rows), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, rows)
    return (inputs + SIZE * gradient.sign()).clamp(0, 1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def data(count: int = 40) -> tuple[Tensor, Tensor]:
    inputs = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return inputs, network()(inputs).argmax(1)


def analysed(attack: Any, **options: Any) -> hm.Study:
    engine = options.pop("engine", "auto")
    usual = {
        "sweep": hm.Sweep(("high_pass",), 3, adversary=options.pop("adversary", "fixed")),
        "confirmation": hm.Confirmation("never"),
        "execution": hm.Execution(progress=False, num_workers=1, engine=engine),
    }
    return hm.analyze(network(), data(), attack=attack, **usual | options)


L2, BOTH = hm.FGSM(0.3, norm="l2"), hm.PGD(0.3, steps=2, norm="l2", target="least_likely")
NEXT = hm.PGD(0.05, steps=2, target="next", restarts=2)
OWN = hm.CustomAttack(steepest, "mine")


@pytest.mark.parametrize(
    ("attack", "adversary"),
    [(L2, "fixed"), (BOTH, "adaptive"), (NEXT, "fixed"), (OWN, "fixed"), (OWN, "adaptive")],
)
def test_both_engines_measure_the_same(attack, adversary):
    fast, plain = (analysed(attack, adversary=adversary, engine=one) for one in ("auto", "plain"))
    pd.testing.assert_frame_equal(fast.responses, plain.responses, check_exact=True)
    assert fast.base == plain.base
    assert fast.base.adversarial < fast.base.clean


@pytest.mark.parametrize("adversary", ["fixed", "adaptive"])
def test_a_function_that_does_what_ours_does_gives_the_same_study(adversary):
    ours = analysed(hm.FGSM(SIZE), adversary=adversary)
    theirs = analysed(steepest, adversary=adversary)
    columns = [name for name in ours.responses if name not in ("zero_gradient", "unmoved")]
    pd.testing.assert_frame_equal(ours.responses[columns], theirs.responses[columns])
    assert theirs.manifest["change"] == {
        "samples": 40,
        "moved": 40,
        "linf": {"median": pytest.approx(SIZE), "largest": pytest.approx(SIZE)},
        "l2": {
            "median": pytest.approx(SIZE * 6, rel=0.05),
            "largest": pytest.approx(SIZE * 6, rel=0.05),
        },
    }
    noted = any("has to be given each filtered network" in note for note in theirs.notes)
    assert noted is (adversary == "adaptive")


def test_a_study_is_read_back_and_described(tmp_path, capsys):
    made = analysed(steepest, out=tmp_path / "study", name="small")
    read = hm.load_study(tmp_path / "study")
    pd.testing.assert_frame_equal(made.scores, read.scores)
    attack = read.manifest["attack"]
    assert attack == {"name": attack["name"], "function": f"{__name__}:steepest"}
    assert read.metadata.attack.scaled is False
    terms = dict(facts(read))
    assert terms["Attack"] == f"{attack['name']}; fixed adversary"
    assert terms["Size of the change"].startswith("40 of 40 samples moved; L∞ 0.06 in the median")
    assert f"--attack {__name__}:steepest" in command(read)
    print_summary(read)
    assert "40 of the first 40 samples" in capsys.readouterr().out
    again = analysed(steepest, out=tmp_path / "study", name="small")  # the same question: opened
    assert again.manifest["run"] == read.manifest["run"]
    hm.write_report(read, tmp_path / "page.html")


def test_a_magnitude_in_l2_is_no_part_of_255(tmp_path):
    study = analysed(hm.PGD("auto", steps=2, norm="l2", target=1), out=tmp_path / "study")
    study = hm.load_study(tmp_path / "study")
    entry = read_manifest(tmp_path / "study")["question"]["attack"]
    assert (entry["norm"], entry["target"]) == ("l2", 1)
    epsilon = study.metadata.attack.epsilon
    assert attack_text(study) == f"PGD toward class 1, ε = {epsilon:.4g} in L2"
    assert "--norm l2 --target 1" in command(study)
    assert "255" not in "".join([attack_text(study), *study.notes])


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_an_attack_that_fails_in_a_sweep_says_so_and_leaves_what_was_measured(engine, tmp_path):
    def fails_late(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > left:
            raise ZeroDivisionError("too late")
        return inputs * 0.5

    calls, left = 0, 7
    options = {"adversary": "adaptive", "engine": engine, "out": tmp_path / "study"}
    with pytest.raises(AttackError, match="The attack 'late' failed: ZeroDivisionError: too late"):
        analysed(hm.CustomAttack(fails_late, "late"), **options)
    left = 10**6
    study = analysed(hm.CustomAttack(fails_late, "late"), **options)
    whole = analysed(hm.CustomAttack(fails_late, "late"), adversary="adaptive")
    pd.testing.assert_frame_equal(study.responses, whole.responses)


@pytest.mark.slow
def test_claims_are_put_to_the_test_with_and_without_a_magnitude():
    few = hm.Confirmation(samples=240, steps=2, restarts=2, draws=1)
    options = {
        "sweep": hm.Sweep(thresholds=5),
        "scoring": hm.Scoring(reference="base"),
        "confirmation": few,
        "execution": hm.Execution(progress=False, num_workers=1),
    }
    ours, scaled, unscaled = (
        hm.analyze(known.Noise(), known.data(240), attack=attack, **options)
        for attack in (
            hm.FGSM(SIZE),
            hm.CustomAttack(steepest, "mine", epsilon=SIZE),
            hm.CustomAttack(steepest, "mine"),
        )
    )
    pd.testing.assert_frame_equal(
        ours.confirmation.drop(columns=["zero_gradient", "unmoved"]),
        scaled.confirmation.drop(columns=["zero_gradient", "unmoved"]),
    )
    assert set(unscaled.confirmation["attack"]) == {"adaptive"}
    assert unscaled.manifest["confirmation"]["restarts"] == 0
    rows = unscaled.scores.set_index(["target", "filter", "score"])
    assert rows.loc[("noise.weight", "combined", "adversarial"), "class"] == UNCONFIRMED
    assert any("as the attack has no ε or the network no" in note for note in claim_notes(unscaled))
    assert "by no stronger attack" in dict(facts(unscaled))["Confirmation"]


MINE = """
import torch
from torch import nn
import hormesis as hm

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

def data():
    inputs = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return inputs, network()(inputs).argmax(1)

def darker(net, inputs, labels):
    return inputs * 0.5

TEXT = "darker"
weak = hm.PGD(0.1, steps=2)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_own", raising=False)
    Path("my_own.py").write_text(MINE)
    return tmp_path


WORDS = [
    *("analyze", "--model", "my_own:network", "--data", "my_own:data", "--thresholds", "2"),
    *("--confirm", "never", "--num-workers", "1", "--out", "study"),
]


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        (
            "--attack my_own:darker --epsilon 0.5",
            {"name": "my_own.darker", "function": "my_own:darker", "epsilon": 0.5},
        ),
        ("--attack my_own:weak --norm l2", {"name": "pgd", "epsilon": 0.1, "norm": "l2"}),
        (
            "--attack pgd --epsilon 0.2 --steps 2 --norm l2 --target next --restarts 2",
            {"norm": "l2", "target": "next", "restarts": 2},
        ),
    ],
)
def test_commands(home, words, entry, capsys):
    assert main([*WORDS, *words.split()]) == 0
    capsys.readouterr()
    attack = hm.load_study("study").manifest["attack"]
    assert {name: attack[name] for name in entry} == entry


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (
            "--attack my_own:darker --steps 3",
            "Expected no `--steps` for the attack 'my_own:darker'",
        ),
        ("--attack my_own:lighter", "has no 'lighter'"),
        ("--attack my_own:TEXT", "got str"),
        ("--attack my_own:darker --epsilon 0.01", "by more than 0.01"),
        ("--attack pgd --norm l3", "Unknown norm 'l3'"),
        ("--attack fgsm --target cat", "the number of a class, from 0 on"),
        ("--attack fgsm --target 3", "one of the network's 3 classes"),
        ("--attack fgsm --restarts 2", "Expected no `--restarts` for the attack 'fgsm'"),
        ("--attack none --norm l2", "Expected no `--norm` without an attack"),
    ],
)
def test_refused_commands(home, words, match, capsys):
    given = [word for word in WORDS if word]
    assert main([*given, *words.split()]) == 2
    assert match in capsys.readouterr().err


def test_code_that_only_a_file_names_is_refused(home, capsys):
    Path("study.yaml").write_text("attack: my_own:darker\n")
    assert main([*WORDS, "--config", "study.yaml"]) == 2
    assert "names code for `--attack`, 'my_own:darker'" in capsys.readouterr().err
    assert main([*WORDS, "--config", "study.yaml", "--allow-code"]) == 0
