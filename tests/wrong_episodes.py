"""Episodes and their stress as users get them wrong, see ``wrong_inputs``."""

# Types are among what users get wrong.
# pyright: reportArgumentType=false

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from torch import Tensor, nn

import hormesis as hm

Case = tuple[str, str, dict[str, Any] | Callable[[], dict[str, Any]]]
POLICY = nn.Linear(4, 2)


class Calls(nn.Module):
    """A policy that is a function of its layer and of observations."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, 2), function

    def forward(self, seen: Tensor) -> Any:
        return self.function(self.layer, seen)


def broken() -> Any:
    raise ZeroDivisionError("my own trouble")


class Moody(gym.Env[Any, Any]):
    """Draws from a generator of its own, whatever the seed; each kind has its own fault."""

    observation_space: Any = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space: Any = gym.spaces.Discrete(2)
    drawn = np.random.default_rng(0)

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seen = (self.drawn if self.fault == "seed" else self.np_random).random(4)
        return self.seen if self.fault == "reset" else (self.seen, {})

    def step(self, action: Any) -> Any:
        if self.fault == "step":
            raise RuntimeError("the arm broke")
        reward = float("nan") if self.fault == "reward" else 1.0
        ends = (True,) if self.fault == "four" else (True, False)
        return self.seen, reward, *ends, {}


class Dictionary(Moody):
    observation_space: Any = gym.spaces.Dict({"position": Moody.observation_space})


class Numbered(Moody):
    observation_space: Any = gym.spaces.Discrete(4)


class Words(Moody):
    action_space: Any = gym.spaces.Text(5)


class Real(Moody):
    action_space: Any = gym.spaces.Box(-1, 1, (2,), np.float32)


def playing(make: Any, network: Any = POLICY, **options: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"network": network, "data": hm.rl.Episodes(make, episodes=4, **options)}


def stressed(stress: Callable[[], Any], make: Any = lambda: Moody("")) -> Callable[[], Any]:
    return lambda: playing(make, stress=stress())()


EPISODES: list[Case] = [
    ("an environment", "`make_env`|lambda", playing(Moody(""))),
    ("a number", "`make_env`|int", playing(5)),
    ("unknown id", "CartPol-v1", playing("CartPol-v1")),
    ("fails to be made", "could not be made|my own trouble", playing(broken)),
    ("makes none", "int|`reset`", playing(lambda: 5)),
    ("makes a vector", "vector of 2", playing(lambda: gym.make_vec("CartPole-v1", num_envs=2))),
    ("dictionaries", "FlattenObservation", playing(lambda: Dictionary(""))),
    ("actions in words", "Text", playing(lambda: Words(""))),
    ("ignores its seed", "in two ways|np_random", playing(lambda: Moody("seed"))),
    ("old reset", "`reset`|dictionary", playing(lambda: Moody("reset"))),
    ("old step", "`step`", playing(lambda: Moody("four"))),
    ("fails in a step", "`step`|the arm broke", playing(lambda: Moody("step"))),
    ("NaN reward", "finite rewards|nan", playing(lambda: Moody("reward"))),
    ("too few outputs", "2 outputs|got 1", playing(lambda: Moody(""), nn.Linear(4, 1))),
    ("other observations", "[64, 4]|policy", playing(lambda: Moody(""), nn.Linear(5, 2))),
    ("a tuple", "row|tuple", playing(lambda: Moody(""), Calls(lambda layer, x: (layer(x), x)))),
    ("NaN actions", "finite outputs|step 0", playing(
        lambda: Moody(""), Calls(lambda layer, x: layer(x) * float("nan")),
    )),
    ("too few episodes", "`episodes`", lambda: {"data": hm.rl.Episodes("CartPole-v1", episodes=1)}),
    ("negative seed", "`seed`", playing("CartPole-v1", seed=-1)),
    ("no rows", "`rows`", playing("CartPole-v1", rows=0)),
    ("no steps", "`max_steps`", playing("CartPole-v1", max_steps=0)),
    ("unknown baseline", "`baseline`|randm|random", playing("CartPole-v1", baseline="randm")),
    ("statistics in words", "`normalize`", playing("CartPole-v1", normalize="mean")),
    ("statistics of two shapes", "one shape", playing(
        "CartPole-v1", normalize=(np.zeros(4), np.ones(3)),
    )),
    ("an attack as stress", "Perturbation", playing("CartPole-v1", stress=hm.FGSM(0.1))),
    ("epsilon auto", "`epsilon`|auto", stressed(lambda: hm.rl.Perturbation(hm.FGSM()))),
    ("unknown aim", "`aim`|valu", stressed(lambda: hm.rl.Perturbation(aim="valu"))),
    ("unknown adversary", "adversary|fix", stressed(lambda: hm.rl.Perturbation(adversary="fix"))),
    ("unknown noise", "kind|white", stressed(lambda: hm.rl.Noise(0.1, "white"))),
    ("scale in words", "`scale`", stressed(lambda: hm.rl.Noise(0.1, scale="max"))),
    ("scale of another shape", "`scale`|[4]|[3]", stressed(
        lambda: hm.rl.Noise(0.1, scale=[1.0] * 3),
    )),
    ("no critic", "predict_values", stressed(lambda: hm.rl.Perturbation(aim="value"))),
    ("numbers perturbed", "`stressed_env`", lambda: {
        **playing(lambda: Numbered(""), nn.Embedding(4, 2), stress=hm.rl.Noise(0.1))(),
    }),
    ("no random start", "random start", stressed(
        lambda: hm.rl.Perturbation(hm.PGD(0.1, random_start=False)), lambda: Real(""),
    )),
    ("another action space", "`stressed_env`|action space", playing(
        lambda: Moody(""), stressed_env=lambda: Real(""),
    )),
    ("with an attack", "no `attack`", lambda: {**playing("CartPole-v1")(), "attack": hm.PGD(0.1)}),
    ("adversary of the sweep", "`adversary`|Perturbation", lambda: {
        **stressed(lambda: hm.rl.Noise(0.1))(), "sweep": hm.Sweep(adversary="adaptive"),
    }),
    ("draws without deviations", "log_std", playing(lambda: Real(""), deterministic=False)),
    ("no factors", "`factors`", lambda: {
        "data": hm.rl.Episodes(hm.rl.shifted("CartPole-v1", {})),
    }),
    ("factor in words", "'gravity'|number", lambda: {
        "data": hm.rl.Episodes(hm.rl.shifted("CartPole-v1", {"gravity": "big"})),
    }),
    ("no such quantity", "'mas'|masspole", playing(
        "CartPole-v1", stressed_env=hm.rl.shifted("CartPole-v1", {"mas": 2}),
    )),
]  # fmt: skip
