"""A study of named groups: measured by every engine, resumed, extended, compared and shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor, nn

import hormesis as hm
from hormesis.cli.app import main
from hormesis.errors import StudyError
from hormesis.report.views.command_text import command
from hormesis.report.views.method_text import facts, untested_text
from hormesis.storage.files import MANIFEST, OUTCOMES
from hormesis.training.trainable_masks import make_masks

GROUPS = {
    "both ends": ["0.*", "8.weight"],
    "third; of the middle": [hm.part("6.weight", axis=0, of=3, index=1), "3.weight@1:0/2"],
    "scales & biases": ["1.*"],
    "all weights": ["*.weight"],
}
SWEEP = hm.Sweep(thresholds=5, control=2)
QUIET = hm.Execution(progress=False, num_workers=1)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3)
        last = nn.ReLU(), nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3)
        made = nn.Sequential(*first, *last)
        nn.init.uniform_(made.get_parameter("1.weight"), 0.5, 1.5)
        nn.init.uniform_(made.get_parameter("1.bias"), -0.5, 0.5)
    return made.eval()


def data(samples: int = 90) -> tuple[Tensor, Tensor]:
    inputs = torch.rand(samples, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network()(inputs)
        labels = (logits - logits.mean(0)).argmax(1)
    return inputs, labels


def analyze(out: Path | None, **asked: Any) -> hm.Study:
    usual = {"attack": hm.FGSM(0.02), "sweep": SWEEP, "targets": hm.Targets(groups=GROUPS)}
    never = hm.Confirmation(when="never")
    given = {"execution": QUIET, "confirmation": never, **usual, **asked}
    return hm.analyze(network(), given.pop("data", data()), out=out, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("groups") / "study"
    analyze(made)
    return made


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / OUTCOMES).iterdir())}


@pytest.mark.parametrize("adversary", ["fixed", "adaptive"])
def test_the_engine_has_the_outcomes_of_the_plain_loop(adversary, tmp_path):
    sweep = hm.Sweep(thresholds=5, control=2, adversary=adversary)
    studies = {
        engine: analyze(
            tmp_path / engine,
            sweep=sweep,
            execution=hm.Execution(progress=False, num_workers=1, engine=engine),
        )
        for engine in ("auto", "plain")
    }
    assert studies["auto"].manifest["run"]["engine"] == "suffix"
    assert shards(tmp_path / "auto") == shards(tmp_path / "plain")
    pd.testing.assert_frame_equal(studies["auto"].responses, studies["plain"].responses)
    assert True in studies["auto"].responses["changed"].tolist()


def test_groups_need_no_attack(folder):
    clean = analyze(None, attack=None)
    attacked = hm.load_study(folder)
    assert clean.responses["clean"].equals(attacked.responses["clean"])
    assert untested_text(clean) == untested_text(attacked)


def test_accuracies_are_those_of_networks_filtered_by_hand(folder):
    study, (inputs, labels) = hm.load_study(folder), data()
    rows = study.responses.query("target == 'third; of the middle' and filter == 'high_pass'")
    for alpha, clean in zip(rows["alpha"], rows["clean"], strict=True):
        filtered = network()
        with torch.no_grad():
            for part in filtered[6].weight[3:6], filtered[3].weight[:, :3]:  # pyright: ignore[reportIndexIssue]
                part[part <= alpha] = 0
            correct = filtered(inputs).argmax(1) == labels
        assert clean == pytest.approx(float(correct.double().mean()), abs=1e-12)


def test_a_global_study_is_a_study_of_one_group():
    one = analyze(None, targets=hm.Targets(groups={"all": ["*"]}))
    span = hm.Sweep(thresholds=5, control=2, span=None)
    other = analyze(None, targets=hm.Targets(scope="global"), sweep=span)
    pd.testing.assert_frame_equal(one.responses, other.responses)
    assert untested_text(one) == untested_text(other)


def test_an_interrupted_study_ends_with_the_same_bytes(folder, tmp_path):
    whole = shards(folder)
    analyze(tmp_path / "study")
    first = next(iter(whole))
    (tmp_path / "study" / OUTCOMES / first).unlink()
    again = analyze(tmp_path / "study")
    assert shards(tmp_path / "study") == whole
    assert again.finished
    reordered = dict(reversed(GROUPS.items()))
    same = analyze(tmp_path / "study", targets=hm.Targets(groups=reordered))
    pd.testing.assert_frame_equal(same.responses, again.responses)


def test_a_study_of_groups_grows_out_of_another(folder, tmp_path):
    more = {**GROUPS, "head": ["8.*"]}
    wider = hm.Targets(groups=more)
    extended = analyze(
        tmp_path / "extended",
        targets=wider,
        execution=hm.Execution(progress=False, num_workers=1, extend=folder),
    )
    anew = analyze(tmp_path / "anew", targets=wider)
    assert shards(tmp_path / "extended") == shards(tmp_path / "anew")
    pd.testing.assert_frame_equal(extended.responses, anew.responses)


def test_the_manifest_has_groups_only_if_there_are_some(folder, tmp_path):
    held = json.loads((folder / MANIFEST).read_text())
    assert held["question"]["targets"]["groups"] == {
        "both ends": ["0.*", "8.weight"],
        "third; of the middle": ["6.weight@0:1/3", "3.weight@1:0/2"],
        "scales & biases": ["1.*"],
        "all weights": ["*.weight"],
    }
    assert "flow" not in held
    without = analyze(None, targets=hm.Targets())
    assert "groups" not in without.manifest["question"]["targets"]
    for wrong in ({"a": "0.*"}, {"a\x1b": ["0.*"]}, ["a"], {"a": [1]}):
        held["question"]["targets"]["groups"] = wrong
        held.pop("sha256", None)
        (tmp_path / MANIFEST).write_text(json.dumps(held))
        with pytest.raises(StudyError):
            hm.load_study(tmp_path)


def test_what_no_group_holds_is_said_with_its_share(folder, capsys):
    study = hm.load_study(folder)
    sizes = {name: p.numel() for name, p in network().named_parameters()}
    left = ["0.bias", "3.bias", "6.bias", "8.bias"]
    share = 100 * sum(sizes[name] for name in left) / sum(sizes.values())
    said = f"Not tested: 4 parameters with {share:.1f}% of all values (bias)"
    assert untested_text(study) == said
    assert main(["show", str(folder)]) in (0, None)
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown
    assert "4 not tested: in no group" in shown
    assert "in the group" not in shown


def test_all_is_tested_or_hardly_anything_is_not():
    everything = analyze(None, targets=hm.Targets(include=("*",)))
    assert untested_text(everything) == ""
    one = analyze(None, targets=hm.Targets(exclude=("0.*",)))
    assert untested_text(one).startswith("Not tested: 7 parameters with ")
    assert untested_text(one).endswith("of all values (convolution, bias, norm)")


def test_reports_and_pictures_of_groups(folder, tmp_path):
    study = hm.load_study(folder)
    hm.write_report([study], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "third; of the middle" in page
    assert untested_text(study) in page
    terms = dict(facts(study))
    assert "both ends (0.* 8.weight); third; of the middle (6.weight@0:1/3 " in terms["Groups"]
    for name in ("heatmap", "network", "weights", "responses"):
        picture = getattr(study.plot, name)
        figure = picture("both ends") if name in ("weights", "responses") else picture()
        assert figure.axes


def test_comparisons_of_groups(folder, tmp_path):
    other = analyze(tmp_path / "other", sweep=SWEEP, data=data(80))
    study = hm.load_study(folder)
    compared = hm.compare([study, other], over="data", allow=["different:samples"])
    assert set(compared.matching["match"]) == set(GROUPS)
    changed = analyze(None, targets=hm.Targets(groups={**GROUPS, "both ends": ["0.*"]}))
    with pytest.raises(StudyError, match=r"The studies differ in targets\.groups"):
        hm.compare([study, changed], over="seeds")


def test_retraining_refuses_groups(folder):
    with pytest.raises(StudyError, match="of groups, which may overlap: analyse without --groups"):
        hm.freeze(network(), folder)


def test_the_command_line_takes_groups(capsys, tmp_path):
    words = ["--groups", "a = b=x.* y.0.*", "heads=qkv.weight@0:5/36", "--groups", "c=z"]
    with pytest.raises(SystemExit):
        main(["analyze", *words, "--print_config"])
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["groups"] == {
        "a = b": ["x.*", "y.0.*"],
        "heads": ["qkv.weight@0:5/36"],
        "c": ["z"],
    }
    (tmp_path / "config.yaml").write_text("groups: {stem: conv1.*, rest: [layer1.*, fc.*]}\n")
    with pytest.raises(SystemExit):
        main(["analyze", "--config", str(tmp_path / "config.yaml"), "--print_config"])
    read = yaml.safe_load(capsys.readouterr().out)["groups"]
    assert read == {"stem": ["conv1.*"], "rest": ["layer1.*", "fc.*"]}


@pytest.mark.parametrize("words", [["x.*"], ["a=x.*", "a=y.*"], ["=x.*"], ["a="]])
def test_the_command_line_refuses_what_is_no_group(words, capsys):
    assert main(["analyze", "--groups", *words]) == 2
    assert "Expected" in capsys.readouterr().err


def test_the_command_of_a_study_has_its_groups(folder):
    text = command(hm.load_study(folder))
    assert "--groups 'both ends=0.* 8.weight' 'third; of the middle=6.weight@0:1/3 3.w" in text


def test_channels_of_a_weight_by_use_are_frozen_as_they_were_split():
    from transformers.pytorch_utils import Conv1D

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), Conv1D(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    inputs = torch.rand(60, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = made(inputs).argmax(1)
    study = hm.analyze(
        made,
        (inputs, torch.where(torch.arange(60) % 7 == 0, 1 - labels, labels)),
        attack=hm.FGSM(0.02),
        targets=hm.Targets(per="channel", include=("1.weight",)),
        sweep=hm.Sweep(thresholds=5),
        execution=QUIET,
    )
    tested = study.targets.loc[study.targets["tested"]]
    assert tested["axis"].tolist() == [1] * 4
    assert study.targets.loc[~study.targets["tested"], "axis"].tolist() == [-1] * 3
    names, wanted = tested["target"].tolist(), np.array([True, False, True, False])
    classes = pd.DataFrame({"target": names, "class": ["robust", "fragile"] * 2})
    masks = make_masks(study.targets, classes, names[::2], hm.Selection(others="freeze"))
    freezing = hm.Freezing(made, masks, batchnorm="frozen")
    freezing.start()
    before = made.get_parameter("1.weight").detach().clone()
    optimizer = torch.optim.SGD(freezing.parameters, lr=1.0, weight_decay=0.5)
    freezing.follow(optimizer)
    made(inputs).sum().backward()
    optimizer.step()
    changed = (made.get_parameter("1.weight").detach() != before).numpy()
    assert not changed[:, ~wanted].any()
    assert np.all(changed[:, wanted])
    freezing.check()
