"""How a study was measured and how to repeat it, in words."""

import math
import shlex
from typing import Any

from hormesis.analysis.evidence import base_idle
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

Facts = list[tuple[str, str]]


def metric_text(study: Study, value: float) -> str:
    """Return a performance as readers expect it: a share in percent, all else as a number."""
    return f"{100 * value:.1f}\u202f%" if study.metadata.binary else f"{value:.4g}"


def idle_text(study: Study) -> str:
    """Return where the attack on the unfiltered network had nothing to work with, if known."""
    zero, unmoved = base_idle(study.manifest)
    if zero != zero:
        return ""
    return f"of right answers {zero:.1%} without a gradient, {unmoved:.1%} left as they were"


def epsilon_text(study: Study) -> str:
    """Return the attack's magnitude in input units and, for pixels, as n/255."""
    epsilon = float(study.manifest["attack"]["epsilon"])
    bounds = study.manifest["question"]["data"].get("bounds", [0.0, 1.0])
    shown = f"{epsilon:.4g} in input units"
    if list(bounds) == [0.0, 1.0]:
        return f"{shown} ({epsilon * 255:.3g}/255)"
    return f"{shown}, which lie between {bounds[0]:g} and {bounds[1]:g}"


def normalization_text(study: Study) -> str:
    """Return the normalisation in front of the network in words; empty if there is none."""
    said = study.manifest["question"]["network"].get("normalization") or {}
    if not said:
        return ""
    mean, std = (" ".join(f"{value:g}" for value in said[name]) for name in ("mean", "std"))
    return f"(input − mean) / std, mean {mean}, std {std}"


def facts(study: Study) -> Facts:
    """Return what was measured and how, as terms and their values."""
    question, attack = study.manifest["question"], study.manifest["attack"]
    chance = study.base.chance
    found = {
        "Network": question["network"]["name"],
        "In front of it": normalization_text(study),
        "Data": _data(study),
        "Attack": f"{attack['name'].upper()}, ε = {epsilon_text(study)}; "
        f"{question['sweep']['adversary']} adversary",
        "Settings of the attack": _spelled(attack, leave_out=("name", "epsilon", "chosen")),
        "ε was chosen": choice_text(attack),
        "Performance": f"{question['performance']['name']}; unfiltered "
        f"{metric_text(study, study.base.clean)} clean, "
        f"{metric_text(study, study.base.adversarial)} adversarial"
        + ("" if chance is None else f"; guessing: {metric_text(study, chance)}"),
        "Reach of the attack": idle_text(study),
        "Confirmation": _confirmation(study),
        "Cross-check": _cross_check(study),
        "Filters": f"{', '.join(question['sweep']['filters']).replace('_', '-')}; "
        f"{question['sweep']['thresholds']} thresholds each, "
        f"{question['sweep'].get('compare', 'signed')} weights",
        "Scores": f"base {study.scoring.base}, reference {study.scoring.reference}, "
        f"robust within ±{study.scoring.tolerance:g}",
        "Intervals": _intervals(study),
        "Seed": str(question["sweep"]["seed"]),
        **_origin(study),
        "Fingerprint of the network": question["network"]["fingerprint"],
        "Fingerprint of the data": question["data"]["fingerprint"],
        "Folder": "" if study.folder is None else str(study.folder),
    }
    return [(term, str(value)) for term, value in found.items() if value]


def _confirmation(study: Study) -> str:
    """Return how claims of antifragility under attack were put to the test."""
    said = study.manifest.get("confirmation", {})
    if study.confirmation is None or not said:
        return "no claim of antifragility under attack was put to the test"
    known = {"targets": (), "samples": "?", "steps": "?", "restarts": "?", "draws": "?"} | said
    return (
        f"{len(known['targets'])} targets, attacked anew on at most {known['samples']} samples, "
        f"and by PGD with {known['steps']} steps and {known['restarts']} starts; {known['draws']} "
        "controls of each kind for a removal"
    )


def _cross_check(study: Study) -> str:
    """Return how adversarial figures were compared with other attacks; nothing if they were not."""
    said = study.manifest.get("cross_check", {})
    if study.confirmation is None or not said:
        return ""
    known = {"samples": "?", "draws": "?", "margin": math.nan} | said
    made = "; ".join(known.get("surrogates", ())) or "none"
    return (
        f"on {known['samples']} samples, random noise of {known['draws']} draws and inputs "
        f"perturbed on another network (without {made}); masked from {known['margin']:.3g} on"
    )


def _data(study: Study) -> str:
    data = study.manifest["question"]["data"]
    measured = int(study.manifest["base"].get("samples", data["samples"]))
    shape = " × ".join(map(str, data.get("shape", ())))
    return (
        f"{data['name']}: {measured} of {data['samples']} samples measured, {data['classes']} "
        f"classes, inputs of {shape}"
    )


def _origin(study: Study) -> dict[str, str]:
    """Return where the numbers come from: epoch, engine, versions, machine."""
    run = study.manifest.get("run", {})
    versions = run.get("versions", {})
    machine = {key: run[key] for key in ("python", "machine", "cores") if key in run}
    engine = [
        f"{run[key]:g}{unit}" if unit else str(run[key])
        for key, unit in (("engine", ""), ("workers", " workers"), ("seconds", " s"))
        if key in run
    ]
    return {
        "Epoch": str(study.manifest.get("origin", {}).get("epoch", "")),
        "Engine": ", ".join(engine),
        "Versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "Machine": _spelled(machine),
    }


def choice_text(attack: dict[str, Any]) -> str:
    """Return how the magnitude of an attack was chosen; nothing if it was given.

    Args:
        attack: As a manifest holds it.

    Example:
        >>> choice_text({"chosen": {"clean": 0.9, "unharmed": False, "chance": 0.1}})
        'to take the accuracy half-way to chance'
    """
    chosen = attack.get("chosen")
    if not chosen:
        return ""
    chance = chosen.get("chance")
    if chance is not None and chosen["clean"] <= chance:
        return "the smallest, as the network does no better than guessing"
    if chosen.get("unharmed"):
        missed = "take the accuracy half-way to chance" if chance else "halve the accuracy"
        return f"the largest that was tried; it does not {missed}"
    return "to take the accuracy half-way to chance" if chance else "to halve the accuracy"


def _intervals(study: Study) -> str:
    if not study.has_outcomes:
        return "none: the outcomes were not kept, and no class is certain"
    scoring = study.scoring
    how = {"delta": "delta method", "bootstrap": "bootstrap"}[scoring.interval]
    many = {"none": "each target on its own", "holm": "Holm", "bh": "Benjamini and Hochberg"}
    return f"{100 * scoring.level:g}\u202f%, {how} over samples; {many[scoring.multiplicity]}"


def _spelled(values: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in values.items()
        if name not in leave_out and value is not None
    )


def command(study: Study) -> str:
    """Return the command that asks the same question again.

    What the manifest cannot know stands in capitals: the file of the weights, or the folder of the
    training.
    """
    question, origin = study.manifest["question"], study.manifest.get("origin", {})
    data = question["data"]
    if "epoch" in origin:
        words = ["--run", "RUN", "--epochs", str(origin["epoch"])]
    else:
        words = [
            "--model",
            question["network"]["name"],
            "--weights",
            "FILE",
            "--data",
            data["name"],
        ]
    words += ["--samples", str(data["samples"])]
    words += _attack(question["attack"])
    words += _given(question["targets"], Targets())
    together = question["targets"].get("scope") == "global"
    sweep = {
        "by" if key == "compare" else key: value  # studies keep the setting's first name
        for key, value in question["sweep"].items()
        if together or key != "span"
    }
    words += _given(sweep, Sweep())
    if question["performance"]["name"] != "accuracy":
        words += ["--metric", question["performance"]["name"]]
    words += _given(vars(study.scoring), Scoring())
    return f"hormesis analyze {shlex.join(words)}"


def _attack(asked: dict[str, Any]) -> list[str]:
    words = ["--attack", asked["name"], "--epsilon", str(asked["epsilon"])]
    for setting in ("steps", "step_size"):
        if asked.get(setting):
            words += [f"--{setting.replace('_', '-')}", str(asked[setting])]
    return words


def _given(asked: dict[str, Any], default: Targets | Sweep | Scoring) -> list[str]:
    """Return the flags of what differs from the default."""
    words = []
    for name, value in asked.items():
        usual = getattr(default, name, None)
        plain = list(usual) if isinstance(usual, tuple) else usual
        value = list(value) if isinstance(value, tuple) else value
        if value == plain:
            continue
        if value is None:
            words += ["--own-span"] if name == "span" else []
            continue
        if name == "control" and value is True:
            value = 1  # as studies had it that knew of one draw only
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words += list(map(str, value)) if isinstance(value, list) else [str(value)]
    return words


def left_out(study: Study) -> list[tuple[str, int, int, list[str]]]:
    """Return what was not tested: reason, number of parameters, of their values, their names."""
    rows = study.targets.loc[~study.targets["tested"].astype(bool)]
    return [
        (str(reason), len(group), int(group["size"].sum()), group["target"].tolist())
        for reason, group in rows.groupby("reason", sort=False)
    ]
