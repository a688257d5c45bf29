"""Environments: made from an id or a function, checked, and shifted."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from hormesis.errors import DataError, HormesisError, MissingExtraError, SettingError, quoted

MakeEnvironment = str | Callable[[], Any]
"""The id of an environment, or a function without arguments that makes a new one."""
DEFAULT_STEPS = 1000  # of an environment without a limit of its own
_NEEDED = ("reset", "step", "observation_space", "action_space")
_MUJOCO = ("gravity", "mass", "friction", "damping")


def check_maker(make: object, name: str = "make_env") -> None:
    """Refuse what makes no environment, without calling it.

    Args:
        make: See ``MakeEnvironment``.
        name: Of the argument, for messages.

    Raises:
        SettingError: Saying what came.
    """
    made = hasattr(make, "step") and not isinstance(make, type)
    if isinstance(make, str) or (callable(make) and not made):
        return
    remedy = "pass a function that makes a new one, as `lambda: ...`, which every episode needs"
    what = "an environment" if made else type(make).__name__
    raise SettingError(
        f"Expected `{name}` to be the id of an environment or a function that makes one, got "
        f"{what}: {remedy}."
    )


def new_environment(make: MakeEnvironment) -> Any:  # noqa: ANN401
    """Return a new environment.

    Args:
        make: Its id, or a function.

    Raises:
        MissingExtraError: If gymnasium is needed and not installed.
        SettingError: If it cannot be made, or is none of gymnasium's form.
    """
    name = spell_maker(make)
    try:
        made = _gymnasium_make(make) if isinstance(make, str) else make()
    except HormesisError:
        raise
    except Exception as error:  # anything may come out of code that is not ours
        raise SettingError(f"The environment {name} could not be made: {quoted(error)}") from error
    if hasattr(made, "num_envs"):
        raise SettingError(
            f"Expected {name} to make a single environment, got a vector of {made.num_envs}: "
            "episodes run side by side by themselves."
        )
    missing = [one for one in _NEEDED if not hasattr(made, one)]
    if missing:
        raise SettingError(
            f"Expected {name} to make an environment as gymnasium's are, got "
            f"{type(made).__name__} without `{missing[0]}`."
        )
    return made


def _gymnasium_make(name: str) -> Any:  # noqa: ANN401
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtraError(
            "An environment by its id needs gymnasium: run `pip install 'hormesis[rl]'`."
        ) from error
    return gymnasium.make(name, disable_env_checker=True)


def spell_maker(make: MakeEnvironment) -> str:
    """Return what messages call an environment.

    Example:
        >>> spell_maker("CartPole-v1")
        'CartPole-v1'
    """
    if isinstance(make, str):
        return make
    name = getattr(make, "__name__", "") or type(make).__name__
    return "`make_env`" if name == "<lambda>" else str(getattr(make, "spelt", name))


def identity_of(make: MakeEnvironment | None) -> str:
    """Return what tells an environment from others: its id, or the code that makes it."""
    if make is None or isinstance(make, str):
        return str(make)
    try:
        return inspect.getsource(make)
    except (OSError, TypeError):
        return getattr(make, "__qualname__", "") or repr(make)


def most_steps(environment: Any, given: int | None) -> tuple[int, bool]:  # noqa: ANN401
    """Return the steps after which an episode ends, and whether that is only our default.

    Args:
        environment: Its ``spec`` may have a limit.
        given: The user's limit.
    """
    own = getattr(getattr(environment, "spec", None), "max_episode_steps", None)
    if given is not None:
        return given, False
    return (DEFAULT_STEPS, True) if own is None else (int(own), False)


def begin_episode(environment: Any, seed: int) -> Any:  # noqa: ANN401
    """Return the first observation of an episode.

    Raises:
        DataError: If the environment fails, or does not return an observation and a dictionary.
    """
    try:
        returned = environment.reset(seed=seed)
    except Exception as error:  # anything may come out of code that is not ours
        raise DataError(
            f"The environment failed in `reset` with the seed {seed}: {quoted(error)}"
        ) from error
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DataError(
            "Expected `reset` of the environment to return an observation and a dictionary, as "
            f"gymnasium has it, got {type(returned).__name__}."
        )
    return returned[0]


def take_step(environment: Any, action: Any, seed: int) -> tuple[Any, float, bool]:  # noqa: ANN401
    """Return the next observation, the reward and whether the episode is over.

    Args:
        environment: In the middle of an episode.
        action: What is done.
        seed: Of the episode, for messages.

    Raises:
        DataError: If the environment fails, returns another form, or a reward that is not finite.
    """
    try:
        observation, reward, terminated, truncated, _ = environment.step(action)
        reward = float(reward)
    except Exception as error:  # anything may come out of code that is not ours
        raise DataError(
            f"The environment failed in `step` in the episode of the seed {seed}: {quoted(error)}"
        ) from error
    if not np.isfinite(reward):
        raise DataError(f"Expected finite rewards, got {reward} in the episode of the seed {seed}.")
    return observation, reward, bool(terminated) or bool(truncated)


@dataclass(frozen=True)
class ShiftedEnvironment:
    """Makes an environment whose physical quantities are multiplied, see ``shifted``.

    Args:
        make: The environment as it was.
        factors: What each quantity is multiplied by.
    """

    make: MakeEnvironment
    factors: Mapping[str, float | int] = field(default_factory=dict)

    @property
    def spelt(self) -> str:
        """What messages call it."""
        changes = ", ".join(f"{name} × {factor:g}" for name, factor in self.factors.items())
        return f"{spell_maker(self.make)} with {changes}"

    def __call__(self) -> Any:  # noqa: ANN401
        """Return a new one.

        Raises:
            SettingError: For a quantity that the environment does not have.
        """
        environment = new_environment(self.make)
        inner = environment.unwrapped
        change = partial(_multiply_mujoco, inner.model) if hasattr(inner, "model") else None
        for name, factor in self.factors.items():
            if change is not None and name in _MUJOCO:
                change(name, factor)
                continue
            value = getattr(inner, name, None)
            if isinstance(value, bool) or not isinstance(value, int | float):
                own = [one for one, it in vars(inner).items() if type(it) in (int, float)]
                known = _MUJOCO if change is not None else sorted(own)
                raise SettingError(
                    f"The environment {spell_maker(self.make)} has no number {name!r} to be "
                    f"shifted. Known: {', '.join(known)}."
                )
            setattr(inner, name, value * factor)
        return environment


def shifted(make: MakeEnvironment, factors: Mapping[str, float | int]) -> ShiftedEnvironment:
    """Return a function that makes an environment with other physics, as a stress.

    Of MuJoCo, ``gravity``, ``mass`` (of every body, with its inertia), ``friction`` (of every
    geometry) and ``damping`` (of every joint) are known. Of other environments, any attribute that
    is a number can be named; those that were computed from it when the environment was made are
    not computed anew, and have to be named as well.

    Args:
        make: The id of an environment, or a function that makes one.
        factors: What each quantity is multiplied by.

    Raises:
        SettingError: For a factor that is no finite number, or when an environment without such a
            quantity is made.

    Example:
        >>> shifted("CartPole-v1", {"gravity": 1.5}).spelt
        'CartPole-v1 with gravity × 1.5'
    """
    check_maker(make)
    if not isinstance(factors, Mapping) or not factors:
        raise SettingError(
            "Expected `factors` to be such as `{'gravity': 1.5}`, got "
            f"{type(factors).__name__} {factors!r:.80}."
        )
    for name, factor in factors.items():
        number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if not number or not np.isfinite(factor):
            raise SettingError(f"Expected the factor of {name!r} to be a number, got {factor!r}.")
    return ShiftedEnvironment(make, dict(factors))


def _multiply_mujoco(model: Any, name: str, factor: float | int) -> None:  # noqa: ANN401
    """Multiply a quantity of a MuJoCo model in place."""
    if name == "gravity":
        model.opt.gravity[:] *= factor
    elif name == "mass":
        model.body_mass[:] *= factor
        model.body_inertia[:] *= factor
    elif name == "friction":
        model.geom_friction[:] *= factor
    else:
        model.dof_damping[:] *= factor
