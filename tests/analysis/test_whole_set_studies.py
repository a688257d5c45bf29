"""Studies of a metric of a whole set, from the network to the study that is read back."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from torch import nn

import hormesis as hm
from hormesis.cli.app import main
from hormesis.engine.controls import control_columns
from hormesis.errors import DataError, HormesisError, SettingError, StudyError
from hormesis.settings.choices import METRICS
from hormesis.storage.files import MANIFEST, read_manifest, write_manifest
from hormesis.storage.outcomes import StoredOutcomes, concatenate
from hormesis.storage.store import FolderStore, MemoryStore, read_spans
from hormesis.stress.aggregates import AGGREGATES
from hormesis.stress.metrics import NAMED_METRICS

RUN = hm.Execution(progress=False, num_workers=1)
SAMPLES = 300
NEVER = hm.Confirmation(when="never")


def classifier(classes: int, samples: int = SAMPLES) -> tuple[nn.Module, Any]:
    """A network, and labels that are its own but for every ninth."""
    with torch.random.fork_rng():
        torch.manual_seed(classes)
        last = nn.Linear(8, classes)
        network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), last)
        with torch.no_grad():
            inputs = torch.rand(SAMPLES, 4)
            last.weight.mul_(8.0)
            last.bias.sub_(network(inputs).mean(dim=0))  # no class is rare
            labels = network(inputs).argmax(dim=1)
        labels[::9] = torch.arange(len(labels[::9])) % classes
    return network, (inputs[:samples], labels[:samples])


def study(metric: Any, classes: int = 4, samples: int = SAMPLES, **more: Any) -> hm.Study:
    settings = {
        "attack": hm.FGSM(0.03),
        "sweep": hm.Sweep(thresholds=5, control=True),
        "confirmation": NEVER,
        "execution": RUN,
        **more,
    }
    return hm.analyze(*classifier(classes, samples), metric=metric, **settings)


@cache
def kept(metric: str, classes: int) -> hm.Study:
    return study(metric, classes)


def raw(made: hm.Study) -> StoredOutcomes:
    """What the shards hold: one number a sample."""
    store = MemoryStore(dict(made.packed)) if made.folder is None else FolderStore(made.folder)
    return concatenate(list(read_spans(store, made.spans, made.metadata.study)))


def plain_f1(numbers: np.ndarray, labels: np.ndarray) -> float:
    kinds = np.unique(labels)
    return float(f1_score(labels, numbers, labels=kinds, average="macro"))


def plain_auroc(numbers: np.ndarray, labels: np.ndarray) -> float:
    return float(roc_auc_score(labels, numbers))


def plain_calibration(numbers: np.ndarray, labels: np.ndarray) -> float:
    total = 0.0
    for low, high in pairwise(np.linspace(0, 1, 16)):
        inside = (np.abs(numbers) > low) & (np.abs(numbers) <= high)
        if inside.any():
            right, confidence = (numbers[inside] > 0).mean(), np.abs(numbers[inside]).mean()
            total += inside.mean() * abs(right - confidence)
    return total


PLAIN = {
    "macro_f1": (plain_f1, 4),
    "auroc": (plain_auroc, 2),
    "calibration_error": (plain_calibration, 4),
}
Plain = Callable[[np.ndarray, np.ndarray], float]


@pytest.mark.parametrize("metric", PLAIN)
def test_every_response_is_the_score_of_the_stored_numbers(metric: str):
    plain, made = PLAIN[metric][0], kept(metric, PLAIN[metric][1])
    assert made.samples is not None
    numbers, labels = raw(made), made.samples["label"].to_numpy()
    assert made.base.clean == pytest.approx(plain(numbers.base_clean, labels), abs=1e-6)
    assert made.base.adversarial == pytest.approx(plain(numbers.base_adversarial, labels), abs=1e-6)
    rows = made.responses.loc[made.responses["outcome"] >= 0]
    for side in ("clean", "adversarial"):
        values = getattr(numbers, side)[rows["outcome"]]
        expected = [plain(one, labels) for one in values]
        np.testing.assert_allclose(rows[side], expected, atol=1e-6)
        draws = np.stack(
            [
                [plain(one, labels) for one in getattr(numbers, side)[rows[name]]]
                for name in control_columns(rows)
            ]
        )
        np.testing.assert_allclose(rows[f"random_{side}"], draws.mean(axis=0), atol=1e-6)
    assert made.manifest["metric"] == {"binary": False, "aggregate": metric}
    assert made.manifest["audit"]["different"] == 0


def test_a_metric_that_is_a_mean_says_nothing_of_an_aggregate():
    assert kept("accuracy", 4).manifest["metric"] == {"binary": True}


@pytest.mark.parametrize("metric", ["macro_f1", "auroc"])
@pytest.mark.parametrize("reference", ["base", "random"])
def test_the_bootstrap_of_the_set_agrees_with_the_jackknife(metric: str, reference: str):
    made = kept(metric, PLAIN[metric][1])
    delta = made.scores_with(hm.Scoring(reference=reference))
    bootstrap = made.scores_with(hm.Scoring(reference=reference, interval="bootstrap"))
    assert delta["value"].equals(bootstrap["value"])
    combined = delta["filter"] == "combined"
    widths = (bootstrap["high"] - bootstrap["low"]) / (delta["high"] - delta["low"])
    np.testing.assert_allclose(np.asarray(widths)[combined.to_numpy()], 1.0, atol=0.2)


def test_the_error_of_the_base_is_that_of_the_jackknife():
    made = kept("macro_f1", 4)
    assert made.samples is not None
    numbers, labels = raw(made).base_clean, made.samples["label"].to_numpy()
    left = np.array(
        [plain_f1(np.delete(numbers, one), np.delete(labels, one)) for one in range(SAMPLES)]
    )
    error = np.sqrt((SAMPLES - 1) / SAMPLES * np.square(left - left.mean()).sum())
    assert made.metadata.base.clean_error == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("metric", PLAIN)
def test_it_is_read_back(tmp_path: Path, metric: str):
    made = study(metric, PLAIN[metric][1], out=tmp_path / "study")
    pd.testing.assert_frame_equal(made.scores, kept(metric, PLAIN[metric][1]).scores)
    pd.testing.assert_frame_equal(hm.load_study(tmp_path / "study").scores, made.scores)


def test_it_works_without_an_attack():
    made = study("macro_f1", attack=None, sweep=hm.Sweep(thresholds=5, control=True))
    both = kept("macro_f1", 4).scores
    expected = both.loc[both["score"] == "clean"].reset_index(drop=True)
    pd.testing.assert_frame_equal(made.scores, expected)


def test_an_earlier_study_of_fewer_samples_is_extended(tmp_path: Path):
    study("macro_f1", samples=256, out=tmp_path / "few")
    extended = hm.Execution(progress=False, num_workers=1, extend=tmp_path / "few")
    made = study("macro_f1", execution=extended)
    pd.testing.assert_frame_equal(made.responses, kept("macro_f1", 4).responses)


def test_an_unfinished_study_is_estimated_from_its_samples_so_far(tmp_path: Path):
    folder = tmp_path / "study"
    made = study("macro_f1", out=folder, samples=SAMPLES)
    edges, manifest = made.metadata.shards.edges, read_manifest(folder)
    assert len(edges) > 2
    FolderStore(folder).drop(edges[0])
    dropped = ("base", "audit", "settled")
    left = {name: value for name, value in manifest.items() if name not in dropped}
    write_manifest(folder, {**left, "state": "unfinished"})
    partial = hm.load_study(folder)
    assert not partial.finished
    assert partial.samples is not None
    rest = slice(edges[1], edges[-1])
    labels = partial.samples["label"].to_numpy()[rest]
    expected = plain_f1(raw(partial).base_clean, labels)
    assert partial.base.clean == pytest.approx(expected, abs=1e-6)
    assert partial.scores["low"].notna().to_numpy().all()
    again = study("macro_f1", out=folder)
    pd.testing.assert_frame_equal(again.scores, made.scores)


def test_claims_are_tested_on_the_set():
    confirmation = hm.Confirmation(when="always", samples=200, draws=2, steps=3, restarts=1)
    made = study("calibration_error", confirmation=confirmation)
    assert made.confirmation is not None, "no claim was made: choose another network"
    assert made.confirmation["value"].notna().to_numpy().all()
    assert made.confirmation["base"].between(0, 1).all()


def test_two_studies_are_compared():
    first, second = kept("macro_f1", 4), study("macro_f1", attack=hm.FGSM(0.02))
    comparison = hm.compare([first, second], over="seeds", allow=("different:epsilon",))
    clean = comparison.changes.loc[comparison.changes["score"] == "clean"]
    assert len(clean) > 0
    assert (clean["difference"] == 0).all()


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"sweep": hm.Sweep(until="certain")}, SettingError, "`until` looks at samples as they"),
        (
            {"confirmation": hm.Confirmation(cross_check=True)},
            SettingError,
            "a cross-check compares them one by one: leave out `cross_check`",
        ),
        (
            {"metric": "auroc", "classes": 4},
            SettingError,
            "Expected labels of two classes, 0 and 1, one a sample",
        ),
    ],
)
def test_what_needs_one_sample_at_a_time_is_refused(
    changes: dict[str, Any], error: type[HormesisError], expected: str
):
    with pytest.raises(error, match=expected):
        study(**{"metric": "macro_f1", **changes})


def two_logits(labels: list[float] | list[int]) -> Any:
    return torch.rand(len(labels), 4, generator=torch.Generator().manual_seed(0)), torch.tensor(
        labels
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0] * 20, "at least two samples of each.* got 20 of class 0, 0 of class 1"),
        ([0] * 19 + [1], "got 19 of class 0, 1 of class 1"),
        ([0.0, 1.0] * 10, "Expected class numbers as labels for the metric 'auroc'"),
    ],
)
def test_labels_without_an_area_are_refused_before_anything_is_measured(labels: Any, expected: str):
    network = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(DataError, match=expected):
        hm.analyze(network, two_logits(labels), metric="auroc", attack=None, execution=RUN)


def test_auto_cannot_choose_by_a_whole_set():
    network = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(SettingError, match="'auto' cannot choose the strength"):
        hm.analyze(
            network,
            two_logits([0, 1] * 10),
            metric="auroc",
            loss="binary_cross_entropy",
            attack=hm.FGSM("auto"),
            execution=RUN,
        )


def balanced(numbers: np.ndarray, labels: np.ndarray) -> float:
    right = numbers == labels
    return float(np.mean([right[labels == one].mean() for one in np.unique(labels)]))


def predicted(outputs: torch.Tensor, labels: Any) -> torch.Tensor:
    return outputs.argmax(dim=1).float()


@pytest.fixture
def own_metric() -> Iterator[hm.Metric]:
    yield hm.metrics.set_metric("balanced", predicted, aggregate=balanced, decides="argmax")
    for table in (AGGREGATES, NAMED_METRICS, METRICS):
        table.pop("balanced", None)


def test_a_metric_of_the_users_is_measured_and_read_back(
    tmp_path: Path, own_metric: hm.Metric, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "study"
    made = study(own_metric, samples=150, out=folder, sweep=hm.Sweep(thresholds=3))
    assert made.samples is not None
    labels = made.samples["label"].to_numpy()
    expected = balanced_accuracy_score(labels, raw(made).base_clean)
    assert made.base.clean == pytest.approx(expected, abs=1e-6)
    delta = made.scores
    bootstrap = made.scores_with(hm.Scoring(interval="bootstrap"))
    combined = (delta["filter"] == "combined") & (delta["score"] != "difference")
    widths = (bootstrap["high"] - bootstrap["low"]) / (delta["high"] - delta["low"])
    np.testing.assert_allclose(np.asarray(widths)[combined.to_numpy()], 1.0, atol=0.25)
    pd.testing.assert_frame_equal(hm.load_study(folder).scores, delta)
    AGGREGATES.clear()
    with pytest.raises(StudyError, match=r"register it with `hormesis.metrics.set_metric"):
        hm.load_study(folder).scores  # noqa: B018
    assert main(["show", str(folder)]) == 2
    assert "is not known here" in capsys.readouterr().err


def test_an_aggregate_that_fails_is_refused_before_anything_is_measured(own_metric: hm.Metric):
    hm.metrics.set_metric("balanced", predicted, aggregate=lambda numbers, labels: numbers[10_000])
    with pytest.raises(StudyError, match="aggregate of the metric 'balanced' failed"):
        study("balanced")
    hm.metrics.set_metric("balanced", predicted, aggregate=lambda numbers, labels: np.nan)
    with pytest.raises(SettingError, match="to return a finite number for the unfiltered network"):
        study("balanced")


def test_an_unknown_aggregate_in_a_manifest_is_one_sentence(tmp_path: Path):
    folder = tmp_path / "study"
    study("macro_f1", samples=60, out=folder, sweep=hm.Sweep(thresholds=3))
    manifest = read_manifest(folder)
    write_manifest(folder, {**manifest, "metric": {"binary": False, "aggregate": "kappa"}})
    assert (folder / MANIFEST).exists()
    with pytest.raises(StudyError, match="score of a whole set by 'kappa' is not known here"):
        hm.load_study(folder).scores  # noqa: B018
