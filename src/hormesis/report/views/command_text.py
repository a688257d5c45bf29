"""The command that repeats a study."""

import shlex
from typing import Any

from hormesis.report.views.stress_text import level_text
from hormesis.results.study import Study
from hormesis.settings.attacks import PAIRED, Given
from hormesis.settings.factory import is_code
from hormesis.settings.magnitudes import parse_epsilon, short_epsilon
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

_PLACEHOLDERS = {
    "FILE": "FILE stands for the file of the weights.",
    "RUN": "RUN stands for the folder of the training.",
}


def command(study: Study) -> str:
    """Return the command that repeats the study.

    What the manifest cannot know stands in capitals: the file of the weights, or the folder of the
    training.
    """
    question, origin = study.manifest["question"], study.manifest.get("origin", {})
    data = question["data"]
    if "epoch" in origin:
        named = question["network"]["name"], data["name"]
        code = any(map(is_code, ("model", "data"), named))  # which the training's folder names
        allowed = ["--allow-code"] if code else []
        words = ["--run", "RUN", "--epochs", str(origin["epoch"]), *allowed]
    else:
        words = [
            "--model",
            question["network"]["name"],
            *([] if "language" in origin else ["--weights", "FILE"]),
            "--data",
            data["name"],
        ]
        for setting in ("max_length", "choice_score"):
            if setting in origin.get("language", {}):
                words += [f"--{setting.replace('_', '-')}", str(origin["language"][setting])]
    words += ["--samples", str(data["samples"])]
    words += _attack(question["attack"])
    groups = question["targets"].get("groups", {})
    words += _flags({**question["targets"], "groups": {}}, Targets())
    words += ["--groups"] if groups else []
    words += [f"{name}={' '.join(patterns)}" for name, patterns in groups.items()]
    is_global = question["targets"].get("scope") == "global"
    sweep = {
        "by" if key == "compare" else key: value  # studies keep the setting's first name
        for key, value in question["sweep"].items()
        if is_global or key != "span"
    }
    replaced = sweep.pop("replacements", {})
    if replaced:
        sweep = {**sweep, "filters": [*replaced], "thresholds": Sweep.thresholds}
        levels = {tuple(entry["levels"]) for entry in replaced.values()}
        if len(levels) == 1:  # a flag gives all replacements the same
            sweep["levels"] = [level_text(level) for level in levels.pop()]
    words += _flags(sweep, Sweep())
    if question["performance"]["name"] != "accuracy":
        words += ["--metric", question["performance"]["name"]]
    words += _flags(vars(study.scoring), Scoring())
    return f"hormesis analyze {shlex.join(words)}"


def placeholders(study: Study) -> str:
    """Return what the words in capitals of the command stand for, as a sentence or nothing."""
    words = set(shlex.split(command(study)))
    return " ".join(text for word, text in _PLACEHOLDERS.items() if word in words)


def _attack(attack: dict[str, Any]) -> list[str]:
    if attack["name"] == Given.name:
        pairing = attack["pairing"]
        words = ["--stressed", attack["data"]]
        return [*words, *(["--pairing", pairing] if pairing != PAIRED else [])]
    words = ["--attack", attack.get("function", attack["name"])]
    for setting in ("epsilon", "steps", "step_size", "restarts", "norm", "target"):
        if attack.get(setting) is not None:
            typed = _epsilon if setting == "epsilon" else str
            words += [f"--{setting.replace('_', '-')}", typed(attack[setting])]
    return words


def _epsilon(value: float | str) -> str:
    """Return a magnitude as it was most likely typed, if that is the same number."""
    if isinstance(value, str):
        return value
    short = short_epsilon(value)
    return short if parse_epsilon(short) == value else str(value)


def _flags(values: dict[str, Any], default: Targets | Sweep | Scoring) -> list[str]:
    """Return the flags of the settings that differ from the default."""
    words = []
    for name, value in values.items():
        default_value = getattr(default, name, None)
        plain = list(default_value) if isinstance(default_value, tuple) else default_value
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
