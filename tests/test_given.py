"""A second data set as the stressed one: its outcomes, scores, words and refusals."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from torch import Tensor, nn

import hormesis as hm
from hormesis.engine.shards import ShardMeasurer
from hormesis.errors import HormesisError, StudyError
from hormesis.report.html.payload import study_payload
from hormesis.report.text.summary import study_lines
from hormesis.report.views.command_text import command
from hormesis.report.views.findings import findings
from hormesis.report.views.method_text import facts
from hormesis.results.study import Study, load_study

QUIET = hm.Execution(progress=False, num_workers=1)
SWEEP = hm.Sweep(thresholds=3, control=1)
Pair = tuple[Tensor, Tensor]


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def pairs(samples: int = 150, *, noise: float = 0.3, relabelled: int = 0) -> tuple[Pair, Pair]:
    """Return samples with mostly right labels, and noisy versions of them."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(samples, 1, 4, 4, generator=generator)
    with torch.no_grad():
        outputs = network()(inputs)
        labels = (outputs - outputs.median(dim=0).values).argmax(dim=1)
    draws = torch.randn(inputs.shape, generator=generator)
    noisy, others = (inputs + noise * draws).clamp(0, 1), labels.clone()
    others[:relabelled] = (others[:relabelled] + 1) % 3
    return (inputs, labels), (noisy, others)


def analyze(data: Any, stressed: Any = None, **more: Any) -> Study:
    asked = {"sweep": SWEEP, "execution": QUIET, **more}
    return hm.analyze(network(), data, stressed=stressed, **asked)


def plain_loop(data: Pair, study: Study) -> tuple[np.ndarray, list[str]]:
    """Return how many samples of a set are right after each removal of the sweep, by hand."""
    inputs, labels = data
    right = []
    rows = study.responses
    for row in rows.to_dict("records"):
        filtered = network()
        weights = filtered.get_parameter(row["target"]).data
        alpha, name = row["alpha"], row["filter"]
        keep = {
            "high_pass": weights > alpha,
            "low_pass": weights < alpha,
            "pulse_wave": (weights < row["lower"]) | (weights >= row["upper"]),
        }[name]
        weights.mul_(keep)
        with torch.no_grad():
            right.append((filtered(inputs).argmax(dim=1) == labels).float().mean().item())
    return np.array(right), rows["target"].tolist()


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_responses_are_those_of_a_loop_by_hand(engine: str) -> None:
    clean, stressed = pairs(relabelled=9)
    study = analyze(clean, stressed, execution=replace(QUIET, engine=engine))
    assert study.metadata.run.engine == {"auto": "suffix"}.get(engine, engine)
    for name, data in (("clean", clean), ("adversarial", stressed)):
        expected, _ = plain_loop(data, study)
        np.testing.assert_allclose(study.responses[name], expected, atol=1e-6)
    assert study.metadata.audit.different == 0


@pytest.mark.parametrize("metric", ["accuracy", "loss", "cosine"])
def test_outcomes_are_those_of_a_study_of_each_set(metric: str) -> None:
    clean, stressed = pairs(90)
    study = analyze(clean, stressed, metric=metric).outcomes()
    for data, names in (
        (clean, ("base_clean", "clean")),
        (stressed, ("base_adversarial", "adversarial")),
    ):
        own = analyze(data, attack=None, metric=metric).outcomes()
        for one, other in zip(names, ("base_clean", "clean"), strict=True):
            np.testing.assert_allclose(getattr(study, one), getattr(own, other), atol=1e-5)


def test_independent_samples_are_drawn_without_regard_to_the_first(tmp_path: Path) -> None:
    clean, stressed = pairs(120)
    study = analyze(clean, (stressed[0][:90], stressed[1][:90]), pairing="independent")
    assert study.metadata.base.samples == 90
    assert "90 of 120 samples of the data, drawn at random" in " ".join(study.notes)
    with torch.no_grad():
        right = (network()(stressed[0][:90]).argmax(dim=1) == stressed[1][:90]).double().mean()
    assert study.base.adversarial == pytest.approx(float(right))
    longer = analyze((clean[0][:60], clean[1][:60]), stressed, pairing="independent")
    assert "60 of 120 samples of the stressed data" in " ".join(longer.notes)
    assert longer.metadata.attack.pairing == "independent"


def test_a_stopped_sweep_takes_pairs_in_random_order() -> None:
    clean, stressed = pairs(200)
    sweep = hm.Sweep(thresholds=3, until=0.0001)
    study = analyze(clean, stressed, sweep=sweep)
    own = analyze(stressed, attack=None, sweep=sweep)
    assert study.metadata.base.samples == own.metadata.base.samples == 200
    assert study.base.adversarial == pytest.approx(own.base.clean)


def shards(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((folder / "outcomes").iterdir())}


def test_a_study_goes_on_and_is_not_resumed_with_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, stressed = pairs(100)
    whole, out = tmp_path / "whole", tmp_path / "study"
    analyze(clean, stressed, out=whole)
    measure = ShardMeasurer.measure

    def stopped(self: ShardMeasurer, task: Any, *rest: Any, **more: Any) -> Any:
        if task.first:
            raise KeyboardInterrupt
        return measure(self, task, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(ShardMeasurer, "measure", stopped)
        with pytest.raises(KeyboardInterrupt):
            analyze(clean, stressed, out=out)
    assert not load_study(out).finished
    assert load_study(out).given
    analyze(clean, stressed, out=out)
    assert shards(out) == shards(whole)
    others = stressed[0].flip(0), stressed[1]
    with pytest.raises(StudyError, match=r"another question \(attack.fingerprint"):
        analyze(clean, others, out=out)


def test_an_extension_measures_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, stressed = pairs(100)
    analyze(clean, stressed, out=tmp_path / "first")
    calls = []
    measure = ShardMeasurer.measure

    def counted(self: ShardMeasurer, *task: Any, clean: bool = True) -> Any:
        calls.append(clean)
        return measure(self, *task, clean=clean)

    monkeypatch.setattr(ShardMeasurer, "measure", counted)
    execution = replace(QUIET, extend=str(tmp_path / "first"))
    again = analyze(clean, stressed, out=tmp_path / "same", execution=execution)
    assert calls == []
    others = stressed[0].flip(0), stressed[1].flip(0)
    extended = analyze(clean, others, out=tmp_path / "other", execution=execution)
    assert False in calls, "clean outcomes are taken over"
    fresh = analyze(clean, others, out=tmp_path / "fresh")
    pd.testing.assert_frame_equal(extended.scores, fresh.scores)
    assert (again.outcomes().adversarial != fresh.outcomes().adversarial).any()
    attacked = analyze(
        clean,
        attack=hm.FGSM(0.05),
        out=tmp_path / "attacked",
        execution=execution,
        confirmation=hm.Confirmation("never"),
    )
    own = analyze(clean, attack=hm.FGSM(0.05), confirmation=hm.Confirmation("never"))
    pd.testing.assert_frame_equal(attacked.scores, own.scores)


class Planted(nn.Module):
    """Two classes by the left pixel, and a trigger at the right one that says class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 3, bias=False)
        self.head = nn.Linear(3, 2, bias=False)
        self.hidden.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 4.0]])
        self.head.weight.data = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(torch.relu(self.hidden(rows)))


def planted() -> tuple[Pair, Pair]:
    generator = torch.Generator().manual_seed(0)
    signs = 1.0 - 2.0 * (torch.arange(200) % 2)
    left = signs * (0.2 + 0.7 * torch.rand(200, generator=generator))
    rows = torch.stack([left, torch.zeros(200)], dim=1)
    triggered = rows.clone()
    triggered[:, 1] = 1.0
    labels = (left > 0).long()
    return (rows, labels), (triggered, labels)


def test_the_channel_of_a_planted_trigger_is_found() -> None:
    """The trigger alone makes the network say class 0: without channel 2 it is as on clean data."""
    clean, triggered = planted()
    study = hm.analyze(
        Planted(),
        clean,
        stressed=triggered,
        targets=hm.Targets(include=("hidden.weight",), per="channel"),
        sweep=hm.Sweep(thresholds=3),
        bounds=(-1, 1),
        execution=QUIET,
    )
    assert (study.base.clean, study.base.adversarial) == (1.0, 0.5)
    table = study.scores.loc[study.scores["filter"] == "combined"]
    found = table.loc[(table["class"] == "antifragile") & table["certain"]]
    assert set(found["target"]) == {"hidden.weight[2]"}
    assert set(found["score"]) == {"adversarial", "difference"}
    # A gain of the filtered network, from guessing (0.5) to all right, doubles the performance.
    rows = study.responses.loc[study.responses["target"] == "hidden.weight[2]"]
    assert rows["adversarial"].to_numpy().max() == 1.0
    # Without anything to lose on triggered samples, no other class is claimed there.
    rest = table.loc[(table["score"] != "clean") & (table["target"] != "hidden.weight[2]")]
    assert set(rest["class"]) == {"at chance"}
    assert "no better than guessing" in " ".join(study.notes)


def test_a_network_that_is_always_wrong_is_compared_with_guessing() -> None:
    clean, (triggered, _) = planted()
    ones = clean[1] == 1  # all of which the trigger turns into class 0
    data, stressed = (clean[0][ones], clean[1][ones]), (triggered[ones], clean[1][ones])
    data[1][0] = 0  # so that there are two classes
    study = hm.analyze(
        Planted(),
        data,
        stressed=(stressed[0], data[1]),
        targets=hm.Targets(include=("hidden.weight",), per="channel"),
        sweep=hm.Sweep(thresholds=3, filters=("high_pass",)),
        bounds=(-1, 1),
        execution=QUIET,
    )
    chance, rows = study.base.floor, study.responses
    assert chance == 0.99
    assert study.base.adversarial == 0.01
    own = rows.loc[rows["target"] == "hidden.weight[2]", "adversarial"].to_numpy()
    expected = (own / chance) @ np.array([1, 4, 1]) / 6 - 1  # Simpson's rule
    scores = {
        (row["target"], row["score"]): row["value"] for row in study.scores.to_dict("records")
    }
    assert scores["hidden.weight[2]", "adversarial"] == pytest.approx(expected)
    boot = study.scores_with(hm.Scoring(interval="bootstrap"))
    np.testing.assert_allclose(boot["value"], study.scores["value"])


SPOKEN = re.compile(r"attack|adversar|ε|epsilon", re.IGNORECASE)


def test_no_word_of_an_attack(tmp_path: Path) -> None:
    clean, stressed = pairs()
    study = analyze(clean, stressed)
    payload = study_payload(study, "mine")
    texts = [
        *study_lines(study),
        *study.notes,
        *findings(study),
        *(f"{term} {text}" for term, text in facts(study)),
        payload["headline"],
        payload["attack"],
        command(study),
        repr(study),
        *(word for kind, _ in payload["unfiltered"] for word in (kind,)),
    ]
    assert not [text for text in texts if SPOKEN.search(text)]
    assert payload["given"] is True
    assert payload["adversary"] == ""
    assert "on the stressed data" in payload["headline"]
    assert "unfiltered accuracy" in " ".join(study_lines(study))
    assert "--stressed stressed" in command(study)
    pages = [tmp_path / "given.html"]
    hm.write_report(study, pages[0])
    assert "wordOf" in pages[0].read_text()


def test_every_picture_is_drawn() -> None:
    study = analyze(*pairs(), sweep=hm.Sweep(thresholds=3))
    for name in dir(study.plot):
        figure = getattr(study.plot, name)()
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert not [text for text in texts if SPOKEN.search(text)], name


def test_certain_gains_need_no_confirmation() -> None:
    study = analyze(*pairs(), sweep=hm.Sweep(thresholds=3))
    assert "antifragile (unconfirmed)" not in set(study.scores["class"])
    assert "antifragile (unconfirmed)" not in set(study.scores["point"])
    assert study.confirmation is None


def test_labels_that_differ_are_noted() -> None:
    clean, stressed = pairs(60, relabelled=4)
    notes = " ".join(analyze(clean, stressed).notes)
    assert "4 of 60 stressed samples have another label" in notes


def test_whole_set_metrics_need_equal_labels() -> None:
    clean, stressed = pairs(90)
    study = analyze(clean, stressed, metric="macro_f1", sweep=hm.Sweep(thresholds=3))
    own = analyze(stressed, attack=None, metric="macro_f1", sweep=hm.Sweep(thresholds=3))
    assert study.base.adversarial == pytest.approx(own.base.clean, rel=1e-6)
    clean, stressed = pairs(90, relabelled=3)
    with pytest.raises(HormesisError, match="one label a place"):
        analyze(clean, stressed, metric="macro_f1")


def test_studies_of_equal_stressed_data_are_compared(tmp_path: Path) -> None:
    clean, stressed = pairs(90)
    one = analyze(clean, stressed, name="one")
    two = analyze(clean, stressed, name="two", sweep=hm.Sweep(thresholds=3, seed=0, control=1))
    comparison = hm.compare([one, two], over="models")
    assert set(comparison.scores["score"]) == {"clean", "adversarial", "difference"}
    others = analyze(clean, (stressed[0].flip(0), stressed[1].flip(0)), name="three")
    with pytest.raises(StudyError, match=r"attack\.fingerprint"):
        hm.compare([one, others], over="models")
