"""Policies of stable-baselines3 act as they do there, and so do modules of a user's own."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from episodes_made import Aim, Signs, hand_loop, linear, prepared
from hormesis.models.unwrapping import unwrapped
from hormesis.rl.policies import Policy
from hormesis.rl.spaces import Actions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

QUIET = hm.Execution(progress=False, num_workers=1)


class Several(Signs):
    action_space: Any = gym.spaces.MultiDiscrete([2, 3, 4])


class Yes(Signs):
    action_space: Any = gym.spaces.MultiBinary(3)


class Wide(Aim):
    action_space: Any = gym.spaces.Box(
        np.asarray([-0.2, 0], np.float32), np.asarray([0.1, 5], np.float32)
    )


class Counted(Signs):
    observation_space: Any = gym.spaces.Discrete(5)


TRAINED = [("CartPole-v1", 20_000, 250), ("Acrobot-v1", 40_000, 150)]
SMALL: dict[str, Any] = {"device": "cpu", "seed": 0}


@pytest.mark.parametrize(
    ("kind", "environment"),
    [
        (PPO, Signs),
        (PPO, Wide),
        (PPO, Several),
        (PPO, Yes),
        (PPO, Counted),
        (A2C, Wide),
        (DQN, Signs),
        (SAC, Wide),
        (TD3, Wide),
        (DDPG, Wide),
    ],
)
def test_actions_are_those_of_stable_baselines3(kind, environment):
    made = environment()
    model = kind("MlpPolicy", made, **SMALL)
    policy = Policy(unwrapped(model).eval())
    rows = np.stack([made.observation_space.sample() for _ in range(20)])
    with torch.no_grad():
        outputs = policy(torch.from_numpy(rows))
    actions = Actions(made.action_space, policy.squashed)
    assert outputs.shape == (20, actions.outputs)
    expected = model.predict(rows, deterministic=True)[0]
    assert np.allclose(actions.chosen(outputs), expected, atol=1e-6)
    assert len(np.unique(expected, axis=0)) > 1
    assert bool((actions.loss.measure(outputs, actions.labels(outputs)) >= 0).all())


def test_features_that_are_not_shared():
    options = {"share_features_extractor": False}
    model = PPO("MlpPolicy", Signs(), policy_kwargs=options, **SMALL)
    rows = torch.rand(5, 2)
    outputs = Policy(model.policy)(rows)
    expected = model.policy.get_distribution(rows).distribution.logits  # pyright: ignore
    assert torch.allclose(outputs.log_softmax(1), expected)


def test_a_model_is_analysed_with_the_statistics_of_its_training():
    environment = VecNormalize(DummyVecEnv([Signs]))
    model = PPO("MlpPolicy", environment, n_steps=64, batch_size=64, n_epochs=1, **SMALL)
    model.learn(128)
    environment.training = False
    study = hm.analyze(
        model,
        hm.rl.Episodes(Signs, episodes=6),
        targets=hm.Targets(include=("action_net.weight",)),
        sweep=hm.Sweep(thresholds=2),
        execution=QUIET,
    )

    def act(seen: Any) -> Any:
        return model.predict(environment.normalize_obs(seen), deterministic=True)[0]

    assert study.base.clean == np.mean([hand_loop(Signs, act, seed) for seed in range(6)])
    assert any("standardised" in note for note in study.notes)
    assert study.scores["target"].unique().tolist() == ["action_net.weight"]
    pair = (environment.obs_rms.mean, environment.obs_rms.var)  # pyright: ignore
    for normalize in (pair, environment):
        episodes = hm.rl.Episodes(Signs, episodes=6, normalize=normalize)
        returns = prepared(model.policy, episodes).measure(model.policy, range(6), stressed=False)
        assert returns.mean() == study.base.clean


def test_the_critic_of_a_model_can_be_attacked():
    stress = hm.rl.Perturbation(hm.FGSM(0.1), aim="value")
    model = PPO("MlpPolicy", Signs(), **SMALL)
    episodes = hm.rl.Episodes(Signs, episodes=3, stress=stress)
    returns = prepared(model, episodes).measure(model.policy, range(3), stressed=True)
    assert returns.shape == (3,)


def test_real_actions_are_clipped():
    actions = Actions(gym.spaces.Box(-1, 2, (2,), np.float32))
    assert actions.chosen(torch.tensor([[-3.0, 5.0]])).tolist() == [[-1.0, 2.0]]


def test_discrete_actions_may_start_elsewhere():
    actions = Actions(gym.spaces.Discrete(3, start=-1))
    assert actions.chosen(torch.eye(3)).tolist() == [-1, 0, 1]


def test_a_policy_of_whole_numbers_embeds_them():
    policy = nn.Embedding(5, 2)
    outputs = Policy(policy)(torch.tensor([0, 3]))
    assert torch.equal(outputs, policy.weight[[0, 3]])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_a_policy_in_another_precision(kind):
    policy = linear([[0.0, 0.0], [1.0, 0.0]]).to(kind)
    episodes = hm.rl.Episodes(Signs, episodes=3, stress=hm.rl.Perturbation(hm.FGSM(3.0)))
    evaluation = prepared(policy, episodes)
    assert evaluation.measure(policy, range(3), stressed=False).tolist() == [5, 5, 5]
    assert evaluation.measure(policy, range(3), stressed=True).max() < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps", "least"), [("CartPole-v1", 20_000, 250), ("Acrobot-v1", 40_000, 150)]
)
def test_policies_trained_on_the_spot(name, steps, least):
    options = {"n_steps": 512, "batch_size": 128, "n_epochs": 10, "learning_rate": 1e-3}
    model = PPO("MlpPolicy", DummyVecEnv([lambda: gym.make(name)] * 4), **options, **SMALL)
    model.learn(steps)
    study = hm.analyze(
        model,
        hm.rl.Episodes(name, episodes=20, stress=hm.rl.Perturbation(hm.FGSM(0.5))),
        targets=hm.Targets(include=("action_net.weight",)),
        sweep=hm.Sweep(thresholds=3),
        execution=QUIET,
    )
    chance = study.base.chance
    assert chance is not None
    assert study.base.clean > chance + least
    assert study.base.adversarial < study.base.clean
