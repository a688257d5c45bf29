"""``hormesis retrain`` as a user meets it."""

import shutil

import pandas as pd
import pytest

import hormesis as hm
from hormesis.cli.app import main
from users import forgotten, listing, settle

RETRAIN = ["retrain", "studies/epoch-0002", "--no-progress", "--loggers", "{}", "--epochs", "1"]
HALF = ["--by", "clean", "--undecided", "estimate", "--reference", "base"]
NETS = """
def two_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
"""
SETS = """
def learnable():
    labels = torch.arange(200) % 4
    lit = torch.nn.functional.one_hot(labels, 4).float().repeat_interleave(4, dim=1)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(200, 16, generator=generator)
    return (0.6 * lit + 0.4 * noise).view(200, 1, 4, 4), labels
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's folder with a training and a study of it."""
    folder = tmp_path_factory.mktemp("made")
    settle(folder)
    nets = folder / "my" / "nets.py"
    nets.write_text(nets.read_text() + NETS)
    sets = folder / "my" / "sets.py"
    sets.write_text(sets.read_text() + SETS)
    quiet = ["--no-progress"]
    with pytest.MonkeyPatch.context() as patched, forgotten():
        patched.chdir(folder)
        words = "--model my.nets:two_layers --data my.sets:learnable --epochs 2"
        assert (
            main(
                [
                    "train",
                    *words.split(),
                    "--lr",
                    "0.02",
                    "--batch-size",
                    "10",
                    "--loggers",
                    "{}",
                    "--out",
                    "run",
                    *quiet,
                ]
            )
            == 0
        )
        words = "--run run --epochs 2 --thresholds 5 --epsilon 0.05 --engine plain --allow-code"
        assert main(["analyze", *words.split(), "--out", "studies", *quiet]) == 0
        of = hm.load_study("studies/epoch-0002").scores_with(hm.Scoring(reference="base"))
        clean = of.query("filter == 'combined' and score == 'clean'")["value"]
        (folder / "middle").write_text(str(abs(clean.mean())))
    return folder


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    folder = tmp_path / "home"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    with forgotten():
        yield folder


def half(home):
    """The flags that freeze one of the two targets."""
    return [*HALF, "--tolerance", (home / "middle").read_text(), "--allow-code", "--run", "run"]


def test_a_retraining_prints_what_was_trained_and_can_be_analysed(home, capsys):
    assert main([*RETRAIN, *half(home), "--out", "again"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[1] == "my.nets:two_layers on my.sets:learnable"
    assert lines[2].startswith("classes: by the clean score of the combined filter, base ±")
    assert any(line.startswith("trained: ") and "1 robust" in line for line in lines)
    assert any(line.startswith("frozen:  ") and "1 fragile" in line for line in lines)
    assert "equal bit for bit" in said.out
    assert lines[-2:] == [
        "next:    hormesis report again --out report.html",
        "         hormesis analyze --run again --allow-code",
    ]
    assert max(map(len, lines)) <= 80
    words = (
        "analyze --run again --allow-code --thresholds 3 --epsilon 0.05 --engine plain --out later"
    )
    assert main([*words.split(), "--no-progress"]) == 0
    before = listing(home / "again")
    capsys.readouterr()
    assert main([*RETRAIN, *half(home), "--out", "again"]) == 0
    after = listing(home / "again")
    assert {n: v for n, v in before.items() if "manifest" not in n} == {
        n: v for n, v in after.items() if "manifest" not in n
    }


def test_controls_print_a_table_and_draw_a_picture(home, capsys):
    words = "--controls --seeds 2 --epsilons 0.02 8/255 --pgd-steps 2 --restarts 1 --out out"
    assert main([*RETRAIN, *half(home), *words.split()]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    for word in ("attack", "verdict", "clean", "fgsm", "pgd", "selective", "everything", "none"):
        assert word in said
    assert "95% interval over seeds and samples" in said
    assert "picture: out/accuracy.png" in said
    assert "next:    hormesis report out --out report.html" in said.splitlines()
    assert said.strip().startswith("Selective retraining ")
    assert (home / "out" / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    made = hm.load_retraining("out")
    assert made.manifest["controls"]["seeds"] == [1, 2]
    assert isinstance(made.accuracy, pd.DataFrame)
    assert list(hm.load_run("out/selective/seed-2").checkpoints) == [0, 1]


def test_weights_of_ones_own_will_do(home, capsys):
    weights = "run/checkpoints/epoch-0002.safetensors"
    words = [*RETRAIN, *half(home)[:-3], "--weights", weights, "--data", "my.sets:learnable"]
    assert main([*words, "--out", "again"]) == 2
    assert "names code for its model, 'my.nets:two_layers'" in capsys.readouterr().err
    assert main([*words, "--model", "my.nets:two_layers", "--out", "again"]) == 0
    assert hm.load_retraining("again").manifest["frozen"]["values"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--keep brave", "Unknown class to `--keep` 'brave'"),
        ("--by size", "Unknown score 'size'"),
        ("--filter low", "Unknown `--filter` of the study 'low'"),
        ("--undecided drop", "Unknown choice of `--undecided` 'drop'"),
        ("--batchnorm eval", "Unknown choice of `--batchnorm` 'eval'"),
        ("--tolerance 9", "Nothing would be frozen: of 2 targets by the clean score"),
        ("--keep fragile --tolerance 9", "Nothing would be trained: of 2 targets by the clean"),
        ("--objective pdg", "Unknown objective 'pdg'. Did you mean pgd?"),
        ("--objective pgd", "Expected `--epsilon` to be a number for an attack during training"),
        ("--epsilon 0.1", "Expected an `--objective`, such as pgd, for `--epsilon` and `--steps`"),
        ("--weights good.pt --data digits", "Expected inputs of shape [1, 4, 4], as the study has"),
        ("--weights other.pt --data my.sets:learnable", "does not fit the network"),
        ("--run nowhere", "There is no folder nowhere of a training."),
        ("--data my.sets:five_classes", "Expected a number of classes of 4"),
        ("--controls --seeds 0", "Expected `--seeds` to be a whole number of at least 1, got 0."),
        ("--controls --seeds 1 1", "Expected `--seeds` that differ"),
        ("--controls --epsilons auto", "Expected `--epsilons` to be numbers such as 8/255"),
        ("--controls --restarts 0", "Expected `--restarts` to be a whole number"),
        ("--out a_file", "got the file a_file."),
        ("--out a_folder", "The folder a_folder holds something else"),
    ],
)
def test_what_cannot_be_retrained_is_refused(home, words, message, capsys):
    before = listing(home)
    assert main([*RETRAIN, *half(home), "--out", "out", *words.split()]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert listing(home) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["retrain"], "Expected the folder of a study: `hormesis retrain STUDY`."),
        (["retrain", "nowhere"], "The folder nowhere is no study"),
        (["retrain", "studies"], "holds the studies of epochs 2: name that of one epoch, such as"),
        ([*RETRAIN, "--kepp", "robust"], "Did you mean --keep"),
    ],
)
def test_what_is_no_study_is_refused(home, words, message, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_network_that_moved_is_named(made, home, capsys):
    """The study knows the folder where its training was, which is not there any more."""
    words = [*RETRAIN, *half(home)[:-2], "--out", "out"]
    (made / "run").rename(made / "moved")
    try:
        assert main(words) == 2
    finally:
        (made / "moved").rename(made / "run")
    assert "which is not there: name its folder with `--run`" in capsys.readouterr().err
    assert main([*words, "--run", "run"]) == 0
