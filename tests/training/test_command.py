"""``hormesis train`` as a user meets it."""

import sys

import pytest
import yaml

import hormesis as hm
from hormesis.cli.app import main
from users import forgotten, listing, settle

SMALL = ["train", "--model", "my.nets:build", "--data", "my.sets:held_out", "--epochs", "2"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    settle(tmp_path)
    (tmp_path / "my" / "nets.py").write_text(
        (tmp_path / "my" / "nets.py").read_text() + "class Exploding(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.inner = build()\n"
        "    def forward(self, inputs):\n"
        "        return self.inner(inputs) * (float('nan') if self.training else 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("HORMESIS_DATA", raising=False)
    with forgotten():
        yield tmp_path


def test_a_run_is_made_printed_and_taken_up_again(home, capsys):
    words = [*SMALL, "--out", "run", "--attack", "fgsm", "--epsilon", "8/255"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[1] == "my.nets:build on my.sets:held_out: 36 training and 4 validation samples"
    assert lines[-2:] == [
        "run:     run",
        "next:    hormesis analyze --run run --epochs 1,2 --allow-code",
    ]
    assert max(map(len, lines)) <= 80
    assert "adversarial" in said.out
    run = hm.load_run("run")
    assert list(run.checkpoints) == [0, 1, 2]
    assert any((home / "run" / "logs").rglob("events.out.tfevents*"))
    kept = {name: value for name, value in listing(home / "run").items() if "manifest" not in name}
    assert main(words) == 0
    assert capsys.readouterr().out == said.out
    again = listing(home / "run")
    assert {name: again[name] for name in kept} == kept


def test_a_configuration_gives_the_same_run_as_its_flags(home, capsys):
    words = [*SMALL, "--optimizer", "SGD", "--optimizer-options", "{momentum: 0.9}"]
    assert main([*words, "--out", "one", "--no-progress"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*words, "--print_config"])
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["optimizer_options"] == {"momentum": 0.9}
    (home / "train.yaml").write_text(printed)
    assert (
        main(["train", "--config", "train.yaml", "--allow-code", "--out", "two", "--no-progress"])
        == 0
    )
    one, two = hm.load_run("one"), hm.load_run("two")
    assert one.manifest["question"] == two.manifest["question"]
    assert one.checkpoints[2].read_bytes() == two.checkpoints[2].read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs x", "Expected `--epochs` to be a whole number, got 'x'."),
        ("--epochs 0", "Expected `--epochs` to be a whole number of at least 1, got 0."),
        ("--lr nan", "Expected `--lr` to be a finite number"),
        ("--optimizer-options 3", "Expected `--optimizer-options` to be a mapping of names"),
        ("--optimizer Adma", "Unknown optimizer 'Adma'. Did you mean Adam"),
        ("--augment [a]", "Expected `--augment` to be a mapping of names to their options"),
        ('--loggers {"Tensorbord":null}', "Unknown logger 'Tensorbord"),
        (
            "--epochz 3",
            "Did you mean --epochs or --epsilon or --steps? See `hormesis train --help`",
        ),
        (
            "more",
            "Unexpected argument 'more': every setting has a flag, see `hormesis train --help`",
        ),
        ("--data mnist", "name it with `--data-root`, or in the environment as HORMESIS_DATA"),
        ("--data mnist --data-root nowhere", "'mnist' is missing or damaged in 'nowhere'"),
        ("--data digits --split paper", "Expected `--split` to be 'standard' for 'digits'"),
        ("--model resnet81", "Unknown model 'resnet81'. Did you mean resnet18"),
        ("--stem small", "leave `--stem` at 'standard'"),
        ("--attack fgsm", "Expected `--epsilon` to be a number for an attack during training"),
        ("--epsilon 0.1", "Expected an `--attack`, such as pgd, for `--epsilon` and `--steps`"),
        ("--adversarial", "Expected an `--attack` to train against with `--adversarial`"),
        ("--device tpu", "Unknown device 'tpu'. Did you mean xpu or cpu?"),
        ("--samples 99", "Expected `--samples` from 2 to 36"),
        ("--out a_file", "Expected a folder for the training, got the file a_file."),
        ("--out a_folder", "The folder a_folder holds something else"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_nothing(home, words, message, capsys):
    before = listing(home)
    assert main([*SMALL, "--out", "run", "--no-progress", *words.split()]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert listing(home) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epochs: null", "Expected `--epochs` to have a value"),
        ("loggers: null", "Expected `--loggers` to have a value"),
        ("augment: {RandomCrop: 3}", "Expected `--augment` to be a mapping of names"),
        ("download: 3", "Expected `--download` to be true or false, got 3."),
    ],
)
def test_a_configuration_that_no_flag_can_give_is_refused(home, line, message, capsys):
    (home / "wrong.yaml").write_text(line)
    assert main([*SMALL, "--config", "wrong.yaml", "--out", "run"]) == 2
    assert message in capsys.readouterr().err
    assert not (home / "run").exists()


def test_a_training_that_diverges_ends_with_a_sentence(home, capsys):
    words = ["train", "--model", "my.nets:Exploding", "--data", "my.sets:held_out", "--out", "run"]
    assert main([*words, "--no-progress"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hormesis: error: Training diverged in epoch 1")
    assert said.count("\n") == 1
    assert list(hm.load_run("run").checkpoints) == [0]


def test_without_lightning_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.delitem(sys.modules, "hormesis.cli.commands.train", raising=False)
    for name in ("train", "fit", "checkpointing", "lit_module"):
        monkeypatch.delitem(sys.modules, f"hormesis.training.{name}", raising=False)
    assert main([*SMALL, "--out", "run"]) == 2
    assert (
        "Training needs Lightning: run `pip install 'hormesis[train]'`." in capsys.readouterr().err
    )
