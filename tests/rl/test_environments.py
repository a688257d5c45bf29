"""Environments: shifted, and those that cannot be measured."""

import re
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import hormesis as hm
from episodes_made import Signs, hand_loop, largest, linear, prepared
from hormesis.errors import MissingExtraError, SettingError

BALANCING = [[0.0, 0.0, 0.0, 0.0], [0.1, 0.5, 3.0, 1.0]]


def test_a_shifted_environment_has_other_physics():
    make = hm.rl.shifted("CartPole-v1", {"gravity": 3, "length": 0.2})
    inner = make().unwrapped
    assert inner.gravity == pytest.approx(29.4)
    assert inner.length == pytest.approx(0.1)
    assert gym.make("CartPole-v1").unwrapped.gravity == 9.8  # pyright: ignore


def test_stressed_episodes_are_played_in_the_stressed_environment():
    policy, shifted = linear(BALANCING), hm.rl.shifted("CartPole-v1", {"gravity": 9})
    study = hm.analyze(
        policy,
        hm.rl.Episodes("CartPole-v1", episodes=3, max_steps=150, stressed_env=shifted),
        sweep=hm.Sweep(thresholds=2),
        execution=hm.Execution(progress=False, num_workers=1),
    )
    own = [hand_loop(shifted, largest(policy), seed, 150) for seed in range(3)]
    assert study.base.adversarial == pytest.approx(np.mean(own))
    assert study.base.clean == 150 > study.base.adversarial
    assert "Under stress, the environment is CartPole-v1 with gravity × 9." in study.notes


def test_mujoco_is_shifted():
    made = hm.rl.shifted("Hopper-v5", {"gravity": 2, "mass": 3, "friction": 0.5, "damping": 4})()
    usual = gym.make("Hopper-v5").unwrapped.model  # pyright: ignore
    model = made.unwrapped.model
    assert model.opt.gravity.tolist() == [0, 0, 2 * usual.opt.gravity[2]]
    assert np.allclose(model.body_mass, 3 * usual.body_mass)
    assert np.allclose(model.body_inertia, 3 * usual.body_inertia)
    assert np.allclose(model.geom_friction, 0.5 * usual.geom_friction)
    assert np.allclose(model.dof_damping, 4 * usual.dof_damping)


def test_what_an_environment_does_not_have_cannot_be_shifted():
    with pytest.raises(SettingError, match=r"has no number 'mas' to be shifted.*masspole"):
        hm.rl.shifted("CartPole-v1", {"mas": 2})()
    with pytest.raises(SettingError, match="Known: gravity, mass, friction, damping"):
        hm.rl.shifted("Hopper-v5", {"length": 2})()


def test_gymnasium_is_asked_for_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    policy = linear([[0.0, 0.0], [1.0, 0.0]])
    with pytest.raises(MissingExtraError, match=r"pip install 'hormesis\[rl\]'"):
        prepared(policy, hm.rl.Episodes("CartPole-v1", episodes=2))
    own = prepared(policy, hm.rl.Episodes(Signs, episodes=2))  # which needs nothing of ours
    assert own.measure(policy, [0, 1], stressed=False).tolist() == [5, 5]


def test_reinforcement_learning_imports_no_library_beforehand():
    for file in Path(hm.rl.__file__).parent.glob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert not [one for one in lines if re.match(r"(import|from) (gym|stable)", one)]


def test_an_environment_that_leaves_something_behind_is_found():
    class Tired(Signs):
        tiredness = 0.0

        def step(self, action):
            self.tiredness += 0.1
            seen, reward, *rest = super().step(action)
            return seen, reward - self.tiredness, *rest

    episodes = hm.rl.Episodes(Tired, episodes=2)
    with pytest.raises(hm.HormesisError, match=r"in two ways.*set everything back in `reset`"):
        prepared(linear([[0.0, 0.0], [1.0, 0.0]]), episodes)
