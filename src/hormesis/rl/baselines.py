"""What returns are compared with: a random policy, so that the performance of none is below 0."""

from dataclasses import dataclass

import numpy as np

from hormesis.errors import SettingError, unknown
from hormesis.rl.environments import begin_episode, take_step
from hormesis.rl.player import Player

AUTO, RANDOM = "auto", "random"


@dataclass(frozen=True)
class Baseline:
    """What is taken from every return.

    Args:
        choice: ``"auto"``, ``"random"``, or a number.
    """

    choice: str | float

    def value(self, chance: float) -> float:
        """Return the number that is taken.

        Args:
            chance: Mean return of a random policy.

        Example:
            >>> Baseline("auto").value(-200.0), Baseline("auto").value(20.0)
            (-200.0, 0.0)
        """
        if self.choice == AUTO:
            return min(chance, 0.0)
        return chance if self.choice == RANDOM else float(self.choice)

    def name(self, chance: float) -> str:
        """Return what the performance is called."""
        if self.value(chance) == 0:
            return "return"
        return "return_above_random" if isinstance(self.choice, str) else "return_above_baseline"

    def sentence(self, chance: float) -> str:
        """Return what a reader has to know of it."""
        known = f"A random policy's mean return on the same seeds is {chance:.6g}"
        taken = self.value(chance)
        if taken == 0:
            return f"{known}, which counts as guessing."
        if not isinstance(self.choice, str):
            return f"{known}; {taken:.6g} is taken from every return, as `baseline` asks."
        reason = ", as it is below 0" if self.choice == AUTO else ""
        return (
            f"{known}; it is taken from every return{reason}, so that a random policy scores 0 and "
            "scores are shares of what the policy has learnt."
        )


def as_baseline(value: object) -> Baseline:
    """Return a baseline from a name, a number or None, which takes nothing.

    Raises:
        SettingError: For anything else.
    """
    if value is None:
        return Baseline(0.0)
    if isinstance(value, str):
        if value not in (AUTO, RANDOM):
            raise SettingError(unknown("`baseline`", value, (AUTO, RANDOM)))
        return Baseline(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise SettingError(
            f"Expected `baseline` to be 'auto', 'random', None or a number, got {value!r:.80}."
        )
    return Baseline(float(value))


def random_return(player: Player, episodes: int) -> float:
    """Return the mean return of actions that are drawn at random, without stress.

    Args:
        player: Has the environment, the seeds and the limit of steps.
        episodes: How many.
    """
    environment = player.environment(0, stressed=False)
    total = 0.0
    for number in range(episodes):
        seed = player.seed + number
        environment.action_space.seed(seed)
        begin_episode(environment, seed)
        for _ in range(player.most):
            _, reward, over = take_step(environment, environment.action_space.sample(), seed)
            total += reward
            if over:
                break
    return total / episodes
