"""Policies: how a network turns observations into the outputs that actions follow from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.errors import HormesisError, ModelError, SettingError, quoted

_LIBRARIES = ("stable_baselines3", "sb3_contrib")


@dataclass(frozen=True)
class Standardisation:
    """Observations as a policy saw them in training: ``clip((x - mean) / sqrt(variance + tiny))``.

    Args:
        mean: Of each value of an observation.
        variance: Of the same values.
        clip: Largest magnitude afterwards.
        tiny: What ``VecNormalize`` calls ``epsilon``.
    """

    mean: Float[Tensor, " *shape"]
    variance: Float[Tensor, " *shape"]
    clip: float = 10.0
    tiny: float = 1e-8

    def __call__(self, observations: Float[Tensor, " batch *shape"]) -> Tensor:
        """Return the observations in the units of the policy, in double precision."""
        device = observations.device
        mean, variance = self.mean.to(device), self.variance.to(device)
        scaled = (observations.double() - mean) / (variance + self.tiny).sqrt()
        return scaled.clamp(-self.clip, self.clip)


def as_standardisation(value: Any) -> Standardisation | None:  # noqa: ANN401
    """Return what ``normalize`` stands for: a pair of mean and variance, or a ``VecNormalize``.

    Args:
        value: ``(mean, variance)``, an object with ``obs_rms``, or None.

    Raises:
        SettingError: For anything else.

    Example:
        >>> standardise = as_standardisation((np.zeros(2), np.full(2, 4.0)))
        >>> standardise(torch.tensor([[1.0, 50.0]])).round(decimals=4).tolist()
        [[0.5, 10.0]]
    """
    if value is None or isinstance(value, Standardisation):
        return value
    statistics = getattr(value, "obs_rms", None)
    if statistics is not None and not isinstance(statistics, dict):
        pair, options = (statistics.mean, statistics.var), (value.clip_obs, value.epsilon)
    else:
        pair, options = value, ()
    try:
        mean, variance = (torch.as_tensor(np.asarray(one, dtype=np.float64)) for one in pair)
    except (TypeError, ValueError):
        raise SettingError(
            "Expected `normalize` to be the mean and the variance of observations, or a "
            f"`VecNormalize`, got {type(value).__name__}."
        ) from None
    if mean.shape != variance.shape or not bool((variance >= 0).all()):
        raise SettingError(
            "Expected `normalize` to be a mean and a variance of one shape, no variance below 0, "
            f"got shapes {list(mean.shape)} and {list(variance.shape)}."
        )
    return Standardisation(mean, variance, *options)


def statistics_of(network: object) -> Standardisation | None:
    """Return the statistics of observations that a model of stable-baselines3 was trained with."""
    find = getattr(network, "get_vec_normalize_env", None)
    found = find() if callable(find) else None
    return as_standardisation(found) if getattr(found, "norm_obs", False) else None


class Policy(nn.Module):
    """A network as a policy: from observations, as the environment gives them, to outputs.

    Args:
        network: Any module whose output is the logits, Q-values or means of actions; or the
            ``policy`` of stable-baselines3.
        standardisation: Applied to observations first.
    """

    def __init__(self, network: nn.Module, standardisation: Standardisation | None = None) -> None:
        """Keep the network as it is."""
        super().__init__()
        self.network, self.standardisation = network, standardisation

    def forward(
        self, observations: Tensor, *, value: bool = False
    ) -> Float[Tensor, "batch outputs"]:
        """Return the outputs for each observation, flat.

        Args:
            observations: As the environment gives them.
            value: Return what the critic expects instead.

        Raises:
            ModelError: If the network fails, or does not return one row of numbers each.
        """
        if value:
            return self._values(observations)
        try:
            outputs = _outputs(self.network, self._seen(observations))
        except HormesisError:
            raise
        except Exception as error:  # anything may come out of a network that is not ours
            raise ModelError(
                f"The policy failed on observations of shape {list(observations.shape)}: "
                f"{quoted(error)}"
            ) from error
        if not isinstance(outputs, Tensor) or outputs.shape[:1] != observations.shape[:1]:
            got = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ModelError(
                "Expected the policy to return one row of logits, Q-values or means an "
                f"observation, got {got} for {len(observations)} observations: pass the part of it "
                "that acts."
            )
        kind = torch.promote_types(outputs.dtype, torch.float32)  # which NumPy knows
        return outputs.reshape(len(outputs), -1).to(observations.device, kind)

    def _values(self, observations: Tensor) -> Float[Tensor, "batch 1"]:
        critic = getattr(self.network, "predict_values", None)
        if critic is None:
            raise ModelError(
                "Expected a policy with a critic, a method `predict_values` from observations to "
                f"values, for the aim 'value', got {type(self.network).__name__}."
            )
        values = critic(self._seen(observations))
        return values.reshape(len(observations), 1).to(observations.device)

    @property
    def squashed(self) -> bool:
        """Whether outputs run from -1 to 1, whatever the bounds of actions are."""
        return _is_of_library(self.network) and bool(getattr(self.network, "squash_output", False))

    @property
    def log_deviations(self) -> Tensor | None:
        """The logarithms of the standard deviations of a Gaussian policy, if it has any."""
        found = getattr(self.network, "log_std", None)
        return found if isinstance(found, Tensor) and found.ndim == 1 else None

    def _seen(self, observations: Tensor) -> Tensor:
        """Return observations as the network takes them: in its units, on its device, its type."""
        seen = observations if self.standardisation is None else self.standardisation(observations)
        parameter = next(self.network.parameters(), None)
        if parameter is None:
            return seen
        kind = parameter.dtype if seen.is_floating_point() else seen.dtype
        return seen.to(device=parameter.device, dtype=kind)


@contextmanager
def with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Give a network other weights within the block; they come back bit for bit.

    Args:
        network: Any network, filtered in place.
        weights: Those of its parameters that differ, as they were.

    Example:
        >>> network = nn.Linear(1, 1)
        >>> with with_weights(network, {"bias": torch.tensor([5.0])}):
        ...     network.bias.item()
        5.0
    """
    parameters = {name: network.get_parameter(name) for name in weights}
    originals = {name: one.detach().clone() for name, one in parameters.items()}
    try:
        with torch.no_grad():
            for name, one in parameters.items():
                one.copy_(weights[name])
        yield
    finally:
        with torch.no_grad():
            for name, one in parameters.items():
                one.copy_(originals[name])


def _is_of_library(network: object) -> bool:
    return any(kind.__module__.partition(".")[0] in _LIBRARIES for kind in type(network).__mro__)


def _outputs(network: Any, observations: Tensor) -> Any:  # noqa: ANN401
    """Return the outputs of a network; of stable-baselines3, those that actions are made of."""
    if not _is_of_library(network):
        return network(observations)
    if hasattr(network, "lstm_actor"):
        raise ModelError(
            "Expected a policy that sees the observation alone, got the recurrent "
            f"{type(network).__name__}: measure it by a `hormesis.Evaluation` that keeps its state."
        )
    if hasattr(network, "action_net"):  # A2C, PPO; see ActorCriticPolicy.get_distribution
        shared = network.share_features_extractor
        features = network.extract_features(observations)
        features = features if shared else features[0]
        return network.action_net(network.mlp_extractor.forward_actor(features))
    if hasattr(network, "q_net"):  # DQN
        return network.q_net(observations)
    if hasattr(network, "actor"):
        samples = hasattr(network.actor, "action_dist")  # SAC; the actor of TD3 and DDPG does not
        options = {"deterministic": True} if samples else {}
        return network.actor(observations, **options)
    raise ModelError(
        f"Expected a policy of A2C, PPO, DQN, SAC, TD3 or DDPG, got {type(network).__name__}: wrap "
        "it in a `torch.nn.Module` from observations to logits, Q-values or means."
    )
