"""Entries of a study's manifest: the question, the unfiltered network, and notes."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hormesis.analysis.chance import chance_notes
from hormesis.analysis.masking import COLUMNS, is_masked
from hormesis.analysis.responses import Means
from hormesis.analysis.scores import Base
from hormesis.analysis.uncertainty import choose_interval_method
from hormesis.data.bounds import Bounds, is_uniform
from hormesis.data.embedded import has_perturbation, without_perturbation
from hormesis.data.samples import Samples, spelled_bounds
from hormesis.data.trees import shape_of_rows
from hormesis.settings.attacks import Attack, describe_attack
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.scoring import Scoring
from hormesis.settings.threat import EMBEDDED_UNITS, LINF, NORM_NAMES, norm_of
from hormesis.storage.validation import plain, plain_values
from hormesis.stress.epsilon import EpsilonChoice
from hormesis.stress.losses import cross_entropy
from hormesis.stress.metric import Metric


def question(
    network: Mapping[str, Any], samples: Samples, request: AnalysisRequest
) -> dict[str, Any]:
    """Return the question of a study as plain values; equal questions have equal results.

    Args:
        network: Its name, the source of its weights, and its fingerprint.
        samples: The data.
        request: The request; the magnitude of its attack may be ``auto``.
    """
    metric = request.metric
    return {
        "network": plain_values(network),
        "data": {
            "name": plain(samples.name),
            "samples": len(samples),
            "classes": samples.classes,
            "shape": list(shape_of_rows(without_perturbation(samples.inputs))),
            **described_bounds(samples.bounds),
            "fingerprint": samples.fingerprint(),
        },
        "attack": described_attack(request),
        "targets": request.targets.described(),
        "sweep": request.sweep.described(),
        "performance": {
            "name": plain(metric.name),
            "higher_is_better": metric.higher_is_better,
        },
    }


def described_bounds(bounds: Bounds) -> dict[str, Any]:
    """Return bounds as plain values: two numbers, or a hash of those that are no such pair."""
    if is_uniform(bounds):
        return {"bounds": [float(bound) for bound in bounds]}
    return {"limits": hashlib.sha256(spelled_bounds(bounds).encode()).hexdigest()[:32]}


def described_attack(request: AnalysisRequest) -> dict[str, Any]:
    """Return the requested attack as plain values; the loss only if it is not the cross-entropy."""
    attack = describe_attack(request.attack)
    if request.attacked and request.loss.name != cross_entropy.name:
        attack["loss"] = plain(request.loss.name)
    return attack


def describe_base(means: Means, metric: Metric) -> dict[str, Any]:
    """Return the performance of the unfiltered network as plain values."""
    return {
        **means.described_base(higher_is_better=metric.higher_is_better),
        **_idle(means),
    }


def _idle(means: Means) -> dict[str, float]:
    """Return the shares of samples on which the attack on the unfiltered network was idle."""
    shares = means.idle("base_idle")
    if shares is None or np.isnan(shares).any():
        return {}
    return dict(zip(COLUMNS, shares.tolist(), strict=True))


_UNHARMED = (
    "The attack never takes the accuracy half-way to chance: {magnitude}, the largest tried, "
    "leaves {choice.adversarial:.1%} of {choice.clean:.1%}."
)
_NO_CLEAN = (
    "The unfiltered network's clean {name} is zero, so that clean and difference scores are "
    "undefined."
)
_NO_CLEAN_SCORE = (
    "The unfiltered network's clean {name} is zero, so that clean scores are undefined."
)
_FLOORED = (
    "The attack floors the network: its adversarial {name} is zero, so that adversarial and "
    "difference scores are undefined. {weaker}."
)
_NO_STRESSED = (
    "The unfiltered network's {name} on the stressed data is zero, so that stressed and difference "
    "scores are undefined."
)
_NO_HARM = "The stressed data cost the network nothing: its clean and stressed {name} are equal."
_NEGATIVE = (
    "The unfiltered network's mean {name} is negative. Divided by it, a worse performance looks "
    "better: measure one that is not negative, or read the classes the other way round."
)
_CHANGES_SIGN = (
    "The mean {name} of some filtered networks has another sign than that of the unfiltered one, "
    "by which a better performance may look worse: measure one that keeps its sign."
)
_MASKED = (
    "The attack is masked: of the samples that the unfiltered network gets right, "
    "{idle[zero_gradient]:.1%} have a gradient of zero and {idle[unmoved]:.1%} were left as they "
    "are. Its adversarial {name} is no evidence of what it can stand, whatever ε, and adversarial "
    "and difference scores have no class. Measure it with logits divided by a large number, or "
    "give it perturbed inputs of a smoother copy."
)
_FAILED = (
    "The attack left {idle[unmoved]:.1%} of the samples that the unfiltered network gets right as "
    "they are. If it returns what it succeeded with and nothing else, that is their robustness "
    "against this attack; otherwise its adversarial {name} is no evidence."
)
_IDLE = (
    "The attack leaves the network unharmed: clean and adversarial {name} are equal. {stronger}."
)


def notes(
    means: Means,
    choice: EpsilonChoice | None,
    request: AnalysisRequest,
    samples: Samples,
    floor: float | None = None,
) -> list[str]:
    """Return notes on the unfiltered network, in sentences.

    Args:
        means: Means over all counted samples.
        choice: How the attack's magnitude was chosen, if it was.
        request: The request, with the attack as it was run.
        samples: The samples.
        floor: Performance of guessing on a second data set, if known.
    """
    clean, adversarial = float(means.of("base_clean")), float(means.of("base_adversarial"))
    stressed = request.stressed  # else `adversarial` is NaN
    attacked = request.attacked  # else nothing has a magnitude to choose
    idle = _idle(means)
    custom = isinstance(request.attack, CustomAttack)
    scaled = not custom or request.attack.epsilon is not None
    unmoved = bool(idle) and is_masked(*idle.values())
    masked = unmoved and not custom
    holding = {
        _UNHARMED: choice is not None and choice.unharmed,
        _NO_CLEAN: stressed and clean == 0,
        _NO_CLEAN_SCORE: not stressed and clean == 0,
        _FLOORED: attacked and adversarial == 0,
        _NO_STRESSED: stressed and not attacked and adversarial == 0 and floor is None,
        _NEGATIVE: min(clean, adversarial) < 0 < max(clean, adversarial),
        _CHANGES_SIGN: _changes_sign(means, request.metric),
        _MASKED: masked,
        _FAILED: unmoved and custom,
        _IDLE: attacked and not masked and adversarial == clean != 0,
        _NO_HARM: stressed and not attacked and adversarial == clean != 0,
    }
    values = {
        "name": request.metric.name,
        "magnitude": "" if choice is None else _magnitude(choice.epsilon, request.attack, samples),
        "choice": choice,
        "idle": idle,
        "weaker": "Choose a smaller ε" if scaled else "Choose a weaker attack",
        "stronger": "Choose a larger ε" if scaled else "Choose a stronger attack",
    }
    return [text.format(**values) for text, holds in holding.items() if holds]


def _changes_sign(means: Means, metric: Metric) -> bool:
    """Return whether a performance is divided by those of filtered networks of another sign.

    See ``Base.larger_is_better``.
    """
    bases = {name: float(means.of(f"base_{name}")) for name in ("clean", "adversarial")}
    if Base(**bases, higher_is_better=metric.higher_is_better).larger_is_better:
        return False
    return any(bool((means.of(name) * own < 0).any()) for name, own in bases.items())


def _magnitude(epsilon: float, attack: Attack, samples: Samples) -> str:
    """Return a magnitude in words; as a part of 255 only where it may be that of a pixel."""
    bounds = samples.bounds
    if has_perturbation(samples.inputs):
        return f"ε = {epsilon:.4g} of {EMBEDDED_UNITS[norm_of(attack)]}"
    if norm_of(attack) != LINF:
        return f"ε = {epsilon:.4g} in {NORM_NAMES[norm_of(attack)]}"
    pixels = (
        f" ({epsilon * 255:.3g}/255)" if is_uniform(bounds) and tuple(bounds) == (0.0, 1.0) else ""
    )
    return f"ε = {epsilon:.4g} in input units{pixels}"


def notes_on_chance(
    base: Mapping[str, Any], manifest: Mapping[str, Any], scoring: Scoring
) -> list[str]:
    """Return notes on a network that is no better than guessing.

    Args:
        base: What ``describe_base`` returned.
        manifest: The manifest so far.
        scoring: Confidence level.
    """
    question = manifest["question"]
    planned = question["data"]["samples"] if question["sweep"]["until"] is not None else None
    method = choose_interval_method(base["samples"], planned, scoring)
    name, chance = question["performance"]["name"], manifest.get("chance")
    factor = float(method.critical())
    binary = manifest["metric"]["binary"]
    if "stressed_chance" not in manifest:
        return chance_notes(base, name, chance, factor, binary=binary)
    clean = {key: value for key, value in base.items() if not key.startswith("adversarial")}
    return [
        *chance_notes(clean, name, chance, factor, binary=binary),
        *chance_notes(base, name, manifest["stressed_chance"], factor, binary=binary, given=True),
    ]
