"""The manifest of a study: what was asked, of what exactly, and what a reader has to know."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hormesis.analysis.chance import chance_notes, guessing_level
from hormesis.analysis.masking import COLUMNS, is_masked
from hormesis.analysis.responses import Means
from hormesis.analysis.uncertainty import choose_interval_method
from hormesis.data.samples import Samples
from hormesis.settings.attacks import Attack, describe_attack
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.rules import plain, plainly
from hormesis.stress.epsilon import EpsilonChoice
from hormesis.stress.metrics import NAMED_METRICS, Metric


def question(
    network: Mapping[str, str],
    samples: Samples,
    attack: Attack,
    measured: tuple[Targets, Sweep, Metric],
) -> dict[str, Any]:
    """Return what a study asks, as plain values: two studies with the same question agree.

    Args:
        network: Its name, the source of its weights, and its fingerprint.
        samples: The data.
        attack: As it was asked for; its magnitude may be ``auto``.
        measured: Which parameters, how, and by which performance.
    """
    targets, sweep, metric = measured
    return {
        "network": plainly(network),
        "data": {
            "name": plain(samples.name),
            "samples": len(samples),
            "classes": samples.classes,
            "shape": list(samples.inputs.shape[1:]),
            "bounds": list(samples.bounds),
            "fingerprint": samples.fingerprint(),
        },
        "attack": describe_attack(attack),
        "targets": asdict(targets),
        "sweep": sweep.described(),
        "performance": {
            "name": plain(metric.name),
            "higher_is_better": metric.higher_is_better,
        },
    }


def describe_base(means: Means, metric: Metric) -> dict[str, Any]:
    """Return how the unfiltered network does, as plain values."""
    return {
        "clean": float(means.of("base_clean")),
        "adversarial": float(means.of("base_adversarial")),
        "higher_is_better": metric.higher_is_better,
        "samples": means.samples,
        "clean_error": means.error_of("base_clean"),
        "adversarial_error": means.error_of("base_adversarial"),
        **_idle(means),
    }


def _idle(means: Means) -> dict[str, float]:
    """Return where the attack on the unfiltered network had nothing to work with, if known."""
    shares = means.idle("base_idle")
    if shares is None or np.isnan(shares).any():
        return {}
    return dict(zip(COLUMNS, shares.tolist(), strict=True))


def chance_of(samples: Samples, metric: Metric) -> float | None:
    """Return the performance of guessing on these samples; None where that is not known."""
    if metric.chance is not None:
        return metric.chance
    own = NAMED_METRICS.get(metric.name) == metric
    return guessing_level(samples.labels.numpy(), metric.name) if own else None


def notes(means: Means, attack: Attack, choice: EpsilonChoice | None, metric: Metric) -> list[str]:
    """Return what a reader has to know about the unfiltered network, in sentences."""
    clean, adversarial = float(means.of("base_clean")), float(means.of("base_adversarial"))
    width = f"ε = {attack.epsilon:.4g} in input units ({float(attack.epsilon) * 255:.3g}/255)"
    found = []
    if choice is not None and choice.unharmed:
        found.append(
            f"The attack never takes the accuracy half-way to chance: {width}, the largest tried, "
            f"leaves {choice.adversarial:.1%} of {choice.clean:.1%}."
        )
    if clean == 0:
        found.append(
            f"The unfiltered network's clean {metric.name} is zero, so that clean and "
            "difference scores are undefined."
        )
    if adversarial == 0:
        found.append(
            f"The attack floors the network: its adversarial {metric.name} is zero, so that "
            "adversarial and difference scores are undefined. Choose a smaller ε."
        )
    if clean < 0 or adversarial < 0:
        found.append(
            f"The unfiltered network's mean {metric.name} is negative. Divided by it, a worse "
            "performance looks better: measure one that is not negative, or read the classes the "
            "other way round."
        )
    idle = _idle(means)
    if idle and is_masked(*idle.values()):
        found.append(
            f"The attack is masked: of the samples that the unfiltered network gets right, "
            f"{idle['zero_gradient']:.1%} have a gradient of zero and {idle['unmoved']:.1%} were "
            f"left as they are. Its adversarial {metric.name} is no evidence of what it can "
            "stand, whatever ε, and adversarial and difference scores have no class. "
            "Measure it with logits divided by a large number, or give it perturbed inputs of a "
            "smoother copy."
        )
    elif adversarial == clean != 0:
        found.append(
            f"The attack leaves the network unharmed: clean and adversarial {metric.name} are "
            "equal. Choose a larger ε."
        )
    return found


def notes_on_chance(
    base: Mapping[str, Any], known: Mapping[str, Any], scoring: Scoring
) -> list[str]:
    """Return what there is to say about a network that does no better than guessing.

    Args:
        base: What ``describe_base`` returned.
        known: The manifest so far.
        scoring: Confidence level.
    """
    question = known["question"]
    planned = question["data"]["samples"] if question["sweep"]["until"] is not None else None
    law = choose_interval_method(base["samples"], planned, scoring)
    name, chance = question["performance"]["name"], known.get("chance")
    return chance_notes(base, name, chance, float(law.critical()))
