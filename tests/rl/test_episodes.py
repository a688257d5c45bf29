"""Episodes as samples: the returns of a loop by hand, whatever plays beside them."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from episodes_made import Aim, Signs, hand_loop, largest, linear, prepared
from hormesis.stress.filters import Threshold, keep

QUIET = hm.Execution(progress=False, num_workers=1)
BALANCING = [[0.0, 0.0, 0.0, 0.0], [0.1, 0.5, 3.0, 1.0]]
cart_pole = partial(gym.make, "CartPole-v1")


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(inputs, 7), nn.Tanh(), nn.Linear(7, outputs)).eval()


def test_filtered_policies_earn_what_a_loop_by_hand_earns():
    policy = linear(BALANCING)
    study = hm.analyze(
        policy,
        hm.rl.Episodes("CartPole-v1", episodes=4, seed=7, max_steps=60),
        sweep=hm.Sweep(thresholds=3),
        execution=QUIET,
    )
    returns = set()
    for cell in study.responses.to_dict("records"):
        at = Threshold(*(cell[name] for name in ("filter", "step", "alpha", "lower", "upper")))
        filtered = deepcopy(policy)
        weights = filtered.get_parameter(cell["target"]).data
        weights *= keep(weights, at)
        own = [hand_loop(cart_pole, largest(filtered), seed, 60) for seed in range(7, 11)]
        assert cell["clean"] == pytest.approx(np.mean(own), abs=1e-6)
        returns.add(np.mean(own))
    assert len(returns) > 2
    assert study.base.clean == 60
    # The unfiltered policy and two others, on four episodes: a few take as long as all.
    assert study.manifest["audit"] == {"outcomes": 12, "different": 0}
    assert study.metadata.question.data.name == "CartPole-v1"
    assert "4 episodes of CartPole-v1, reset with the seeds 7 to 10" in study.notes[0]


def test_returns_of_a_hand_set_policy_are_those_on_paper():
    policy = linear([[1.0, 0.25]])
    evaluation = prepared(policy, hm.rl.Episodes(Aim, episodes=6, baseline=None))
    returns = evaluation.measure(policy, range(6), stressed=False)
    seconds = [Aim().reset(seed=seed)[0][1] for seed in range(6)]
    assert returns == pytest.approx(1 - (0.25 * np.asarray(seconds)) ** 2, rel=1e-5)


@pytest.mark.parametrize(
    "stress",
    [
        None,
        hm.rl.Perturbation(hm.FGSM(0.5)),
        hm.rl.Perturbation(hm.PGD(0.5, steps=2, restarts=2), adversary="adaptive"),
        hm.rl.Noise(0.5, "gaussian"),
    ],
)
def test_an_episode_is_the_same_whatever_plays_beside_it(stress):
    policy = mlp(4, 2)
    options = {"episodes": 11, "rows": 4, "max_steps": 12, "stress": stress, "baseline": None}
    made = hm.rl.Episodes("Acrobot-v1" if stress is None else "CartPole-v1", **options)
    policy = mlp(6, 3) if stress is None else policy
    evaluation = prepared(policy, made)
    stressed = stress is not None
    whole = evaluation.measure(policy, range(11), stressed=stressed)
    alone = [evaluation.measure(policy, [one], stressed=stressed)[0] for one in range(11)]
    assert whole.tolist() == alone
    order = [9, 2, 2, 5, 1, 10, 6]
    assert evaluation.measure(policy, order, stressed=stressed).tolist() == whole[order].tolist()


def test_outputs_do_not_depend_on_other_episodes_to_the_last_bit():
    seen: dict[int, list[bytes]] = {}

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp(2, 2)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            seen.setdefault(len(rows), []).append(self.inner(rows).numpy().tobytes())
            return self.inner(rows)

    policy = Watched().eval()
    evaluation = prepared(policy, hm.rl.Episodes(Signs, episodes=9, rows=5))
    seen.clear()
    evaluation.measure(policy, range(9), stressed=False)
    evaluation.measure(policy, [3], stressed=False)
    assert set(seen) == {5}  # every forward pass has as many rows


def test_negative_returns_are_measured_from_a_random_policy():
    class Penalty(Aim):
        def step(self, action):
            seen, reward, *rest = super().step(action)
            return seen, reward - 1, *rest

    policy = linear([[0.5, 0.0]])
    episodes = hm.rl.Episodes(Penalty, episodes=20)
    study = hm.analyze(policy, episodes, sweep=hm.Sweep(thresholds=3), execution=QUIET)

    def random_return(seed: int) -> float:
        environment = Penalty()
        environment.action_space.seed(seed)
        return hand_loop(lambda: environment, lambda _: environment.action_space.sample(), seed)

    guessing = np.mean([random_return(seed) for seed in range(20)])
    firsts = np.asarray([Aim().reset(seed=seed)[0][0] for seed in range(20)])
    assert guessing < -5
    assert study.base.clean == pytest.approx(-np.mean((0.5 * firsts) ** 2) - guessing, rel=1e-5)
    assert study.base.chance == 0
    assert study.metadata.question.metric.name == "return_above_random"
    note = next(note for note in study.notes if "random policy" in note)
    assert f"{guessing:.6g}; it is taken from every return, as it is below 0" in note


@pytest.mark.parametrize(
    ("baseline", "name", "taken"),
    [
        ("auto", "return", 0.0),
        ("random", "return_above_random", None),
        (None, "return", 0.0),
        (0.25, "return_above_baseline", 0.25),
    ],
)
def test_baselines(baseline, name, taken):
    policy = linear([[0.0, 0.0], [1.0, 0.0]])
    episodes = hm.rl.Episodes(Signs, episodes=8, baseline=baseline)
    evaluation = prepared(policy, episodes)
    plain = prepared(policy, hm.rl.Episodes(Signs, episodes=8, baseline=None))
    chance = plain.chance
    assert chance is not None
    assert 1 < chance < 4  # five coins
    taken = chance if taken is None else taken
    assert evaluation.name == name
    assert evaluation.chance == pytest.approx(chance - taken)
    assert evaluation.measure(policy, [0, 1], stressed=False).tolist() == [5 - taken] * 2


def test_episodes_stop_when_all_is_settled():
    study = hm.analyze(
        linear([[0.0, 0.0], [1.0, 0.5]]),
        hm.rl.Episodes(Signs, episodes=400),
        sweep=hm.Sweep(filters=("high_pass",), thresholds=3, until=0.2),
        execution=QUIET,
    )
    assert study.metadata.base.samples < 400


def test_another_question_has_another_identity():
    policy, noise = linear([[0.0, 0.0], [1.0, 0.5]]), hm.rl.Noise(0.5)
    ways = [
        {},
        {"seed": 1},
        {"episodes": 5},
        {"rows": 3},
        {"max_steps": 4},
        {"baseline": "random"},
        {"deterministic": False},
        {"normalize": (np.zeros(2), np.ones(2))},
        {"stress": noise},
        {"stress": replace(noise, epsilon=0.6)},
        {"stress": replace(noise, scale=1.0)},
        {"stress": hm.rl.Perturbation(hm.FGSM(0.5))},
        {"stress": hm.rl.Perturbation(hm.FGSM(0.5), adversary="adaptive")},
        {"stressed_env": Signs},
        {"identity": "2"},
    ]
    made = [hm.rl.Episodes(Signs, **{"episodes": 4, **way}) for way in ways]
    assert len({prepared(policy, one).fingerprint() for one in made}) == len(ways)
    again = prepared(policy, hm.rl.Episodes(Signs, episodes=4)).fingerprint()
    assert again == prepared(policy, made[0]).fingerprint()


def test_an_environment_that_never_ends_is_stopped():
    class Endless(Signs):
        def step(self, action):
            return *super().step(action)[:2], False, False, {}

    policy = linear([[0.0, 0.0], [1.0, 0.0]])
    by_default = prepared(policy, hm.rl.Episodes(Endless, episodes=2, rows=2))
    assert "Episodes end after 1,000 steps, as the environment has no limit" in by_default.notes[-1]
    assert by_default.measure(policy, [0], stressed=False).tolist() == [1000]
    limited = prepared(policy, hm.rl.Episodes(Endless, episodes=2, rows=2, max_steps=7))
    assert limited.measure(policy, [0], stressed=False).tolist() == [7]
    assert "max_steps" not in "".join(limited.notes)


def test_the_limit_of_an_environment_is_its_own():
    policy = linear([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]] * 3)
    evaluation = prepared(policy, hm.rl.Episodes("Acrobot-v1", episodes=2, rows=1))
    taken = getattr(evaluation.function, "baseline")  # noqa: B009
    assert evaluation.measure(policy, [0], stressed=False) == [-500 - taken]


def test_drawn_actions_are_those_of_the_episode():
    policy = linear([[0.0, 0.0], [1.0, 0.0]])
    evaluation = prepared(policy, hm.rl.Episodes(Signs, episodes=400, deterministic=False))
    first = evaluation.measure(policy, range(400), stressed=False)
    again = evaluation.measure(policy, range(200, 400), stressed=False)
    assert first[200:].tolist() == again.tolist()
    # Right with the probability of a logistic function of the size of a value even over 0 to 1.
    chance = float(torch.linspace(0, 1, 1001).sigmoid().mean())
    assert first.mean() / 5 == pytest.approx(chance, abs=0.04)


def test_real_actions_are_drawn_around_their_mean():
    policy = linear([[1.0, 0.0]])
    policy.register_parameter("log_std", nn.Parameter(torch.tensor([0.5]).log()))
    made = hm.rl.Episodes(Aim, episodes=600, deterministic=False, baseline=None)
    returns = prepared(policy, made).measure(policy, range(600), stressed=False)
    assert returns.mean() == pytest.approx(1 - 0.5**2, abs=0.05)


def test_a_mistake_of_the_environment_ends_in_one_sentence():
    class Broken(Signs):
        def step(self, action):
            raise KeyError("no such joint")

    with pytest.raises(hm.HormesisError, match="failed in `step` in the episode of the seed 3"):
        prepared(linear([[0.0, 0.0], [1.0, 0.0]]), hm.rl.Episodes(Broken, seed=3))


def test_a_policy_is_left_as_it_was():
    policy = mlp(2, 2).train()
    before = deepcopy(policy.state_dict())
    episodes = hm.rl.Episodes(Signs, episodes=4, stress=hm.rl.Perturbation(hm.FGSM(0.3)))
    hm.analyze(policy, episodes, sweep=hm.Sweep(thresholds=2), execution=QUIET)
    assert policy.training
    assert all(parameter.requires_grad for parameter in policy.parameters())
    assert all(torch.equal(before[name], one) for name, one in policy.state_dict().items())
