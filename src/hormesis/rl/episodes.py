"""Episodes of an environment, in place of data: the return of each is a sample's performance."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.data.evaluation import Evaluation
from hormesis.errors import DataError, SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.unwrapping import unwrapped
from hormesis.rl.baselines import Baseline, as_baseline, random_return
from hormesis.rl.environments import (
    DEFAULT_STEPS,
    MakeEnvironment,
    check_maker,
    identity_of,
    most_steps,
    spell_maker,
)
from hormesis.rl.perturbations import ADAPTIVE, FIXED, STD, Perturbation, Stress, stronger
from hormesis.rl.player import ObservationSpread, Player
from hormesis.rl.policies import Policy, as_standardisation, statistics_of
from hormesis.rl.spaces import Actions, Observations

_WATCHED = 10  # clean episodes that tell how far observations spread
_ROWS = 64
_RECHECKS = 2  # filtered policies: a few episodes take as long as all of them


class Episodes(Evaluation):
    """Episodes of an environment: what a policy is measured on, in place of data.

    Episode ``i`` is played in an environment that was reset with the seed ``seed + i``; its return,
    the sum of its rewards, is the performance of sample ``i``. Every filtered policy plays the same
    episodes, so that returns are paired.

    The policy that is analysed is any ``nn.Module`` from observations ``[batch, ...]`` to logits or
    Q-values (``Discrete``: the largest is the action) or to means (``Box``: clipped to its bounds),
    or a model of stable-baselines3.

    Args:
        make_env: The id of an environment of gymnasium, or a function that makes a new one.
        episodes: How many, at least 2.
        seed: Of the first; each further one has the next.
        stress: What observations are stressed by: a ``Perturbation`` or ``Noise``.
        stressed_env: An environment that takes the place of the first under stress, see
            ``shifted``.
        baseline: What is taken from every return: ``"auto"`` takes the mean return of a random
            policy on the same seeds if that is below 0, ``"random"`` always does; None nothing; a
            number itself. Scores are relative to the unfiltered policy's performance, which has to
            mean something.
        max_steps: Steps after which an episode ends; the environment's own limit by default, and
            1,000 where it has none.
        normalize: How observations are standardised for the policy: ``(mean, variance)``, or a
            ``VecNormalize``. That of a model of stable-baselines3 is found by itself.
        deterministic: Take the likeliest action instead of drawing one.
        rows: Of every forward pass, at least 1: as many episodes run side by side.
        identity: Text that tells the environment from others where its code does not.

    Raises:
        SettingError: For a setting that cannot be used.

    Example:
        >>> episodes = Episodes("CartPole-v1", episodes=20)
        >>> episodes.samples, episodes.stressed
        (20, False)
    """

    def __init__(
        self,
        make_env: MakeEnvironment,
        *,
        episodes: int = 50,
        seed: int = 0,
        stress: Stress | None = None,
        stressed_env: MakeEnvironment | None = None,
        baseline: str | float | int | None = "auto",
        max_steps: int | None = None,
        normalize: Any = None,  # noqa: ANN401
        deterministic: bool = True,
        rows: int = _ROWS,
        identity: str = "",
    ) -> None:
        """Check every setting; no environment is made before the analysis."""
        check_maker(make_env)
        if stressed_env is not None:
            check_maker(stressed_env, "stressed_env")
        counts = {"episodes": (episodes, 2), "seed": (seed, 0), "rows": (rows, 1)}
        counts |= {} if max_steps is None else {"max_steps": (max_steps, 1)}
        for name, (value, least) in counts.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(
                    f"Expected `{name}` to be a whole number of at least {least}, got {value!r}."
                )
        if stress is not None and not isinstance(stress, Stress):
            raise SettingError(
                "Expected `stress` to be such as `hormesis.rl.Perturbation(hormesis.FGSM(0.1))` or "
                f"`hormesis.rl.Noise(0.1)`, got {type(stress).__name__}."
            )
        standardisation = as_standardisation(normalize)
        player = Player(
            make_env,
            seed,
            DEFAULT_STEPS,
            rows,
            deterministic,
            standardisation,
            stress,
            stressed_make=stressed_env,
        )
        plan = _Plan(player, episodes, as_baseline(baseline), max_steps)
        super().__init__(
            player,
            samples=episodes,
            stressed=stress is not None or stressed_env is not None,
            name="return",
            identity=f"{identity}|{plan.described()}",
            prepare=partial(_prepare, plan, identity),
            data_name=spell_maker(make_env),
        )


@dataclass(frozen=True)
class _Plan:
    """The settings of episodes, before the policy is known.

    Args:
        player: With all that does not depend on the policy.
        episodes: How many.
        baseline: What is taken from returns.
        limit: The user's limit of steps.
    """

    player: Player
    episodes: int
    baseline: Baseline
    limit: int | None

    def described(self) -> str:
        """Return the settings as text, for the identity of the data."""
        player = self.player
        known = player.standardisation
        statistics = b"" if known is None else known.mean.numpy().tobytes()
        statistics += b"" if known is None else known.variance.numpy().tobytes()
        parts = (
            *(identity_of(player.make), identity_of(player.stressed_make)),
            *(self.episodes, player.seed, self.limit, player.rows, player.deterministic),
            *(self.baseline, None if player.stress is None else player.stress.described()),
            hashlib.sha256(statistics).hexdigest(),
        )
        return "|".join(str(part) for part in parts)


def _prepare(plan: _Plan, identity: str, network: object) -> Evaluation:
    """Return the evaluation of one policy: with its weights, and what a random one earns.

    Args:
        plan: The settings.
        identity: The user's.
        network: The policy as it was passed to ``analyze``, unfiltered.

    Raises:
        HormesisError: For an environment that cannot be used, or does not fit the policy.
    """
    inner = unwrapped(network)
    known = plan.player.standardisation or statistics_of(network)
    player = replace(plan.player, standardisation=known)
    with evaluation_mode(inner):
        environment = player.environment(0, stressed=False)
        most, is_default = most_steps(environment, plan.limit)
        player = replace(player, most=most)
        _check_spaces(player, inner)
        _check_seed(player, inner)
        player = replace(player, scale=_scale(player, inner, plan.episodes))
    chance = random_return(player, plan.episodes)
    taken = plan.baseline.value(chance)
    weights = {name: values.detach().clone() for name, values in inner.named_parameters()}
    player = replace(player, baseline=taken, weights=weights)
    notes = [*_notes(player, plan.episodes), plan.baseline.sentence(chance)]
    if is_default:
        notes.append(
            f"Episodes end after {most:,} steps, as the environment has no limit of its own: "
            "`max_steps` sets another."
        )
    evaluation = Evaluation(
        player,
        samples=plan.episodes,
        stressed=player.stress is not None or player.stressed_make is not None,
        name=plan.baseline.name(chance),
        chance=chance - taken,
        identity=f"{identity}|{replace(plan, player=player).described()}",
        data_name=spell_maker(player.make),
        notes=tuple(notes),
        adversary=FIXED if player.stress is None else player.stress.adversary,
        rechecks=_RECHECKS,
    )
    if not isinstance(player.stress, Perturbation):
        return evaluation
    return replace(evaluation, confirming=partial(_confirming, evaluation, player))


def _confirming(
    evaluation: Evaluation, player: Player, steps: int, restarts: int
) -> Mapping[str, Evaluation]:
    """Return the same episodes under the other adversary, and under a stronger one."""
    own = player.stress
    assert isinstance(own, Perturbation)
    other = {FIXED: ADAPTIVE, ADAPTIVE: FIXED}[own.adversary]
    stresses = {
        "adaptive" if other == ADAPTIVE else "transfer": replace(own, adversary=other),
        "restarts": stronger(own, steps, restarts),
    }
    return {
        attack: replace(evaluation, function=replace(player, stress=stress))
        for attack, stress in stresses.items()
    }


def _notes(player: Player, episodes: int) -> list[str]:
    """Return what a reader has to know, in sentences."""
    notes = [
        f"Performance is the return of {episodes} episodes of {spell_maker(player.make)}, reset "
        f"with the seeds {player.seed} to {player.seed + episodes - 1}."
    ]
    if player.standardisation is not None:
        notes.append(
            "Observations are standardised in front of the policy, as they were in training."
        )
    if player.stress is not None:
        notes.append(player.stress.sentence())
    if player.stressed_make is not None:
        notes.append(f"Under stress, the environment is {spell_maker(player.stressed_make)}.")
    return notes


def _check_spaces(player: Player, network: nn.Module) -> None:
    """Refuse observations and actions that do not fit the policy, the stress, or each other."""
    environment = player.environment(0, stressed=False)
    look = Observations(environment.observation_space)
    policy = Policy(network, player.standardisation)
    actions = Actions(environment.action_space, policy.squashed)
    own = getattr(network, "observation_space", None)
    if own is not None and getattr(own, "shape", None) != look.space.shape:
        raise SettingError(
            f"Expected observations of shape {list(own.shape or ())}, which the policy was trained "
            f"on, got {list(look.space.shape)} from {spell_maker(player.make)}: wrap the "
            "environment as it was in training."
        )
    if player.stress is not None:
        if not look.continuous:
            raise SettingError(
                "Expected observations that are real numbers for `stress`, got the observation "
                f"space {look.space!r:.80}: stress the environment with `stressed_env`."
            )
        player.stress.check(actions)
    if player.stressed_make is None:
        return
    other = player.environment(0, stressed=True)
    for name in ("observation_space", "action_space"):
        if getattr(other, name) != getattr(environment, name):
            raise SettingError(
                f"Expected `stressed_env` to have the {name.replace('_', ' ')} of the environment, "
                f"{getattr(environment, name)!r:.80}, got {getattr(other, name)!r:.80}."
            )


def _check_seed(player: Player, network: nn.Module) -> None:
    """Refuse an environment that plays one episode in two ways.

    Another episode comes in between, as nothing of it may be left behind.

    Raises:
        DataError: Saying so.
    """
    for stressed in (False, True)[: 1 + (player.stressed_make is not None)]:
        plain = replace(player, stress=None)  # which is our own
        ends = []
        for number in (0, player.rows, 0):  # of one row, and so of one environment
            episode = plain.play(network, [number], stressed=stressed)[number]
            ends.append((episode.earned, episode.steps, np.asarray(episode.observation)))
        first, _, again = ends
        same = first[:2] == again[:2] and np.array_equal(first[2], again[2], equal_nan=True)
        if not same:
            make = player.stressed_make if stressed and player.stressed_make else player.make
            raise DataError(
                f"The environment {spell_maker(make)} plays the episode of the seed {player.seed} "
                "in two ways: draw all that is random from `self.np_random`, which "
                "`reset(seed=...)` seeds, and set everything back in `reset`."
            )


def _scale(player: Player, network: nn.Module, episodes: int) -> Tensor | None:
    """Return what a change of 1 is for each value of an observation."""
    if player.stress is None:
        return None
    scale, space = player.stress.scale, player.environment(0, stressed=False).observation_space
    if not isinstance(scale, str):
        values = np.asarray(scale, dtype=np.float64)
        if values.ndim and values.shape != space.shape:
            raise SettingError(
                f"Expected `scale` to have the shape of an observation, {list(space.shape)}, got "
                f"{list(values.shape)}."
            )
        return torch.from_numpy(np.broadcast_to(values, space.shape).copy())
    assert scale == STD
    spread = ObservationSpread()
    for number in range(min(episodes, _WATCHED)):
        player.play(network, [number], stressed=False, spread=spread)
    return spread.deviations()
