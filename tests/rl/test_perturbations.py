"""Perturbed observations: against closed forms, within their size, from the right policy."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hormesis as hm
from episodes_made import Aim, Signs, linear, prepared
from hormesis.rl.perturbations import Rows
from hormesis.rl.policies import Policy
from hormesis.rl.spaces import Actions

QUIET = hm.Execution(progress=False, num_workers=1)
SEEN = torch.tensor([[0.1, -0.2], [-0.6, 0.95], [0.3, 0.3]])
SCALE = torch.tensor([0.5, 2.0])


def rows_for(actions: gym.Space[Any], bound: float = 100.0) -> Rows:
    numbers = torch.arange(len(SEEN))
    low, high = torch.full((2,), -bound), torch.full((2,), bound)
    noise = {int(one): np.random.default_rng(int(one)) for one in numbers}
    return Rows(Actions(actions), low, high, SCALE, 0, numbers, noise)


DISCRETE, REAL = gym.spaces.Discrete(2), gym.spaces.Box(-9, 9, (1,), np.float32)


def test_fgsm_lowers_the_logit_of_the_action_taken():
    policy = linear([[0.0, 0.0], [1.0, -3.0]])
    moved = hm.rl.Perturbation(hm.FGSM(0.1)).perturbed(Policy(policy), SEEN, rows_for(DISCRETE))
    taken = torch.where(policy(SEEN).argmax(1) == 1, 1.0, -1.0)[:, None]
    expected = SEEN - 0.1 * SCALE * taken * torch.tensor([1.0, -1.0])
    assert torch.allclose(moved, expected, atol=1e-6)


def test_in_l2_the_whole_change_has_the_size():
    policy = linear([[0.0, 0.0], [1.0, -3.0]])
    attack = hm.FGSM(0.1, norm="l2")
    moved = hm.rl.Perturbation(attack).perturbed(Policy(policy), SEEN, rows_for(DISCRETE))
    changes = (moved - SEEN) / SCALE
    assert changes.norm(dim=1).tolist() == pytest.approx([0.1] * 3, rel=1e-4)
    slope = torch.tensor([1.0, -3.0]) * SCALE  # of the logit, in units of the scale
    cosines = torch.nn.functional.cosine_similarity(changes, slope[None]).abs()
    assert cosines.tolist() == pytest.approx([1.0] * 3, abs=1e-5)


@pytest.mark.parametrize("attack", [hm.FGSM(0.1), hm.PGD(0.1, steps=5)])
def test_real_actions_are_moved_as_far_as_they_can_be(attack):
    policy = linear([[1.0, -3.0]])
    moved = hm.rl.Perturbation(attack).perturbed(Policy(policy), SEEN, rows_for(REAL))
    distance = (policy(moved) - policy(SEEN)).abs().flatten()
    assert distance.tolist() == pytest.approx([0.1 * (0.5 * 1 + 2 * 3)] * 3, rel=1e-4)


def test_the_aim_value_lowers_what_the_critic_expects():
    class ActorCritic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.actor, self.critic = linear([[0.0, 0.0], [1.0, 1.0]]), linear([[-2.0, 1.0]])

        def forward(self, seen: Tensor) -> Tensor:
            return self.actor(seen)

        def predict_values(self, seen: Tensor) -> Tensor:
            return self.critic(seen)

    stress = hm.rl.Perturbation(hm.FGSM(0.1), aim="value")
    moved = stress.perturbed(Policy(ActorCritic()), SEEN, rows_for(DISCRETE))
    expected = SEEN + 0.1 * SCALE * torch.tensor([1.0, -1.0])
    assert torch.allclose(moved, expected, atol=1e-6)


def test_a_loss_of_ones_own_is_raised():
    loss = hm.Loss("first", lambda outputs, undisturbed: outputs[:, 0] - undisturbed[:, 0])
    stress = hm.rl.Perturbation(hm.FGSM(0.1), aim=loss)
    policy = linear([[2.0, -1.0]])
    moved = stress.perturbed(Policy(policy), SEEN, rows_for(REAL))
    assert torch.allclose(moved, SEEN + 0.1 * SCALE * torch.tensor([1.0, -1.0]), atol=1e-6)


@pytest.mark.parametrize("kind", ["signs", "uniform", "gaussian"])
def test_noise_has_its_size_and_its_seed(kind):
    noise, policy = hm.rl.Noise(0.1, kind), Policy(linear([[1.0, 1.0]]))
    first = noise.perturbed(policy, SEEN, rows_for(REAL))
    changes = ((first - SEEN) / SCALE).abs()
    if kind == "signs":
        assert changes.flatten().tolist() == pytest.approx([0.1] * 6, rel=1e-4)
    if kind == "uniform":
        assert 0 < float(changes.max()) <= 0.1 + 1e-6
    if kind == "gaussian":
        drawn = np.stack([np.random.default_rng(one).standard_normal(2) for one in range(3)])
        assert torch.allclose((first - SEEN) / SCALE, 0.1 * torch.from_numpy(drawn).float())
    assert torch.equal(first, noise.perturbed(policy, SEEN, rows_for(REAL)))


def test_observations_stay_within_their_bounds_or_where_they_were():
    rows = rows_for(REAL, bound=0.9)
    stresses = [hm.rl.Noise(9.0), hm.rl.Perturbation(hm.PGD(9.0, steps=3))]
    for stress in stresses:
        moved = stress.perturbed(Policy(linear([[1.0, 1.0]])), SEEN, rows)
        assert float(moved.max()) <= 0.95  # as one was beyond
        assert float(moved.min()) >= -0.9
        assert not torch.equal(moved, SEEN)


def test_a_fixed_adversary_follows_the_unfiltered_policy():
    policy = linear([[0.0, 0.0], [1.0, 0.0]])
    measured = {}
    for adversary in ("fixed", "adaptive"):
        stress = hm.rl.Perturbation(hm.FGSM(3.0), adversary=adversary, scale=1.0)
        episodes = hm.rl.Episodes(Signs, episodes=6, stress=stress)
        evaluation = prepared(policy, episodes)
        opposite = linear([[0.0, 0.0], [-1.0, 0.0]])  # which errs where it is left alone
        measured[adversary] = evaluation.measure(opposite, range(6), stressed=True).tolist()
        assert evaluation.measure(policy, range(6), stressed=True).tolist() == [0.0] * 6
    # What misleads the one helps its opposite, unless that one is misled by itself: always right.
    assert measured["fixed"] == measured["adaptive"] == [5.0] * 6
    tilted = linear([[0.0, 0.0], [0.0, 1.0]])
    stress = hm.rl.Perturbation(hm.FGSM(3.0), scale=[1.0, 0.0])
    evaluation = prepared(policy, hm.rl.Episodes(Signs, episodes=6, stress=stress))
    clean = evaluation.measure(tilted, range(6), stressed=False)
    assert evaluation.measure(tilted, range(6), stressed=True).tolist() == clean.tolist()


def test_the_scale_is_the_spread_of_clean_observations():
    policy = linear([[1.0, 0.0]])
    made = hm.rl.Episodes(Aim, episodes=6, stress=hm.rl.Noise(0.1))
    player: Any = prepared(policy, made).function
    firsts = np.stack([Aim().reset(seed=seed)[0] for seed in range(6)])
    assert player.scale.numpy() == pytest.approx(firsts.std(axis=0), rel=1e-5)


class Cue(Signs):
    """A large value and a small one that both tell what to do."""

    observation_space: Any = gym.spaces.Box(-9, 9, (2,), np.float32)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        seen, more = super().reset(**options)
        return self.as_cue(seen), more

    def step(self, action: Any) -> Any:
        seen, *rest = super().step(action)
        return self.as_cue(seen), *rest

    def as_cue(self, seen: Any) -> Any:
        sign = 1.0 if seen[0] > 0 else -1.0
        return np.asarray([sign * (0.6 + abs(seen[1])), 4 * sign], np.float32)


def test_claims_are_tested_by_the_adaptive_adversary_and_a_stronger_one(tmp_path):
    # Ten times the small value mislead it under attack; without them nothing can.
    policy = linear([[0.0, 0.0], [10.0, 1.0]])
    stress = hm.rl.Perturbation(hm.FGSM(1.2), scale=1.0)
    study = hm.analyze(
        policy,
        hm.rl.Episodes(Cue, episodes=24, stress=stress),
        sweep=hm.Sweep(filters=("low_pass",), thresholds=(9.0, 5.0, 2.0)),
        targets=hm.Targets(include=("weight",)),
        scoring=hm.Scoring(reference="base"),
        confirmation=hm.Confirmation(steps=3, restarts=1, draws=1),
        execution=QUIET,
        out=tmp_path / "study",
    )
    assert study.base.clean == 5
    assert 3 < study.base.adversarial < 4
    scores = study.scores.set_index("score")
    assert scores.loc["adversarial", "class"] == "antifragile"
    table = study.confirmation
    assert table is not None
    tried = table.loc[table["stress"] == "filter", "attack"].unique().tolist()
    assert tried == ["adaptive", "restarts"]
    assert set(table["stress"]) == {"filter", "noise", "random"}
    assert scores.loc["adversarial", "value"] == pytest.approx(5 / study.base.adversarial - 1)
    assert study.metadata.question.sweep.adversary == "fixed"
    again = hm.load_study(tmp_path / "study")
    assert again.confirmation is not None
    assert again.confirmation.equals(table)


def test_an_adaptive_study_says_so_and_is_tested_by_the_fixed_adversary():
    stress = hm.rl.Perturbation(hm.FGSM(1.2), adversary="adaptive", scale=1.0)
    study = hm.analyze(
        linear([[0.0, 0.0], [10.0, 1.0]]),
        hm.rl.Episodes(Cue, episodes=24, stress=stress),
        sweep=hm.Sweep(filters=("low_pass",), thresholds=(9.0, 5.0, 2.0)),
        scoring=hm.Scoring(reference="base"),
        confirmation=hm.Confirmation(steps=2, restarts=1, draws=0),
        execution=QUIET,
    )
    assert study.metadata.question.sweep.adversary == "adaptive"
    table = study.confirmation
    assert table is not None
    assert table["attack"].unique().tolist() == ["transfer", "restarts"]
    assert study.scores.set_index("score").loc["adversarial", "class"] == "antifragile"
