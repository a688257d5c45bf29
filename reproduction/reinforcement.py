"""Looks for antifragile parameters in reinforcement learning: does filtering raise the return?

Trains PPO policies on Hopper of MuJoCo (stable-baselines3, its own settings), one
for each seed; a seed whose file is there is not trained again.

    python reproduction/reinforcement.py --folder runs/hopper --train
"""

import argparse
from pathlib import Path

import gymnasium as gym
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

ENVIRONMENT = "Hopper-v5"
SEEDS = (0, 1, 2)
STEPS = 300_000


def train(file: Path, seed: int, steps: int) -> None:
    """Train a policy and save its weights and the statistics of its observations.

    Args:
        file: The file to write, for ``torch.load(..., weights_only=True)``.
        seed: Of the initial weights, of the environment and of the actions.
        steps: Of the environment.
    """
    environment = VecNormalize(DummyVecEnv([lambda: Monitor(gym.make(ENVIRONMENT))]))
    environment.seed(seed)
    model = PPO("MlpPolicy", environment, seed=seed, device="cpu", verbose=1)
    model.learn(steps, log_interval=10)
    environment.training, environment.norm_reward = False, False
    returns, _ = evaluate_policy(model, environment, 20, return_episode_rewards=True)
    print(f"Seed {seed}: mean return of 20 episodes {sum(returns) / len(returns):.0f}", flush=True)
    statistics = environment.obs_rms
    content = {
        "policy": model.policy.state_dict(),
        "mean": torch.from_numpy(statistics.mean),
        "variance": torch.from_numpy(statistics.var),
        "steps": steps,
    }
    part = file.with_suffix(".part")
    torch.save(content, part)
    part.rename(file)


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--train", action="store_true", help="only train")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for seed in SEEDS:
        file = options.folder / f"hopper-{seed}.pt"
        if not file.exists():
            train(file, seed, options.steps)


if __name__ == "__main__":
    main()
