"""Are there parameters of a policy whose removal raises its return under attack?

    python reproduction/reinforcement.py --folder runs/hopper

arXiv 2506.23036 says so of PPO policies in MuJoCo. This trains PPO on Hopper for three seeds
(stable-baselines3, its own settings), sweeps the three filters over every matrix of the policy
network, and attacks observations by FGSM with the gradients of the unfiltered policy.

Of many cells, the best one is good by chance, too. So of each seed the cell with the highest return
under attack is chosen on some episodes, and put to the test on others: under the same attack, under
one made anew against the filtered policy, and under PGD made anew; beside two controls, noise of
the same norm and the removal of as many values at random. A gain is one if its interval lies above
zero, at 95 % for all seeds together.

What is trained, measured or tested is not done again.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from scipy import stats
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import Tensor, nn

import hormesis as hm
from hormesis.stress.filters import Threshold, keep

ENVIRONMENT = "Hopper-v5"
SEEDS = (0, 1, 2)
STEPS = 300_000
EPSILON = 0.2  # standard deviations of an observation: the return falls by a third
TARGETS = ("mlp_extractor.policy_net.*.weight", "action_net.weight")
CHOSEN, PROVED = 16, 32  # episodes for the choice of a cell, and for the proof
FIRST_PROVED = 1000  # seed of the first of these
DRAWS = 1  # of each control
LEVEL = 1 - 0.05 / len(SEEDS)
PGD_STEPS = 10


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
    print(f"Seed {seed}: mean return of 20 episodes {np.mean(returns):.0f}", flush=True)
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


def load(file: Path) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return a trained policy, and the mean and variance of its observations."""
    content = torch.load(file, weights_only=True)
    policy = PPO("MlpPolicy", gym.make(ENVIRONMENT), device="cpu").policy
    policy.load_state_dict(content["policy"])
    return policy.eval().requires_grad_(False), (content["mean"], content["variance"])


def make_episodes(normalize: tuple[Tensor, Tensor], count: int, seed: int) -> hm.rl.Episodes:
    """Return episodes whose observations are perturbed by the fixed adversary."""
    return hm.rl.Episodes(
        ENVIRONMENT,
        episodes=count,
        seed=seed,
        rows=CHOSEN if count == CHOSEN else PROVED,
        normalize=normalize,
        stress=hm.rl.Perturbation(hm.FGSM(EPSILON)),
    )


def analyze(policy: nn.Module, normalize: tuple[Tensor, Tensor], out: Path) -> hm.Study:
    """Return the study of a policy: three filters, nine thresholds, every matrix that acts."""
    return hm.analyze(
        policy,
        make_episodes(normalize, CHOSEN, 0),
        targets=hm.Targets(include=TARGETS),
        sweep=hm.Sweep(thresholds=9),
        scoring=hm.Scoring(reference="base"),
        confirmation=hm.Confirmation(steps=PGD_STEPS, restarts=1, draws=DRAWS),
        execution=hm.Execution(progress=False, num_workers=1),
        out=out,
        name="PPO",
    )


def best_cell(study: hm.Study) -> dict[str, Any]:
    """Return the cell with the highest return under attack."""
    changed = study.responses.loc[study.responses["changed"]]
    return changed.sort_values("adversarial").iloc[-1].to_dict()


def forms_of(values: Tensor, cell: Mapping[str, Any]) -> dict[str, list[Tensor]]:
    """Return a tensor as the filter leaves it, and as the controls do, some draws of each."""
    names = ("filter", "step", "alpha", "lower", "upper")
    filtered = values * keep(values, Threshold(**{name: cell[name] for name in names}))
    norm, count = (values - filtered).norm(), int((values != filtered).sum())
    generator = torch.Generator().manual_seed(0)
    forms: dict[str, list[Tensor]] = {"unfiltered": [values], "filtered": [filtered]}
    forms |= {"noise": [], "random": []}
    for _ in range(DRAWS):
        noise = torch.randn(values.shape, generator=generator)
        forms["noise"].append(values + noise * norm / noise.norm())
        removed = values.flatten().clone()
        removed[torch.randperm(values.numel(), generator=generator)[:count]] = 0
        forms["random"].append(removed.view_as(values))
    return forms


@contextmanager
def holding(policy: nn.Module, name: str, values: Tensor) -> Iterator[None]:
    """Give a parameter other values within the block."""
    parameter = policy.get_parameter(name)
    original = parameter.clone()
    try:
        parameter.copy_(values)
        yield
    finally:
        parameter.copy_(original)


def prove(
    policy: nn.Module, normalize: tuple[Tensor, Tensor], cell: Mapping[str, Any]
) -> dict[str, dict[str, list[float]]]:
    """Return the returns of new episodes under each attack, of every form of the policy."""
    evaluation = make_episodes(normalize, PROVED, FIRST_PROVED)
    assert evaluation.prepare is not None
    fixed = evaluation.prepare(policy)
    assert fixed.confirming is not None
    anew = fixed.confirming(PGD_STEPS, 1)
    attacks = {
        "none": (fixed, False),
        "fixed FGSM": (fixed, True),
        "adaptive FGSM": (anew["adaptive"], True),
        "adaptive PGD": (anew["restarts"], True),
    }
    name, numbers = cell["target"], range(PROVED)
    forms = forms_of(policy.get_parameter(name).clone(), cell)
    found: dict[str, dict[str, list[float]]] = {}
    for attack, (by, stressed) in attacks.items():
        found[attack] = {}
        for form, draws in forms.items():
            returns = []
            for values in draws:
                with holding(policy, name, values):
                    returns.append(by.measure(policy, numbers, stressed=stressed))
            found[attack][form] = np.mean(returns, axis=0).tolist()
            # As it goes, since each line takes its time.
            print(f"  {attack}, {form}: {np.mean(returns):.0f}", flush=True)
    return found


def gain(returns: Mapping[str, list[float]], form: str, beside: str) -> tuple[float, float, float]:
    """Return the mean paired gain of one form over another, and its interval."""
    gains = np.subtract(returns[form], returns[beside])
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    reach = stats.t.ppf((1 + LEVEL) / 2, len(gains) - 1) * error
    return gains.mean(), gains.mean() - reach, gains.mean() + reach


def table_of(tested: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row for each seed and attack: returns, and the gain of the filter."""
    rows = []
    for seed, one in tested.items():
        for attack, returns in one["returns"].items():
            mean, low, high = gain(returns, "filtered", "unfiltered")
            row = {"seed": seed, "attack": attack}
            row |= {form: round(float(np.mean(returns[form]))) for form in returns}
            rows.append({**row, "gain": round(mean), "low": round(low), "high": round(high)})
    return pd.DataFrame(rows)


def verdict(one: Mapping[str, Any]) -> str:
    """Return what the proof says of one cell, in plain words."""
    cell, returns = one["cell"], one["returns"]
    what = f"{cell['filter']} of {cell['target']} ({cell['zeroed']} values)"
    failed = [
        attack
        for attack, found in returns.items()
        if attack != "none" and gain(found, "filtered", "unfiltered")[1] <= 0
    ]
    if failed:
        return f"{what}: NOT antifragile; no gain that can be told from zero under {failed[0]}"
    matched = [
        control
        for control in ("noise", "random")
        if any(
            gain(found, "filtered", control)[1] <= 0
            for attack, found in returns.items()
            if attack != "none"
        )
    ]
    beside = f", but {' and '.join(matched)} may gain as much" if matched else ", unlike controls"
    return f"{what}: antifragile under every attack{beside}"


def report(folder: Path, tested: Mapping[str, Any]) -> None:
    """Print the classes of all targets, the table of the proof, and the verdict."""
    for seed in SEEDS:
        if not (folder / f"study-{seed}").exists():
            continue
        study = hm.load_study(folder / f"study-{seed}")
        base = study.base
        print(f"\nSeed {seed}: return {base.clean:.0f}, under attack {base.adversarial:.0f}")
        scores = study.scores_with(hm.Scoring(reference="base"))
        combined = scores.loc[scores["filter"] == "combined"]
        print(combined.pivot(index="target", columns="score", values="class").to_string())
    if not tested:
        return
    print(f"\nReturns of {PROVED} new episodes, intervals of {LEVEL:.1%}\n")
    print(table_of(tested).to_string(index=False))
    print()
    verdicts = {seed: verdict(one) for seed, one in tested.items()}
    for seed, text in verdicts.items():
        print(f"Seed {seed}: {text}")
    held = sum("NOT" not in text for text in verdicts.values())
    print(
        f"\nAntifragile parameters whose filtering raises the return under attack: confirmed for "
        f"{held} of {len(verdicts)} seeds."
    )


def main() -> None:
    """Train, analyse and test what is missing, then print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--train", action="store_true", help="only train")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    results = options.folder / "tested.json"
    tested = json.loads(results.read_text()) if results.exists() else {}
    for seed in SEEDS:
        file = options.folder / f"hopper-{seed}.pt"
        if not file.exists():
            train(file, seed, options.steps)
        if options.train:
            continue
        policy, normalize = load(file)
        study = analyze(policy, normalize, options.folder / f"study-{seed}")
        if str(seed) not in tested:
            cell = best_cell(study)
            print(f"Seed {seed}: testing {cell['filter']} of {cell['target']}", flush=True)
            tested[str(seed)] = {"cell": cell, "returns": prove(policy, normalize, cell)}
            results.write_text(json.dumps(tested, default=float))
    if not options.train:
        report(options.folder, tested)


if __name__ == "__main__":
    main()
