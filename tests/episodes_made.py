"""Small environments whose returns are worked out on paper, and a loop over episodes by hand."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import hormesis as hm
from hormesis.data.evaluation import Evaluation

BOX = gym.spaces.Box(-1, 1, (2,), np.float32)


class Aim(gym.Env[Any, Any]):
    """One step: the return is 1 minus the squared distance of the action from the first value."""

    observation_space: Any = BOX
    action_space: Any = gym.spaces.Box(-9, 9, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.seen, {}

    def step(self, action: Any) -> Any:
        return self.seen, 1 - float((action[0] - self.seen[0]) ** 2), True, False, {}


class Signs(Aim):
    """Five steps, one point for each whose action is the sign of the first value."""

    action_space: Any = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        right = float(action == (self.seen[0] > 0))
        self.seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        self.steps += 1
        return self.seen, right, self.steps == 5, False, {}


def linear(weights: list[list[float]]) -> nn.Linear:
    """Return a policy of given weights."""
    policy = nn.Linear(len(weights[0]), len(weights))
    policy.weight.data = torch.tensor(weights)
    policy.bias.data.zero_()
    return policy


def prepared(policy: object, episodes: hm.rl.Episodes) -> Evaluation:
    """Return the evaluation of a policy, as an analysis makes it."""
    assert episodes.prepare is not None
    return episodes.prepare(policy)


def hand_loop(
    make: Callable[[], Any], act: Callable[[Any], Any], seed: int, most: int = 1000
) -> float:
    """Return the return of one episode, played alone."""
    environment = make()
    observation, _ = environment.reset(seed=seed)
    total = 0.0
    for _ in range(most):
        observation, reward, terminated, truncated, _ = environment.step(act(observation))
        total += float(reward)
        if terminated or truncated:
            break
    return total


def largest(policy: nn.Module) -> Callable[[Any], int]:
    """Return a function from one observation to the action of the largest output."""
    return lambda seen: int(policy(torch.as_tensor(seen)[None]).argmax())
