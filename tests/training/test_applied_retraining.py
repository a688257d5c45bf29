"""Retraining of an applied network: what was zeroed stays zero, in every arm."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

import hormesis as hm
from hormesis.cli.app import main
from hormesis.training.retraining_plan import plan_retraining
from retrained import QUIET, data, network, upper

EXECUTION = hm.Execution(engine="plain", progress=False)
RECIPE = hm.Recipe(epochs=2, optimizer="AdamW", optimizer_options={"weight_decay": 0.5})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of a part of the samples, and its network with some values zeroed."""
    folder = tmp_path_factory.mktemp("applied")
    images, labels = data(60)
    study = hm.analyze(
        network(),
        (images[:30], labels[:30]),
        attack=hm.FGSM(0.05),
        sweep=hm.Sweep(thresholds=5),
        out=folder / "study",
        execution=EXECUTION,
    )
    applied = hm.apply(
        study,
        network(),
        (images, labels),
        aim=hm.Sparse(loss=40),
        out=folder / "applied",
        execution=EXECUTION,
    )
    assert applied.helps
    return study, applied


def settings(applied, out):
    study = hm.load_study(applied.metadata.study.path)
    return {
        "data": (data(), data(12, 1)),
        "out": out,
        "selection": upper(study),
        "recipe": RECIPE,
        "source": hm.SourceNetwork(network=network()),
        "trainer_config": QUIET,
    }


def zeros_of(applied):
    return {name: ~torch.from_numpy(mask) for name, mask in applied.masks.items()}


def test_zeros_stay_zero_in_every_arm_and_the_rest_is_trained(made, tmp_path):
    _, applied = made
    evaluation = hm.EvaluationConfig(epsilons=(0.05,), steps=2, restarts=1)
    controls = hm.Controls(("none", "everything", "selective"), (1, 2), evaluation)
    hm.retrain_with_controls(
        applied.folder, controls=controls, **settings(applied, tmp_path / "out")
    )
    start = load_file(applied.folder / "network.safetensors")
    for arm in ("everything", "selective"):
        run = hm.load_run(tmp_path / "out" / arm / "seed-1")
        end = load_file(run.whole(2))
        for name, gone in zeros_of(applied).items():
            assert gone.any()
            assert (end[name][gone] == 0).all()
            assert (start[name][gone] == 0).all()
        changed = {name for name, value in start.items() if not torch.equal(value, end[name])}
        assert changed
        if arm == "everything":
            assert "7.bias" in changed  # a layer that was emptied cuts off those before it
    first = hm.load_run(tmp_path / "out" / "everything" / "seed-1").whole(0)
    assert all(torch.equal(value, start[name]) for name, value in load_file(first).items())


def test_the_manifest_names_the_applied_network(made, tmp_path):
    _, applied = made
    found = hm.retrain(applied.folder, **settings(applied, tmp_path / "out"))
    fingerprint = applied.metadata.result.fingerprint
    removed = sum(int(gone.sum()) for gone in zeros_of(applied).values())
    expected = {"path": str(applied.folder), "fingerprint": fingerprint, "removed": removed}
    assert found.manifest["applied"] == expected
    # A training of the network without the filters is another one.
    with pytest.raises(hm.HormesisError, match="holds another training"):
        hm.retrain(applied.metadata.study.path, **settings(applied, tmp_path / "out"))


def test_masks_and_ratios_are_exported(made, tmp_path, capsys):
    _, applied = made
    assert main(f"export {applied.folder} --what masks --to {tmp_path / 'masks'}".split()) == 0
    written = load_file(tmp_path / "masks")
    zeros = zeros_of(applied)
    assert {name: (~keep).tolist() for name, keep in written.items()} == {
        name: gone.tolist() for name, gone in zeros.items()
    }
    assert main(f"export {applied.folder} --what ratios --format json".split()) == 0
    ratios = {row["target"]: row["ratio"] for row in json.loads(capsys.readouterr().out)}
    assert ratios == {name: float(gone.double().mean()) for name, gone in zeros.items()}
    assert main(f"export {applied.folder} --what bits".split()) == 2
    assert "has masks and ratios, no bits" in capsys.readouterr().err


def test_a_loop_of_ones_own_keeps_the_zeros_too(made):
    study, applied = made
    filtered = network()
    filtered.load_state_dict(load_file(applied.folder / "network.safetensors"))
    frozen = hm.freeze(filtered, applied.folder, upper(study))
    optimizer = torch.optim.AdamW(filtered.parameters(), lr=0.1, weight_decay=0.5)
    frozen.follow(optimizer)
    images, labels = data()
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(filtered.train()(images), labels).backward()
        optimizer.step()
    assert frozen.check() > 0
    for name, gone in zeros_of(applied).items():
        assert (filtered.get_parameter(name)[gone] == 0).all()
    with pytest.raises(hm.HormesisError, match="not the applied one"):
        hm.freeze(network(), applied.folder, upper(study))


def test_a_study_that_is_gone_or_another_is_named(made, tmp_path):
    study, applied = made
    selection, copied = upper(study), tmp_path / "copied"
    shutil.copytree(applied.folder, copied)
    moved = study.folder.with_name("moved")
    study.folder.rename(moved)
    try:
        with pytest.raises(hm.HormesisError, match=r"The study of the applied network is not in"):
            plan_retraining(copied, selection)
        hm.analyze(network(), data(20), attack=None, out=study.folder, execution=EXECUTION)
        with pytest.raises(hm.HormesisError, match="holds another study by now"):
            plan_retraining(copied, selection)
    finally:
        shutil.rmtree(study.folder, ignore_errors=True)
        moved.rename(study.folder)
    manifest = copied / "applied.json"
    manifest.write_text(json.dumps({"applied": 1}))
    with pytest.raises(hm.HormesisError, match="is damaged"):
        plan_retraining(copied, selection)
