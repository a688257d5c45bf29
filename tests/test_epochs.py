"""From a training to studies of its epochs, in Python and on the command line."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import hormesis as hm
from hormesis.cli.app import main
from hormesis.cli.options import parse_epochs
from hormesis.data.splits import load_parts
from hormesis.errors import DataError, ModelError, SettingError, StudyError, TrainingError
from hormesis.models.checkpoints import load_weights
from hormesis.models.networks import build_model
from hormesis.results.series import StudySeries
from users import forgotten, listing, settle

TRAIN = ["train", "--model", "my.nets:build", "--data", "my.sets:held_out", "--batch-size", "10"]
RUN = ["--run", "run", "--allow-code"]
SMALL = ["--thresholds", "3", "--epsilon", "0.1", "--engine", "plain", "--confirm", "never"]
SWEEP = hm.Sweep(thresholds=3)
PLAIN = hm.Execution(engine="plain", progress=False)
ASKED: dict[str, Any] = {
    "attack": hm.FGSM(0.1),
    "sweep": SWEEP,
    "confirmation": hm.Confirmation(when="never"),
    "execution": PLAIN,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's folder with a run of three epochs."""
    folder = tmp_path_factory.mktemp("made")
    settle(folder)
    with pytest.MonkeyPatch.context() as patched, forgotten():
        patched.chdir(folder)
        words = "--epochs 3 --lr 0.1 --out run --no-progress --loggers {}"
        assert main([*TRAIN, *words.split()]) == 0
    return folder


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    folder = tmp_path / "home"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    with forgotten():
        yield folder


def analyze(out="studies", run="run", **options):
    settings: dict[str, Any] = {**ASKED, **options}
    trained = hm.CheckpointSelection(run, settings.pop("epochs", None), allow_code=True)
    return hm.analyze_epochs(trained, out=out, **settings)


def test_each_study_is_that_of_its_checkpoint_alone(home):
    studies, damaged = analyze(epochs=[1, 3])
    assert damaged == {}
    assert list(studies.members) == [1, 3]
    samples = load_parts("my.sets:held_out").validation.samples()
    for epoch, study in studies.members.items():
        network = build_model("my.nets:build", classes=4, channels=1)
        load_weights(network, home / "run" / "checkpoints" / f"epoch-{epoch:04d}.safetensors")
        alone = hm.analyze(network, samples, **ASKED)
        assert alone.responses.equals(study.responses)
        assert alone.base == study.base
    again = hm.load_series("studies")
    assert isinstance(again, StudySeries)
    assert again.scores.equals(studies.scores)
    assert sorted(again.scores["epoch"].unique()) == [1, 3]


def test_the_manifest_of_the_training_travels_into_each_study(home):
    studies, _ = analyze(epochs=[2])
    origin = studies.members[2].manifest["origin"]
    training = hm.load_run("run").manifest
    assert origin == {"epoch": 2, "training": training, "run": str(home / "run")}
    assert origin["training"]["question"]["recipe"]["rate"] == 0.1
    assert "torch" in origin["training"]["sessions"][0]["versions"]


def damage(path: Path, how: str) -> None:
    if how == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        with safe_open(path, framework="pt") as opened:
            said = opened.metadata()
        values = load_file(path)
        first = next(iter(values))
        values[first] = values[first] + 0.5 if how == "changed" else values[first] * float("nan")
        save_file(values, path, metadata=said)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "is damaged, cut short"),
        ("empty", "is empty"),
        ("changed", "its values are not those that were written"),
        ("nan", "holds NaN"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_others_are_analysed(home, how, message, capsys):
    damage(home / "run" / "checkpoints" / "epoch-0002.safetensors", how)
    words = ["analyze", *RUN, "--epochs", "2,3", *SMALL, "--out", "studies", "--no-progress"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("hormesis: epoch 2 was left out: Checkpoint ")
    assert message in said.err
    assert said.err.count("\n") == 1
    studies = hm.load_series("studies")
    assert isinstance(studies, StudySeries)
    assert list(studies.members) == [3]


def test_where_all_are_damaged_that_is_an_error(home):
    damage(home / "run" / "checkpoints" / "epoch-0002.safetensors", "cut")
    with pytest.raises(ModelError, match=r"No checkpoint can be analysed: .*epoch-0002"):
        analyze(epochs=[2])
    assert not (home / "studies").exists()


def test_finished_studies_are_opened_and_missing_ones_measured(home, monkeypatch):
    analyze(epochs=[1])
    before = listing(home / "studies")
    studies, _ = analyze(epochs=[1, 2])
    assert list(studies.members) == [1, 2]
    after = listing(home / "studies")
    assert {name: after[name] for name in before} == before


def test_the_command_draws_prints_and_can_be_shown_and_exported(home, capsys):
    words = ["analyze", *RUN, "--epochs", "1,3", *SMALL, "--out", "studies"]
    assert main([*words, "--no-progress"]) == 0
    said = capsys.readouterr().out
    assert "my.nets:build on my.sets:held_out: 4 samples; FGSM, fixed adversary" in said
    assert "picture: studies/epochs.png" in said
    assert max(map(len, said.splitlines())) <= 80
    assert sorted(path.name for path in (home / "studies").iterdir()) == [
        ".hormesis.json",
        "epoch-0001",
        "epoch-0003",
        "epochs.png",
    ]
    assert (home / "studies" / "epochs.png").read_bytes().startswith(b"\x89PNG")
    assert main(["show", "studies", "--reference", "base"]) == 0
    assert "epoch" in capsys.readouterr().out
    assert main(["export", "studies"]) == 0
    columns = "epoch,target,filter,score,value,class,low,high,level,certain,point"
    assert capsys.readouterr().out.splitlines()[0] == columns


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 1,9", "The run run has no checkpoint of epoch 9. Its `--epochs`: 0, 1, 2, 3."),
        ("--epochs 1;2", "Expected `--epochs` to be whole numbers with commas between them"),
        ("--epochs -1", "Expected `--epochs` to be whole numbers"),
        ("--model resnet50", "Expected `--model` to be left out, as the run run is of my.nets"),
        ("--data cifar10", "Expected `--data` to be left out, as the run run is of my.sets"),
        ("--stem small", "Expected `--stem` to be left out, as the run run is of standard"),
        ("--weights good.pt", "Expected no `--weights` beside `--run`"),
        ("--run nowhere", "There is no folder nowhere of a training."),
        ("--run a_folder", "The folder a_folder is no training: it has no manifest.json."),
        ("--run a_file", "There is no folder a_file of a training."),
        ("--samples 5", "Expected `--samples` from 2 to 4"),
        ("--out a_folder", "The folder a_folder holds something else"),
        ("--out a_file", "Expected a folder for the studies, got the file a_file."),
    ],
)
def test_what_cannot_be_analysed_is_refused(home, words, message, capsys):
    before = listing(home)
    given = ["analyze", *RUN, *SMALL, "--out", "out", "--no-progress", *words.split()]
    assert main(given) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert listing(home) == before


def test_epochs_need_a_run(home, capsys):
    assert main(["analyze", "--epochs", "1,2"]) == 2
    assert "Expected `--run`, the folder of a training" in capsys.readouterr().err


def test_other_data_in_the_place_of_the_training_s_are_refused(home):
    sets = home / "my" / "sets.py"
    sets.write_text(sets.read_text().replace("manual_seed(0)", "manual_seed(1)"))
    with pytest.raises(DataError, match="are not those that run was trained with"):
        analyze()


def test_studies_of_another_training_stay(home):
    analyze(epochs=[1])
    before = listing(home / "studies")
    words = ["--epochs", "2", "--seed", "5", "--out", "other", "--no-progress"]
    assert main([*TRAIN, *words]) == 0
    with pytest.raises(
        StudyError, match=r"studies of another training \(recipe\.rate is 0.001 here and 0.1"
    ):
        analyze(run="other", epochs=[2])
    with pytest.raises(StudyError, match="holds a single study"):
        analyze(out="studies/epoch-0001")
    assert listing(home / "studies") == before


def test_a_training_from_python_has_no_name_to_analyse_it_by(tmp_path):
    data = (torch.rand(20, 1, 2, 2), torch.arange(20) % 2)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    session = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
    recipe = hm.Recipe(epochs=1)
    hm.train(network, (data, data), out=tmp_path / "run", recipe=recipe, trainer_config=session)
    with pytest.raises(TrainingError, match=r"The network of .* came from Python"):
        hm.analyze_epochs(
            hm.CheckpointSelection(tmp_path / "run"), out=tmp_path / "out", execution=PLAIN
        )


@pytest.mark.parametrize("given", ["", "1,", "x", "1-3", 1.5, [], [1.5]])
def test_what_is_no_list_of_epochs_is_refused(given):
    with pytest.raises(SettingError, match="whole numbers with commas"):
        parse_epochs(given)
