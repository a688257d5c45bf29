"""Reinforcement learning: policies measured by the returns of episodes.

Example:
    >>> import hormesis as hm
    >>> episodes = hm.rl.Episodes("CartPole-v1", episodes=20, stress=hm.rl.Noise(0.5))
    >>> episodes.samples
    20
"""

from hormesis.rl.environments import shifted
from hormesis.rl.episodes import Episodes
from hormesis.rl.perturbations import Noise, Perturbation

__all__ = ["Episodes", "Noise", "Perturbation", "shifted"]
