"""Networks and data by name: what is built, in which order it is refused, and where it runs."""

import warnings

import pandas as pd
import pytest
import torch
from torch import nn

from hormesis.data.datasets import load_data
from hormesis.errors import HormesisError, SettingError
from hormesis.measure.by_name import analyze_by_name
from hormesis.models.networks import build_model
from hormesis.models.normalization import Normalized
from hormesis.results.study import Study
from hormesis.settings.attacks import FGSM
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.metrics import accuracy
from users import forgotten, settle

SQUEEZENET = "squeezenet1_1"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    settle(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with forgotten():
        yield folder


@pytest.fixture
def analyzed(monkeypatch):
    """The networks and samples that reach the analysis, which is not carried out."""
    seen = []

    def note(network, samples, request):
        seen.append((network, samples))
        return Study({}, pd.DataFrame(), pd.DataFrame())

    monkeypatch.setattr("hormesis.measure.by_name.analyze_request", note)
    return seen


def analyze(home, *, seed=0, out="out", execution=Execution(progress=False), **named):
    request = AnalysisRequest(
        FGSM(0.1),
        Targets(include=("*.weight",)),
        Sweep(thresholds=3, seed=seed),
        out=home / out,
        execution=execution,
    )
    return analyze_by_name(ModelAndData(**{"device": "cpu", **named}), request)


def state(network):
    return torch.cat([value.flatten().float() for value in network.state_dict().values()])


def test_a_study_of_a_named_network_is_made_and_opened_again(home):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        given = {"model": "my.nets:build", "data": "my.sets:held_out", "samples": 20}
        study = analyze(home, **given)
    assert [str(warning.message) for warning in said] == []
    assert study.manifest["question"]["network"]["name"] == "my.nets:build"
    assert study.manifest["question"]["data"]["samples"] == 20
    again = analyze(home, **given)
    assert again.responses.equals(study.responses)
    with pytest.raises(HormesisError, match=r"another question \((data|sweep)\."):
        analyze(home, seed=1, **given)


def test_classes_channels_and_seed_come_from_data_and_sweep(home, analyzed):
    for seed in (0, 0, 1):
        analyze(home, model=SQUEEZENET, weights="random", seed=seed)
    networks = [network for network, _ in analyzed]
    assert isinstance(networks[0], Normalized)
    assert networks[0](torch.rand(2, 1, 32, 32)).shape == (2, 10)
    assert torch.equal(state(networks[0]), state(networks[1]))
    assert not torch.equal(state(networks[0]), state(networks[2]))


def test_the_normalisation_of_a_named_set_is_put_in_unless_it_is_declined(home, analyzed):
    analyze(home, model=SQUEEZENET, weights="random")
    analyze(home, model=SQUEEZENET, weights="random", normalize=False)
    (whole, samples), (bare, _) = analyzed
    assert isinstance(whole, Normalized)
    assert not isinstance(bare, Normalized)
    inputs = samples.inputs[:3]
    mean, std = samples.mean[0], samples.std[0]
    with torch.no_grad():
        expected = bare.eval()((inputs - mean) / std)
        torch.testing.assert_close(whole.eval()(inputs), expected, rtol=1e-5, atol=1e-5)


def test_weights_go_into_the_network(home, analyzed):
    source = build_model(SQUEEZENET, classes=10, channels=1, seed=7)
    torch.save({"state_dict": source.state_dict()}, home / "w.pt")
    analyze(home, model=SQUEEZENET, weights="w.pt", seed=0)
    (network, _), = analyzed  # fmt: skip
    assert torch.equal(state(network.network), state(source))


def test_on_the_digits_a_named_network_is_trained_once_and_kept(home, tmp_path, analyzed):
    def tiny(*given, **options):
        return nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))

    with pytest.MonkeyPatch.context() as patched, torch.random.fork_rng(devices=[]):
        patched.setattr("hormesis.models.networks.build_model", tiny)
        for _ in range(2):
            torch.manual_seed(0)
            analyze(home)
    (first, samples), (second, _) = analyzed
    assert torch.equal(state(first), state(second))
    right = accuracy.measure(first(samples.inputs), samples.labels)
    assert right.mean() > 0.85
    (kept,) = (tmp_path / "cache" / "hormesis").iterdir()
    assert kept.name.startswith("digits-resnet18-")


def test_a_factory_is_taken_as_it_is(home, analyzed):
    analyze(home, model="my.nets:build", data="my.sets:held_out", bounds=(-1.0, 2.0))
    ((network, samples),) = analyzed
    assert isinstance(network, nn.Sequential)
    assert samples.bounds == (-1.0, 2.0)


def test_names_of_timm(home, analyzed):
    pytest.importorskip("timm", reason="timm is an extra")
    analyze(home, model="timm:test_resnet", weights="random", samples=20)
    ((network, samples),) = analyzed
    assert network.eval()(samples.inputs).shape == (20, 10)
    with pytest.raises(HormesisError, match="Did you mean timm:test_resnet"):
        analyze(home, model="timm:test_resnett", weights="random")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"model": "resnet81"}, "Unknown model 'resnet81'"),
        ({"model": "my.nets:bild"}, "has no 'bild'"),
        ({"weights": "none.pt"}, "none.pt does not exist"),
        ({"weights": "text.pt"}, "'text.pt' is damaged"),
        ({"data": "mnist"}, "Expected `weights` for resnet18 on mnist"),
        ({"data": "a_folder"}, "Expected `weights` for resnet18 on a_folder"),
        ({"device": "gpu"}, "Unknown device 'gpu'"),
        ({"device": "meta"}, "Unknown device 'meta'"),
        ({"device": "cpu:x"}, "device 'cpu:x' cannot be used here"),
        ({"out": "a_folder"}, "a_folder holds something else"),
        ({"out": "a_file/out"}, "cannot be written"),
    ],
    ids=str,
)
def test_what_the_names_tell_is_refused_before_the_data_are_read(home, named, message, monkeypatch):
    monkeypatch.setattr(
        "hormesis.measure.by_name.load_data", lambda *_, **__: pytest.fail("too late")
    )
    with pytest.raises(HormesisError, match=message):
        analyze(home, **named)


def test_an_unknown_data_set_is_told_before_missing_weights(home):
    with pytest.raises(HormesisError, match=r"Unknown data set 'mnits'\. Did you mean mnist"):
        analyze(home, data="mnits")


def test_a_performance_of_the_users_own(home, analyzed):
    with pytest.raises(SettingError, match=r"'my\.sets' has no 'margn'"):
        analyze_by_name(
            ModelAndData(model="my.nets:build", data="my.sets:held_out"),
            AnalysisRequest(
                metric="my.sets:margn", out=home / "out", execution=Execution(progress=False)
            ),
        )
    assert analyzed == []


def test_a_sample_is_drawn_by_the_seed_of_the_sweep(home, analyzed):
    analyze(home, model=SQUEEZENET, weights="random", samples=20, seed=5)
    ((_, samples),) = analyzed
    assert samples.fingerprint() == load_data("digits", samples=20, seed=5).fingerprint()
