"""Episodes played side by side, so that one forward pass serves a step of them all.

A result must not depend on which other episodes are measured at the same time, down to the last
bit, but products of matrices may round a row by the size of the batch and by its place in it. So
every forward pass has the same number of rows, and an episode always has the same one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.errors import ModelError
from hormesis.rl.environments import MakeEnvironment, begin_episode, new_environment, take_step
from hormesis.rl.perturbations import ADAPTIVE, Rows, Stress
from hormesis.rl.policies import Policy, Standardisation, with_weights
from hormesis.rl.spaces import BOX, MULTI_BINARY, Actions, Observations

_STEPS = 2**24  # more than an episode has
_NOISE, _ACTIONS = 3, 4  # keep these draws apart from others made with the same seed
_NOISES = {BOX: "standard_normal", MULTI_BINARY: "logistic"}  # whose largest is a draw: Gumbel's


@dataclass(frozen=True)
class Player:
    """Plays episodes by their numbers, and returns what each of them earned.

    Args:
        make: Makes the environment.
        seed: Episode ``i`` is reset with the seed ``seed + i``.
        most: Steps after which an episode ends.
        rows: Of every forward pass.
        deterministic: Whether actions are not drawn.
        standardisation: Of observations, in front of the policy.
        stress: What observations are stressed by.
        scale: What a change of 1 is for each value of an observation.
        weights: Those of the unfiltered policy, which a fixed adversary attacks.
        stressed_make: Makes the environment of stressed episodes, if that is another.
        baseline: A return that is taken from every other.
        environments: Those that were made, by stress and row.
    """

    make: MakeEnvironment
    seed: int
    most: int
    rows: int
    deterministic: bool = True
    standardisation: Standardisation | None = None
    stress: Stress | None = None
    scale: Tensor | None = None
    weights: Mapping[str, Tensor] | None = None
    stressed_make: MakeEnvironment | None = None
    baseline: float = 0.0
    environments: dict[tuple[bool, int], Any] = field(default_factory=dict, compare=False)

    def __call__(self, network: nn.Module, numbers: list[int], stressed: bool) -> list[float]:
        """Return the return of each episode, above the baseline.

        Args:
            network: The policy, filtered or not.
            numbers: Of the episodes.
            stressed: Whether observations or the environment are stressed.
        """
        returns: dict[int, float] = {}
        for group in self._groups(numbers):
            for number, episode in self.play(network, group, stressed=stressed).items():
                returns[number] = episode.earned - self.baseline
        return [returns[number] for number in numbers]

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels to another process, which makes its own environments."""
        return {**vars(self), "environments": {}}

    def play(
        self,
        network: nn.Module,
        numbers: Sequence[int],
        *,
        stressed: bool,
        spread: "ObservationSpread | None" = None,
    ) -> "dict[int, Episode]":
        """Return some episodes, no two of which share a row.

        Args:
            network: The policy, filtered or not.
            numbers: Of the episodes.
            stressed: Whether they are stressed.
            spread: Counts what is seen.
        """
        policy = Policy(network, self.standardisation)
        episodes = {
            number: Episode(self.environment(number % self.rows, stressed), self.seed + number)
            for number in numbers
        }
        actions = Actions(episodes[numbers[0]].environment.action_space, policy.squashed)
        look = Observations(episodes[numbers[0]].environment.observation_space)
        parameters, weights = dict(network.named_parameters()), self.weights or {}
        changed = {
            name: own for name, own in weights.items() if not torch.equal(own, parameters[name])
        }
        for count in range(self.most):
            running = {number: one for number, one in episodes.items() if not one.over}
            if not running:
                break
            numbered = self._numbered(running)
            seen = look.tensor([episodes[number].observation for number in numbered])
            if spread is not None:
                spread.add(seen[[number % self.rows for number in running]])
            if stressed and self.stress is not None:
                seen = self._stressed(policy, seen, running, count, changed)
            with torch.no_grad():
                outputs = policy(seen)
            self._check(outputs, running, actions)
            if not self.deterministic:
                outputs = self._drawn(policy, outputs, episodes, numbered, actions)
            chosen = actions.chosen(outputs)
            for number, episode in running.items():
                episode.go_on(chosen[number % self.rows])
        return episodes

    def environment(self, row: int, stressed: bool) -> Any:  # noqa: ANN401
        """Return the environment of a row, made when it is first needed."""
        other = stressed and self.stressed_make is not None
        if (other, row) not in self.environments:
            make = self.stressed_make if other and self.stressed_make is not None else self.make
            self.environments[other, row] = new_environment(make)
        return self.environments[other, row]

    def _groups(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Yield episodes in groups of which no two share a row."""
        left = list(dict.fromkeys(numbers))
        while left:
            group = list({number % self.rows: number for number in reversed(left)}.values())
            yield sorted(group)
            taken = set(group)
            left = [number for number in left if number not in taken]

    def _numbered(self, running: "dict[int, Episode]") -> list[int]:
        """Return the number of the episode whose observation each row shows; any, where none."""
        anyone = next(iter(running))
        by_row = {number % self.rows: number for number in running}
        return [by_row.get(row, anyone) for row in range(self.rows)]

    def _stressed(
        self,
        policy: Policy,
        seen: Tensor,
        running: "dict[int, Episode]",
        count: int,
        changed: Mapping[str, Tensor],
    ) -> Tensor:
        """Return the observations as the stress leaves them."""
        assert self.stress is not None
        environment = next(iter(running.values())).environment
        low, high = Observations(environment.observation_space).limits(seen)
        scale = torch.ones_like(low) if self.scale is None else self.scale.to(seen)
        numbered = self._numbered(running)
        rows = Rows(
            Actions(environment.action_space, policy.squashed),
            low,
            high,
            scale,
            self.seed,
            torch.tensor([number * _STEPS + count for number in numbered]),
            {number * _STEPS + count: one.noise for number, one in running.items()},
        )
        with with_weights(policy.network, {} if self.stress.adversary == ADAPTIVE else changed):
            return self.stress.perturbed(policy, seen, rows)

    def _check(self, outputs: Tensor, running: "dict[int, Episode]", actions: Actions) -> None:
        """Refuse outputs of another number, and those that are no numbers."""
        if outputs.shape[1] != actions.outputs:
            raise ModelError(
                f"Expected the policy to return {actions.outputs} outputs for the action space "
                f"{actions.space!r:.80}, got {outputs.shape[1]}."
            )
        if bool(outputs.isfinite().all()):
            return
        for number, episode in running.items():
            if not bool(outputs[number % self.rows].isfinite().all()):
                raise ModelError(
                    "Expected the policy to return finite outputs, got NaN or infinity in the "
                    f"episode of the seed {episode.seed}, step {episode.steps}."
                )

    def _drawn(
        self,
        policy: Policy,
        outputs: Tensor,
        episodes: "dict[int, Episode]",
        numbered: Sequence[int],
        actions: Actions,
    ) -> Tensor:
        """Return outputs with noise, so that their actions are drawn as the policy has them."""
        draws = np.zeros(outputs.shape)
        for number in dict.fromkeys(numbered):
            generator = episodes[number].generator
            draw = getattr(generator, _NOISES.get(actions.kind, "gumbel"))
            draws[number % self.rows] = draw(size=outputs.shape[1])
        noise = torch.from_numpy(draws).to(outputs)
        if actions.kind != BOX:
            return outputs + noise
        logs = policy.log_deviations
        if logs is None:
            raise ModelError(
                "Expected a policy with `log_std`, the logarithms of its standard deviations, to "
                "draw actions from: pass `deterministic=True`."
            )
        return outputs + logs.detach().to(outputs).exp() * noise


class Episode:
    """One episode: where it is, and what it has earned."""

    def __init__(self, environment: Any, seed: int) -> None:  # noqa: ANN401
        """Begin with the first observation.

        Args:
            environment: Its environment.
            seed: Of the environment, and of actions that are drawn.
        """
        self.environment, self.seed = environment, seed
        self.observation = begin_episode(environment, seed)
        self.earned, self.steps, self.over = 0.0, 0, False
        self.generator = np.random.default_rng((_ACTIONS, seed))
        self.noise = np.random.default_rng((_NOISE, seed))

    def go_on(self, action: Any) -> None:  # noqa: ANN401
        """Take one step."""
        self.observation, reward, self.over = take_step(self.environment, action, self.seed)
        self.earned += reward
        self.steps += 1


class ObservationSpread:
    """How far observations spread, value by value, counted as they come."""

    def __init__(self) -> None:
        """Begin with none."""
        self.count, self.start = 0, None
        self.sums, self.squares = torch.zeros(()), torch.zeros(())

    def add(self, observations: Tensor) -> None:
        """Count some observations."""
        rows = observations.double()
        if self.start is None:
            self.start = rows[0]
        rows = rows - self.start  # so that little is lost where the spread is small
        self.count += len(rows)
        self.sums, self.squares = self.sums + rows.sum(dim=0), self.squares + rows.square().sum(0)

    def deviations(self) -> Tensor:
        """Return the standard deviation of each value."""
        mean = self.sums / self.count
        return (self.squares / self.count - mean.square()).clamp(min=0).sqrt()
