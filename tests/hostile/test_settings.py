"""A configuration, or a training's manifest, runs no code that the command line does not name."""

import json
from pathlib import Path

import pytest

import hormesis as hm
from hormesis.cli.app import main
from hormesis.cli.parser import parse_arguments
from hormesis.errors import SettingError
from hormesis.results.training_run import load_run

EVIL = """
from pathlib import Path
Path("was_run").touch()

class Evil:
    def __init__(self, *given, **options): pass

def build(): pass
"""
REMEDY = "name it on the command line, or pass `--allow-code` if you trust the file."


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder with a module that leaves a trace when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "evil", raising=False)
    Path("evil.py").write_text(EVIL)
    yield tmp_path
    assert not Path("was_run").exists()


def refused(words, capsys):
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("command", "text", "setting"),
    [
        ("analyze", "model: evil:build", "model"),
        ("analyze", "data: evil:build", "data"),
        ("analyze", "metric: evil:build", "metric"),
        ("analyze", "attack: evil:build", "attack"),
        ("analyze", "<<: {model: 'evil:build'}", "model"),
        ("train", "model: evil:build", "model"),
        ("train", "data: evil:build", "data"),
        ("train", "optimizer: evil:Evil", "optimizer"),
        ("train", "schedule: evil:Evil", "schedule"),
        ("train", "augment: {'evil:Evil': {}}", "augment"),
        ("train", "augment: \"{'evil:Evil': {}}\"", "augment"),
    ],
)
def test_code_that_only_a_file_names_is_refused(command, text, setting, capsys):
    Path("study.yaml").write_text(text)
    said = refused([command, "--config", "study.yaml", "--data-root", "x"], capsys)
    assert f"names code for `--{setting}`, 'evil:" in said
    assert said.endswith(f"{REMEDY}\n")


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        ("train", "optimizer_options: {class_path: evil.Evil}", "under class_path"),
        ("train", "optimizer_options: {a: {class_path: evil.Evil}}", "under class_path"),
        ("train", "schedule_options: {a: [{class_path: evil.Evil}]}", "under class_path"),
        ("train", 'optimizer_options: {a: {"class\\x5fpath": evil.Evil}}', "under class_path"),
        ("train", "augment: {Resize: {size: {class_path: evil.Evil}}}", "under class_path"),
        ("analyze", "model: {class_path: evil.Evil}", "under class_path"),
        ("analyze", "config: other.yaml", "as it names another configuration file"),
        ("analyze", "allow_code: true", "Expected `--allow-code` on the command line"),
        ("analyze", "allow_code: true\nmodel: evil:build", "Expected `--allow-code` on the comma"),
        ("analyze", "model: !!python/name:evil.build", "is no YAML"),
        ("analyze", "model: !!python/object/apply:evil.build []", "is no YAML"),
        ("analyze", "model: !!python/module:evil", "is no YAML"),
    ],
)
def test_nothing_in_a_file_imports_a_class(command, text, words, capsys):
    Path("study.yaml").write_text(text)
    Path("other.yaml").write_text("model: evil:build")
    assert words in refused([command, "--config", "study.yaml"], capsys)


@pytest.mark.parametrize("value", ["'{a: {class_path: evil.Evil}}'", "{a: '{class_path: x.Y}'}"])
def test_a_class_within_a_text_is_not_imported_either(value, capsys):
    Path("study.yaml").write_text(f"epochs: 1\nattack: none_such\noptimizer_options: {value}\n")
    refused(["train", "--config", "study.yaml"], capsys)


LAUGHS = "a: &a [x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, r"repeats a part of itself, \*a; write it out"),
        ("include: &a [*a]", r"repeats a part of itself, \*a"),
        ("optimizer_options: " + "{a: " * 50 + "1" + "}" * 50, "more than 16 levels deep"),
        ("include: " + "[" * 90_000, "is no YAML"),
        ("lr: 1" + "0" * 400, "`lr` to be a finite number, got 10000.*…"),
        ("lr: 1" + "0" * 5000, "holds a value that cannot be read: Exceeds the limit"),
        ("seed: " + "1" * (1 << 20), "larger than 1,048,576 bytes"),
    ],
    ids=["aliases", "itself", "deep", "deeper", "large", "larger", "long"],
)
def test_a_few_lines_cannot_fill_the_memory(text, words):
    Path("study.yaml").write_text(text)
    with pytest.raises(SettingError, match=words):
        parse_arguments("train", ["--config", "study.yaml"])


def test_code_on_the_command_line_may_stand_in_the_file_too():
    Path("study.yaml").write_text("model: evil:build\nseed: 5\n")
    for words in (["--model", "evil:build"], ["--model=evil:build"], ["--allow-code"]):
        values = parse_arguments("analyze", ["--config", "study.yaml", *words]).values
        assert (values["model"], values["seed"]) == ("evil:build", 5)
    for words in (["--model", "evil:other"], ["--data", "evil:build"]):  # the file comes last
        with pytest.raises(SettingError, match="names code for `model`, 'evil:build'"):
            parse_arguments("analyze", [*words, "--config", "study.yaml"])


@pytest.mark.parametrize("option", [["--conf", "study.yaml"], ["--confi=study.yaml"]])
def test_an_abbreviated_option_names_no_file(option):
    Path("study.yaml").write_text("model: evil:build\nout: run\n")
    for command in ("train", "analyze"):
        with pytest.raises(SettingError, match=r"Unknown option --confi?\. Did you mean --config"):
            parse_arguments(command, option)


def test_a_timm_name_and_a_folder_are_no_code(home):
    (home / "a:b").mkdir()
    Path("study.yaml").write_text("model: timm:resnet18\ndata: a:b\n")
    assert parse_arguments("analyze", ["--config", "study.yaml"]).values["data"] == "a:b"


def run_of(network, data):
    """A training's folder from elsewhere."""
    folder = Path("run", "checkpoints")
    folder.mkdir(parents=True)
    (folder / "epoch-0001.safetensors").write_bytes(b"x")
    said = {
        "training": 1,
        "question": {
            "network": {"name": network, "named": True},
            "data": {
                "name": "mnist",
                "samples": 20,
                "split": "standard",
                "split_seed": 0,
                "normalize": True,
                "validation_fingerprint": "0",
            },
            "recipe": {"seed": 0, "stem": "standard", "epochs": 1},
        },
        "sessions": [{"data": data, "data_root": None}],
    }
    Path("run", "manifest.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("network", "data", "setting"),
    [("evil:build", "digits", "model"), ("resnet18", "evil:build", "data")],
)
def test_a_training_from_elsewhere_runs_no_code(network, data, setting, capsys):
    run_of(network, data)
    said = refused(["analyze", "--run", "run"], capsys)
    assert f"The training run names code for its {setting}, 'evil:build'" in said
    assert f"name it as `--{setting}`, or pass `--allow-code` if you trust that folder." in said
    with pytest.raises(SettingError, match="pass `allow_code` if you trust that folder"):
        hm.analyze_epochs(hm.CheckpointSelection("run"), out="studies")
    Path("study.yaml").write_text("run: run\n")
    assert "names code" in refused(["analyze", "--config", "study.yaml"], capsys)
    assert load_run("run").code() == {setting: "evil:build"}
