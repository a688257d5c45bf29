"""Episodes on the command line, and on a cluster."""

import os
from pathlib import Path

import pytest

import hormesis as hm
from episodes_made import Signs, linear
from hormesis.cli.app import main

FILES = """
from episodes_made import Signs, linear
import hormesis as hm

def policy():
    return linear([[0.0, 0.0], [1.0, 0.5]])

def episodes():
    return hm.rl.Episodes(Signs, episodes=8, stress=hm.rl.Perturbation(hm.FGSM(0.5)))

def vector():
    return hm.rl.Episodes(lambda: 5, episodes=8)
"""


def test_episodes_are_named_by_their_function(tmp_path, monkeypatch, capsys):
    (tmp_path / "agents.py").write_text(FILES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["analyze", "--model", "agents:policy", "--data", "agents:episodes"]
    assert main([*command, "--thresholds", "3", "--no-progress", "--out", "study"]) == 0
    study = hm.load_study("study")
    own = hm.analyze(
        linear([[0.0, 0.0], [1.0, 0.5]]),
        hm.rl.Episodes(Signs, episodes=8, stress=hm.rl.Perturbation(hm.FGSM(0.5))),
        sweep=hm.Sweep(thresholds=3),
        execution=hm.Execution(progress=False, num_workers=1),
    )
    assert study.scores.equals(own.scores)
    capsys.readouterr()
    assert main(["show", "study"]) == 0
    assert "A random policy's mean return" in " ".join(capsys.readouterr().out.split())
    command[-1] = "agents:vector"
    assert main([*command, "--no-progress", "--out", "other"]) == 2
    assert "got int without `reset`" in capsys.readouterr().err


@pytest.mark.slow
def test_episodes_are_played_on_a_cluster(tmp_path, monkeypatch):
    options = {"sweep": hm.Sweep(thresholds=3), "targets": hm.Targets(include=("weight",))}
    policy = linear([[0.0, 0.0], [1.0, 0.5]])

    class Local(Signs):  # which travels by value
        pass

    stress = hm.rl.Perturbation(hm.PGD(0.5, steps=2))
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # where workers find `Signs`
    shards = []
    for engine in ("ray", "auto"):
        execution = hm.Execution(engine=engine, num_workers=2, progress=False)
        if engine == "auto":
            execution = hm.Execution(num_workers=1, progress=False)
        episodes = hm.rl.Episodes(Local, episodes=70, stress=stress)
        out = tmp_path / engine
        hm.analyze(policy, episodes, execution=execution, out=out, **options)
        shards.append([one.read_bytes() for one in sorted(out.rglob("*.safetensors"))])
    assert len(shards[0]) == 3
    assert shards[0] == shards[1]


@pytest.mark.slow
def test_what_cannot_travel_is_named(tmp_path):
    lock = open(tmp_path / "log", "w")  # noqa: PTH123, SIM115

    class Logged(Signs):
        log = lock

    with lock, pytest.raises(hm.HormesisError, match="cannot be sent to other machines"):
        hm.analyze(
            linear([[0.0, 0.0], [1.0, 0.5]]),
            hm.rl.Episodes(Logged, episodes=4),
            execution=hm.Execution(engine="ray", num_workers=1, progress=False),
            sweep=hm.Sweep(thresholds=2),
        )
