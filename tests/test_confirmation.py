# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false
"""Claims put to the test: the same whoever measures, resumed after a kill, and read back whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import hormesis as hm
import known_answers as known
from hormesis.analysis.classes import ANTIFRAGILE, FIXED_ONLY, MASKED, UNCONFIRMED
from hormesis.analysis.confirmation import claim_verdicts, matching_controls
from hormesis.engine.plan import make_plan
from hormesis.errors import SettingError, StudyError
from hormesis.measure import confirm, remeasure
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.folders import LAYOUT
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.removal import first_foreign
from hormesis.storage.shards import Shard, pack, unpack
from hormesis.stress.attacks import perturb, perturb_and_note
from hormesis.stress.metrics import accuracy_of
from hormesis.stress.targets import find_targets

BY_BASE = hm.Scoring(reference="base")
FEW = hm.Confirmation(samples=240, steps=2, restarts=2, draws=1)
SWEEP = hm.Sweep(thresholds=5)


def analysed(network: nn.Module, out: Path | None = None, **asked: Any) -> hm.Study:
    options = {"confirmation": FEW, "scoring": BY_BASE, "sweep": SWEEP} | asked
    execution = hm.Execution(progress=False, num_workers=1, engine=options.pop("engine", "auto"))
    attack = options.pop("attack", hm.FGSM(0.06))
    return hm.analyze(
        network, known.data(240), attack=attack, out=out, execution=execution, **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> hm.Study:
    """A study whose claim is confirmed."""
    return analysed(known.Noise(), tmp_path_factory.mktemp("whole") / "study")


def verdict(study: hm.Study, target: str, scoring: hm.Scoring | None = None) -> str:
    scores = study.scores_with(scoring or study.scoring).set_index(["target", "filter", "score"])
    return str(scores.loc[(f"{target}.weight", "combined", "adversarial"), "class"])


def test_both_engines_say_the_same(whole):
    plain, fast = analysed(known.Noise(), engine="plain"), whole
    assert plain.confirmation is not None
    assert fast.confirmation is not None
    assert set(plain.confirmation["stress"]) == {"filter", "noise", "random"}
    pd.testing.assert_frame_equal(plain.confirmation, fast.confirmation, check_exact=True)


def test_a_confirmation_goes_on_after_a_kill(whole, tmp_path, monkeypatch):
    killed, measured = tmp_path / "killed", list[str]()
    usual = confirm._Trial._measure

    def until_pgd(self: Any, targets: Any, stress: str, attack: str) -> pd.DataFrame:
        if attack == "restarts":
            raise KeyboardInterrupt
        return usual(self, targets, stress, attack)

    monkeypatch.setattr(confirm._Trial, "_measure", until_pgd)
    with pytest.raises(KeyboardInterrupt):
        analysed(known.Noise(), killed)
    assert verdict(hm.load_study(killed), "noise") == UNCONFIRMED
    assert (killed / "confirmation" / "filter-adaptive" / "outcomes").is_dir()
    monkeypatch.setattr(confirm._Trial, "_measure", usual)
    counted = remeasure.ShardWorker.__call__

    def count(self: Any, task: Any, tick: Any = lambda samples: None) -> bytes:
        measured.append(self.study)
        return counted(self, task, tick)

    monkeypatch.setattr(remeasure.ShardWorker, "__call__", count)
    again = analysed(known.Noise(), killed)
    steps = whole.confirmation[["stress", "attack"]].drop_duplicates()
    assert len(set(measured)) == len(steps) - 1  # the first was there
    assert not (killed / "confirmation").exists()
    pd.testing.assert_frame_equal(again.confirmation, whole.confirmation)
    measured.clear()
    analysed(known.Noise(), killed)
    assert measured == []


def test_a_study_read_back_says_the_same(whole):
    made, read = whole, hm.load_study(whole.folder)
    pd.testing.assert_frame_equal(made.confirmation, read.confirmation)
    pd.testing.assert_frame_equal(made.scores, read.scores)
    assert made.notes == read.notes
    assert verdict(read, "noise") == ANTIFRAGILE
    assert any(note.startswith("noise: antifragile under attack, confirmed") for note in read.notes)


def test_other_scorings_claim_no_more_than_was_confirmed(whole):
    assert verdict(whole, "noise", hm.Scoring(reference="base", level=0.99)) == UNCONFIRMED
    assert verdict(whole, "noise", hm.Scoring(reference="base", level=0.9)) == ANTIFRAGILE
    by_density = whole.scores_with(hm.Scoring(reference="density"))
    attacked = by_density["score"] != "clean"
    assert ANTIFRAGILE not in set(by_density.loc[attacked, "class"])


@pytest.mark.parametrize(
    ("field", "value"), [("samples", 1), ("steps", 0), ("restarts", 0), ("draws", -1)]
)
def test_settings_are_checked(field, value):
    with pytest.raises(SettingError, match=f"Expected `{field}` of the confirmation"):
        hm.Confirmation(**{field: value})
    with pytest.raises(SettingError, match="Unknown choice of `confirm` 'alway'"):
        hm.Confirmation(when="alway")


def rows(**attacks: tuple[float, float, float]) -> pd.DataFrame:
    """Value, low and what is left without masked cells, by attack."""
    return pd.DataFrame(
        {
            "target": "w",
            "filter": "combined",
            "score": "adversarial",
            "stress": "filter",
            "attack": attack,
            "value": value,
            "low": low,
            "unmasked": left,
        }
        for attack, (value, low, left) in attacks.items()
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rows(adaptive=(0.3, 0.2, 0.3), restarts=(0.2, 0.1, 0.2)), ANTIFRAGILE),
        (rows(adaptive=(0.0, -0.1, 0.0)), FIXED_ONLY),
        (rows(adaptive=(0.3, 0.2, 0.3), restarts=(0.04, 0.0, 0.04)), FIXED_ONLY),
        (rows(adaptive=(0.1, 0.0, 0.1)), UNCONFIRMED),
        (rows(adaptive=(0.3, 0.2, 0.3), restarts=(0.08, 0.02, 0.08)), UNCONFIRMED),
        (rows(adaptive=(0.3, 0.2, 0.1)), MASKED),
        (rows(adaptive=(0.3, 0.2, 0.3)), UNCONFIRMED),
        (rows(transfer=(-0.1, -0.2, -0.1)), MASKED),
        (rows(transfer=(0.3, 0.2, 0.3), restarts=(0.2, 0.1, 0.2)), ANTIFRAGILE),
    ],
)
def test_what_a_claim_has_to_stand(table, said):
    assert claim_verdicts(table, 0.05) == {("w", "combined", "adversarial"): said}


def test_controls_count_only_where_they_stand_all_of_it():
    noise = rows(adaptive=(0.3, 0.2, 0.3), restarts=(0.2, 0.1, 0.2)).assign(stress="noise")
    random = rows(adaptive=(0.3, 0.2, 0.3)).assign(stress="random")
    found = matching_controls(pd.concat([noise, random]), 0.05)
    assert found == {("w", "combined", "adversarial"): ["noise"]}


def test_noise_has_the_norm_of_what_was_removed():
    network = nn.Linear(6, 5, bias=False)
    targets = find_targets(network, torch.rand(1, 6), Targets())
    plan = make_plan(network, targets, Sweep(filters=("low_pass",), thresholds=4))
    weights = {"weight": network.weight.detach()}
    for removal in plan.removals:
        noisy = confirm.replace(removal, draw=3, noise=True)
        removed = weights["weight"] - removal.apply(weights)["weight"]
        added = noisy.apply(weights)["weight"] - weights["weight"]
        assert added.norm().item() == pytest.approx(removed.norm().item(), rel=1e-5)
        assert torch.equal(noisy.apply(weights)["weight"], noisy.apply(weights)["weight"])
        assert noisy.key() != removal.key()


def test_restarts_only_take_right_answers_away():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    inputs, labels = torch.rand(60, 4), torch.arange(60) % 3
    where = {"bounds": (0.0, 1.0), "seed": 5}
    right = []
    for restarts in (1, 4):
        attack = hm.PGD(0.2, steps=1, restarts=restarts)
        found = perturb(network, inputs, labels, attack, **where)
        right.append(accuracy_of(network(found), labels))
        parts = known.perturbed_in_two(network, (inputs, labels), attack, 23, **where)
        torch.testing.assert_close(parts, found)
    assert not (right[1] & ~right[0]).any()
    with pytest.raises(SettingError, match="Expected `restarts` to be 1, or more with a random"):
        hm.PGD(0.1, restarts=2, random_start=False)


@pytest.mark.parametrize("attack", [hm.FGSM(0.1), hm.PGD(0.1, steps=2)])
def test_idle_says_where_there_is_no_gradient(attack):
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    network[0].weight = nn.Parameter(torch.tensor([[1.0, 0.0], [-1.0, -1.0]]))
    inputs = torch.tensor([[0.5, 0.5], [0.0, 0.5]])  # the second lies in the flat corner
    found = perturb_and_note(
        network, inputs, torch.tensor([0, 0]), attack, bounds=(0.0, 1.0), seed=0
    )
    assert found.idle[0].tolist() == [False, True]
    assert found.idle[1].tolist() == [False, isinstance(attack, hm.FGSM)]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(0, 3), st.booleans(), st.integers(0, 99))
def test_shards_keep_what_attacks_could_not_do(samples, removals, each, seed):
    generator = np.random.default_rng(seed)
    ones = np.ones((removals, samples), dtype=np.float32)
    base = np.zeros(samples, dtype=np.float32)
    idle = generator.random((removals, 2, samples)) < 0.5
    outcomes = StoredOutcomes(
        base,
        base,
        ones,
        ones,
        np.ones(removals, dtype=bool),
        base_idle=generator.random((2, samples)) < 0.5,
        idle=idle if each else None,
    )
    read = unpack("a shard", pack(Shard(0, outcomes, "s", "i"))).outcomes
    assert np.array_equal(read.base_idle, outcomes.base_idle)
    assert np.array_equal(read.idle, idle) if each else read.idle is None


def test_what_a_confirmation_writes_is_ours_to_replace(tmp_path):
    shards = tmp_path / "confirmation" / "filter-adaptive" / "outcomes"
    shards.mkdir(parents=True)
    for path in (tmp_path / "confirmation.parquet", shards / "00000000.safetensors"):
        path.touch()
    assert first_foreign(tmp_path, LAYOUT) is None
    (tmp_path / "confirmation" / "mine.txt").touch()
    assert first_foreign(tmp_path, LAYOUT) == "confirmation/mine.txt"


@pytest.fixture
def claiming(tmp_path: Path) -> Path:
    """The folder of a study whose claim was not put to the test."""
    analysed(known.Noise(), tmp_path / "study", confirmation=hm.Confirmation(when="never"))
    return tmp_path / "study"


@pytest.mark.parametrize("where", ["confirmation", "confirmation/filter-adaptive"])
def test_a_file_of_the_user_s_among_the_steps_stays(claiming, where):
    (claiming / where).mkdir(parents=True)
    (claiming / where / "thesis.tex").write_text("years of work")
    assert analysed(known.Noise(), claiming).confirmation is not None
    left = [path for path in (claiming / "confirmation").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["thesis.tex"]
    assert left[0].read_text() == "years of work"


@pytest.mark.parametrize(
    "where",
    ["confirmation", "confirmation/filter-adaptive", "confirmation/filter-adaptive/outcomes"],
)
def test_steps_are_written_through_no_link(claiming, tmp_path, where):
    (tmp_path / "precious").mkdir()
    (claiming / where).parent.mkdir(parents=True, exist_ok=True)
    (claiming / where).symlink_to(tmp_path / "precious")
    with pytest.raises(StudyError, match=rf"{where} is a link"):
        analysed(known.Noise(), claiming)
    assert list((tmp_path / "precious").iterdir()) == []
    assert (claiming / where).is_symlink()
    assert verdict(hm.load_study(claiming), "noise") == UNCONFIRMED
