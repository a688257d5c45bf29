"""An applied study: what is chosen, what is proved, and how it survives interruptions."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import applied_made as made
import hormesis as hm
import known_answers as known
from hormesis.analysis.paired import paired_difference
from hormesis.errors import DataError, ModelError, SettingError, StudyError
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.storage.applied_files import AppliedFiles
from hormesis.stress.attacks import perturb
from hormesis.stress.pruning import keep_largest, keep_largest_by_layer, keep_random

FILES = ("path", "proof", "outcomes")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> hm.Study:
    return made.study(tmp_path_factory.mktemp("apply") / "study")


@pytest.fixture(scope="module")
def found(study, tmp_path_factory) -> hm.Applied:
    return made.applied(study.folder, tmp_path_factory.mktemp("apply") / "applied")


def kept(found: hm.Applied) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(keep) for name, keep in found.masks.items()}


def masked(masks: dict[str, torch.Tensor]) -> nn.Module:
    model = made.network()
    for name, keep in masks.items():
        model.get_parameter(name).data *= keep
    return model


def proof_part() -> tuple[torch.Tensor, torch.Tensor]:
    inputs, labels = made.data()
    return inputs[made.SAMPLES :], labels[made.SAMPLES :]


def by_name(found: hm.Applied, network: str, attack: str) -> dict:
    rows = found.proof.loc[(found.proof["network"] == network) & (found.proof["attack"] == attack)]
    return rows.to_dict("records")[0]


def outcomes_of(found: hm.Applied, network: str, attack: str) -> np.ndarray:
    table = found.outcomes
    rows = table.loc[(table["network"] == network) & (table["attack"] == attack)]
    return rows.pivot(index="draw", columns="sample", values="performance").to_numpy()


def test_a_planted_noise_layer_is_mended(found):
    inputs, labels = proof_part()
    clean = made.unplanted()
    attacked = made.fgsm(clean, inputs, labels)
    for attack, of in (("clean", inputs), ("fgsm", attacked)):
        expected = made.right(clean, of, labels).float().mean().item()
        allowed = 0.01 if attack == "clean" else 0.02
        assert by_name(found, "applied", attack)["accuracy"] >= expected - allowed
    assert by_name(found, "applied", "fgsm")["verdict"] == "gain, confirmed by PGD"
    assert set(found.masks) == {"noise.weight"}


def test_every_number_of_the_proof_is_that_of_a_plain_loop(found):
    inputs, labels = proof_part()
    for name, masks in (("unfiltered", {}), ("applied", kept(found))):
        model = masked(masks)
        clean = made.right(model, inputs, labels)
        by_fgsm = clean & made.right(model, made.fgsm(model, inputs, labels), labels)
        by_pgd = by_fgsm.clone()
        for seed in range(made.PROOF.restarts):
            attack = hm.PGD(made.EPSILON, steps=made.PROOF.steps)
            perturbed = perturb(
                model, inputs, labels, attack, bounds=(0.0, 1.0), seed=seed, first=0
            )
            by_pgd &= made.right(model, perturbed, labels)
        for attack, right in (("clean", clean), ("fgsm", by_fgsm), ("pgd", by_pgd)):
            assert outcomes_of(found, name, attack)[0].tolist() == right.float().tolist()
            row = by_name(found, name, attack)
            assert row["accuracy"] == right.double().mean().item()
            assert row["low"] <= row["accuracy"] <= row["high"]
            base = outcomes_of(found, "unfiltered", attack)[0]
            expected = paired_difference(right.float().numpy(), base, 0.05, binary=True)
            found_ends = row["difference"], row["difference_low"], row["difference_high"]
            assert found_ends == pytest.approx((expected.value, expected.low, expected.high))


def test_baselines_zero_as_many_values_and_are_measured(found):
    inputs, labels = proof_part()
    removed = found.metadata.result.removed
    assert set(found.proof.loc[found.proof["network"] != "unfiltered", "removed"]) == {removed}
    values = {name: one.detach() for name, one in made.network().named_parameters()}
    for name, keep in (("magnitude", keep_largest), ("magnitude-by-layer", keep_largest_by_layer)):
        right = made.right(masked(keep(values, removed)), inputs, labels)
        assert outcomes_of(found, name, "clean")[0].tolist() == right.float().tolist()
    row = by_name(found, "random", "clean")
    assert row["draws"] == made.PROOF.draws
    assert row["accuracy"] == pytest.approx(outcomes_of(found, "random", "clean").mean())
    lead = outcomes_of(found, "applied", "clean") - outcomes_of(found, "random", "clean")
    assert row["lead"] == pytest.approx(lead.mean())
    assert {"magnitude", "random", "wanda"} <= set(found.proof["network"])
    assert not (keep_random(values, removed, 0)["noise.weight"] == 1).all()


def test_the_path_is_what_the_filters_do_on_top_of_each_other(study):
    """With a second noise layer, so that there are two steps."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = made.network(), made.network()
            for part in (self.one, self.two):
                part.get_parameter("noise.weight").data *= 2

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.one(inputs) + self.two(inputs)

    inputs, labels = made.data()
    chosen = inputs[: made.SAMPLES], labels[: made.SAMPLES]
    asked = {"sweep": hm.Sweep(thresholds=7), "confirmation": hm.Confirmation("never")}
    twice = Twice()
    own = hm.analyze(twice, chosen, attack=hm.FGSM(0.05), execution=made.QUIET, **asked)
    found = made.applied(own, network=twice, proof=replace(made.PROOF, baselines=()))
    steps = found.steps
    assert steps["step"].tolist() == list(range(len(steps)))
    assert len(steps) >= 3
    model, before = Twice(), None
    for row in steps.to_dict("records"):
        if row["step"]:
            weights = model.get_parameter(row["target"]).data
            keep = weights > row["alpha"] if row["filter"] == "high_pass" else None
            keep = weights < row["alpha"] if row["filter"] == "low_pass" else keep
            if keep is None:
                half = (
                    own.targets.set_index("target").loc[row["target"], "maximum"]
                    - own.targets.set_index("target").loc[row["target"], "minimum"]
                ) / 14
                keep = (weights < row["alpha"] - half) | (weights >= row["alpha"] + half)
            removed = int((~keep & (weights != 0)).sum())
            assert row["removed"] == removed
            weights *= keep
        right = made.right(model, *chosen)
        attacked = made.right(model, made.fgsm(model, *chosen), chosen[1])
        assert row["clean"] == pytest.approx(right.double().mean().item())
        assert row["adversarial"] == pytest.approx(attacked.double().mean().item())
        if before is not None:
            change = (attacked.float() - before.float()).mean().item()
            assert row["gain"] == pytest.approx(change, abs=1e-6)
            assert row["gain_low"] > 0
        before = attacked
    zeroed = sum(int((~keep).sum()) for keep in found.masks.values())
    assert steps["total_removed"].iloc[-1] == zeroed == found.metadata.result.removed
    size = sum(one.numel() for one in model.parameters())
    assert steps["share_removed"].iloc[-1] == zeroed / size


def test_the_network_is_the_original_without_what_masks_drop(found):
    assert found.folder is not None
    weights = safetensors.torch.load_file(found.folder / "network.safetensors")
    masks = safetensors.torch.load_file(found.folder / "masks.safetensors")
    original = made.network().state_dict()
    assert weights.keys() == original.keys()
    for name, values in original.items():
        keep = masks.get(name, torch.ones_like(values, dtype=torch.bool))
        assert torch.equal(weights[name], torch.where(keep, values, 0))
        assert torch.equal(keep, ~((values != 0) & (weights[name] == 0)))
    assert all(not keep.all() for keep in masks.values())
    rebuilt = made.network()
    load_weights(rebuilt, found.folder / "network.safetensors")
    assert network_fingerprint(rebuilt) == found.metadata.result.fingerprint


def test_a_network_is_the_same_afterwards(study):
    network = made.network()
    before = network_fingerprint(network)
    made.applied(study, network=network, proof=replace(made.PROOF, baselines=()))
    assert network_fingerprint(network) == before


def test_what_was_written_is_read_back_without_measuring(study, found, monkeypatch):
    read = hm.load_applied(found.folder)
    pd.testing.assert_frame_equal(read.path, found.path)
    pd.testing.assert_frame_equal(read.proof, found.proof)
    assert {name: keep.tolist() for name, keep in read.masks.items()} == {
        name: keep.tolist() for name, keep in found.masks.items()
    }
    assert "1 filter zeroes 8 of 64 values" in read.summary
    assert repr(read) == "Applied(Noise on custom, robust, 1 step)"
    assert "<svg" in read._repr_html_()
    monkeypatch.setattr("hormesis.measure.apply.plan_parts", None)
    again = made.applied(study, found.folder)
    assert again.manifest == read.manifest


class KilledError(BaseException):
    pass


@pytest.mark.parametrize(("at", "after"), [(0, True), (1, False), (4, True), (6, False)])
def test_a_killed_one_goes_on_and_ends_the_same(study, found, tmp_path, monkeypatch, at, after):
    put, count = AppliedFiles.put, 0

    def dying(self, name, content, **entries):
        nonlocal count
        count += 1
        if count > at and not after:
            raise KilledError
        put(self, name, content, **entries)
        if count > at:
            raise KilledError

    monkeypatch.setattr(AppliedFiles, "put", dying)
    with pytest.raises(KilledError):
        made.applied(study, tmp_path / "out")
    monkeypatch.setattr(AppliedFiles, "put", put)
    with pytest.raises(StudyError, match="is not finished: run the same"):
        hm.load_applied(tmp_path / "out")
    resumed = made.applied(study, tmp_path / "out")
    for path in found.folder.iterdir():
        if path.suffix in (".parquet", ".safetensors"):
            assert (resumed.folder / path.name).read_bytes() == path.read_bytes(), path.name
    assert {**resumed.manifest, "run": 0} == {**found.manifest, "run": 0}


def test_what_is_measured_is_not_measured_again(study, found, tmp_path, monkeypatch):
    made.applied(study, tmp_path / "out")
    path = tmp_path / "out" / "applied.json"
    content = json.loads(path.read_text())
    content["state"] = "unfinished"
    del content["sha256"]
    path.write_text(json.dumps(content))
    monkeypatch.setattr("hormesis.measure.apply_path.measured_outcomes", None)
    monkeypatch.setattr("hormesis.measure.apply_proof.ProofRun.outcomes", None)
    again = made.applied(study, tmp_path / "out")
    pd.testing.assert_frame_equal(again.proof, found.proof)


def test_sparse_takes_what_costs_nothing(study):
    found = made.applied(study, aim=hm.Sparse(0), proof=replace(made.PROOF, baselines=()))
    last = found.steps.iloc[-1]
    assert last["clean_loss"] <= 0
    assert last["adversarial_loss"] <= 0
    assert "noise.weight" in found.masks
    assert last["total_removed"] >= 8


def test_a_clean_study_is_made_sparse_and_not_robust(tmp_path):
    clean = made.study(attack=None)
    with pytest.raises(SettingError, match="'sparse' for a study without an attack, got 'robust'"):
        made.applied(clean)
    found = made.applied(clean, aim="sparse", proof=replace(made.PROOF, baselines=("magnitude",)))
    assert set(found.proof["attack"]) == {"clean"}
    assert np.isnan(found.path["adversarial"]).all()
    assert found.helps


def test_nothing_is_written_where_no_cell_helps(tmp_path):
    inputs, labels = made.data()
    study = hm.analyze(
        made.unplanted(),
        (inputs[: made.SAMPLES], labels[: made.SAMPLES]),
        attack=hm.FGSM(made.EPSILON),
        sweep=hm.Sweep(thresholds=5),
        execution=made.QUIET,
    )
    found = made.applied(study, tmp_path / "new" / "out", network=made.unplanted())
    assert not found.helps
    assert found.summary.endswith("a clean loss of at most 1 points: nothing was applied.")
    assert not list(tmp_path.iterdir())
    assert found.masks == {}


def test_the_parts_share_no_sample(study):
    inputs, labels = made.data()
    half = made.SAMPLES // 2
    mixed = torch.cat([inputs[half : made.SAMPLES], inputs[made.SAMPLES :]])
    overlapping = mixed, torch.cat([labels[half : made.SAMPLES], labels[made.SAMPLES :]])
    with pytest.raises(DataError, match=rf"{half} of the 180 samples for the proof are among"):
        made.applied(study, proof=replace(made.PROOF, data=overlapping))
    with pytest.raises(DataError, match=r"used all 120 samples .* none are left for the proof"):
        made.applied(study, data=(inputs[: made.SAMPLES], labels[: made.SAMPLES]))
    doubled = torch.cat([inputs, inputs[:7]]), torch.cat([labels, labels[:7]])
    found = made.applied(study, data=doubled, proof=replace(made.PROOF, baselines=()))
    assert found.metadata.proof.samples == made.SAMPLES
    assert found.metadata.notes[0].startswith("7 samples that the study left equal some of its")


def test_others_samples_and_others_networks_are_refused(study):
    inputs, labels = made.data()
    with pytest.raises(DataError, match=r"of other data than these.*pass the data set that was"):
        made.applied(study, data=(inputs.flip(0), labels.flip(0)))
    with pytest.raises(DataError, match="The study has 120 samples, but there are 50"):
        made.applied(study, data=(inputs[:50], labels[:50]))
    with pytest.raises(ModelError, match="of another network than the one given"):
        made.applied(study, network=made.unplanted())


def test_another_question_in_the_same_folder_is_refused(study, found):
    with pytest.raises(StudyError, match=r"holds another applied network .*clean_loss is 3.0 here"):
        made.applied(study, found.folder, aim=hm.Robust(3))
    with pytest.raises(StudyError, match="holds a study: choose another one with `out`"):
        made.applied(study, study.folder)


@pytest.mark.parametrize("name", ["path.parquet", "proof.parquet", "masks.safetensors"])
def test_a_damaged_file_is_named(study, found, tmp_path, name):
    for path in found.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=f"{name} is damaged: its checksum does not fit"):
        hm.load_applied(tmp_path)


def test_stressed_data_are_proved_in_place_of_attacks(tmp_path):
    """A second data set, of which the noise of the network is the culprit."""
    inputs, labels = made.data()
    shifted = (inputs + 0.01).clamp(0, 1)
    count = made.SAMPLES
    study = hm.analyze(
        made.network(),
        (inputs[:count], labels[:count]),
        stressed=(shifted[:count], labels[:count]),
        sweep=hm.Sweep(thresholds=5),
        execution=made.QUIET,
    )
    with pytest.raises(SettingError, match="Expected `stressed`, the second data set"):
        made.applied(study)
    samples = hm.samples_from((inputs, labels))
    found = made.applied(study, data=samples, stressed=(shifted, labels))
    assert set(found.proof["attack"]) == {"clean", "stressed"}
    model = masked(kept(found))
    right = made.right(model, shifted[count:], labels[count:])
    assert by_name(found, "applied", "stressed")["accuracy"] == right.double().mean().item()
    assert "on the stressed data" in found.summary


def evaluated(first: int) -> hm.Evaluation:
    inputs, labels = made.data()

    def share(network, numbers, stressed):
        rows = torch.tensor(numbers) + first
        own = inputs[rows] + (0.01 if stressed else 0.0)
        return made.right(network, own, labels[rows]).float()

    return hm.Evaluation(share, samples=60, stressed=True, binary=True, identity=str(first))


def test_an_evaluation_is_proved_by_another(tmp_path):
    study = hm.analyze(
        made.network(), evaluated(0), sweep=hm.Sweep(thresholds=5), execution=made.QUIET
    )
    with pytest.raises(SettingError, match=r"`data` of the proof to be a `hormesis.Evaluation`"):
        made.applied(study, data=evaluated(0))
    with pytest.raises(DataError, match="The proof has the samples of the study"):
        made.applied(study, data=evaluated(0), proof=hm.Proof(evaluated(0)))
    proof = replace(made.PROOF, data=evaluated(100))
    found = made.applied(study, data=evaluated(0), proof=proof)
    assert by_name(found, "applied", "stressed")["accuracy"] > 0.95
    assert "Wanda's score was left out" in " ".join(found.metadata.notes)


class Backdoor(known.Network):
    """Says the first class wherever the copies of the first feature differ, as a trigger does."""

    def __init__(self) -> None:
        trigger = 0.1 * torch.linspace(0.1, 1, known.CLASSES * known.FEATURES)
        super().__init__(
            signal=known.blocks(8.0, 10.0), trigger=trigger.view(known.CLASSES, known.FEATURES)
        )
        self.get_parameter("trigger.weight").data[0, 0] = 200.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        mean, difference = self.read(inputs)
        signal, trigger = self.get_submodule("signal"), self.get_submodule("trigger")
        return signal(mean) + trigger(difference.relu())


def triggered(inputs: torch.Tensor) -> torch.Tensor:
    marked = inputs.clone()
    marked[:, 0] += 0.2
    marked[:, known.FEATURES] -= 0.2
    return marked


def test_a_planted_backdoor_is_mended():
    inputs, labels = made.data()
    inputs, count = inputs.clamp(0.2, 0.8), made.SAMPLES
    marked = triggered(inputs)
    network, clean = Backdoor(), Backdoor()
    clean.get_parameter("trigger.weight").data.zero_()
    assert made.right(network, marked, labels).float().mean() < 0.3
    study = hm.analyze(
        network,
        (inputs[:count], labels[:count]),
        stressed=(marked[:count], labels[:count]),
        sweep=hm.Sweep(thresholds=7),
        execution=made.QUIET,
    )
    proof = replace(made.PROOF, baselines=())
    found = made.applied(
        study, network=network, data=(inputs, labels), stressed=(marked, labels), proof=proof
    )
    for attack, of, allowed in (("clean", inputs, 0.01), ("stressed", marked, 0.02)):
        expected = made.right(clean, of[count:], labels[count:]).float().mean().item()
        assert by_name(found, "applied", attack)["accuracy"] >= expected - allowed
    assert not found.masks["trigger.weight"][0, 0]
    assert set(found.masks) == {"trigger.weight"}


def test_channels_and_groups_are_applied_as_single_tensors_are():
    for targets in (
        hm.Targets(per="channel"),
        hm.Targets(groups={"both": ["noise.weight", "signal.weight"], "one": ["noise.weight"]}),
        hm.Targets(scope="global"),
    ):
        study = made.study(targets=targets)
        found = made.applied(study, proof=replace(made.PROOF, baselines=("magnitude",)))
        assert set(found.masks) <= {"noise.weight", "signal.weight"}
        if targets.scope == "local":
            assert by_name(found, "applied", "fgsm")["difference_low"] > 0
        removed = sum(int((~keep).sum()) for keep in found.masks.values())
        assert removed == (found.metadata.result.removed if found.helps else 0)


def test_replacements_are_refused_with_what_to_do():
    study = made.study(
        sweep=hm.Sweep(filters=("weight_noise",), levels=(0.5, 1.0)), attack=hm.FGSM(0.05)
    )
    with pytest.raises(StudyError, match=r"replaced values, and only the zeroing .* analyse with"):
        made.applied(study)


def test_an_attack_in_l2_is_proved_in_l2():
    study = made.study(attack=hm.FGSM(0.2, norm="l2"))
    found = made.applied(study, proof=replace(made.PROOF, baselines=()))
    assert list(dict.fromkeys(found.proof["attack"])) == ["clean", "fgsm", "pgd"]
    inputs, labels = proof_part()
    for name, masks in (("unfiltered", {}), ("applied", kept(found))):
        model = masked(masks)
        perturbed = perturb(
            model, inputs, labels, hm.FGSM(0.2, norm="l2"), bounds=(0.0, 1.0), seed=0, first=0
        )
        right = made.right(model, perturbed, labels)
        assert by_name(found, name, "fgsm")["accuracy"] == right.double().mean().item()
