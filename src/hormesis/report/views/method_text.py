"""The method of a study in words."""

import math
from typing import Any

import pandas as pd

from hormesis.analysis.evidence import base_idle
from hormesis.report.views.stress_text import level_text, score_word
from hormesis.results.study import Study
from hormesis.settings.attacks import PAIRED
from hormesis.settings.choices import IN_GROUP
from hormesis.settings.threat import EMBEDDED_UNITS, L2, LINF, NORM_NAMES, aim_text
from hormesis.storage.schema import SweepEntry

Facts = list[tuple[str, str]]
_MOST_GROUPS = 12  # that are named with their patterns


def metric_text(study: Study, value: float) -> str:
    """Return a mean metric as readers expect it: a share in percent, others as a number."""
    return f"{100 * value:.1f}\u202f%" if study.metadata.binary else f"{value:.4g}"


def idle_text(study: Study) -> str:
    """Return how often the attack on the unfiltered network had no effect, if known."""
    zero, unmoved = base_idle(study.manifest)
    if zero != zero:
        return ""
    which = "right answers" if study.metadata.binary else "samples"
    return f"of {which} {zero:.1%} without a gradient, {unmoved:.1%} left as they were"


def attack_text(study: Study, chosen: str = "") -> str:
    """Return the attack and its magnitude in words.

    Args:
        study: Any study.
        chosen: How the magnitude was chosen, as the end of the sentence.
    """
    if not study.stressed:
        return "no attack, clean samples alone"
    if study.given:
        entry = study.metadata.attack
        pairs = "paired with the data" if entry.pairing == PAIRED else "other samples than the data"
        return f"stressed data {entry.data!r}, {pairs}"
    attack, magnitude = study.metadata.attack, epsilon_text(study)
    name = attack.title
    if attack.target is not None:
        name = f"{name} toward {aim_text(attack.target)}"
    return f"{name}, ε = {magnitude}{chosen}" if magnitude else name


def adversary_text(study: Study, chosen: str = "") -> str:
    """Return the attack in words, see ``attack_text``, and whether it is made anew every time."""
    text = attack_text(study, chosen)
    adversary = study.metadata.question.sweep.adversary
    return f"{text}; {adversary} adversary" if study.stressed and not study.given else text


def unfiltered(study: Study) -> dict[str, float]:
    """Return the performance of the unfiltered network: clean and, under attack, adversarial."""
    word = score_word(study, "adversarial")
    values = {"clean": study.base.clean, word: study.base.adversarial}
    return values if study.stressed else {"clean": values["clean"]}


def epsilon_text(study: Study) -> str:
    """Return the attack's magnitude in input units and, for pixels, as n/255; empty for none."""
    epsilon, norm = study.metadata.attack.epsilon, study.metadata.attack.norm
    if math.isnan(epsilon):
        return ""
    if study.metadata.question.network.embedding is not None:
        return f"{epsilon:.4g} of {EMBEDDED_UNITS[norm]}"
    if norm != LINF:
        return f"{epsilon:.4g} in {NORM_NAMES[norm]}"
    data = study.metadata.question.data
    bounds, shown = data.bounds, f"{epsilon:.4g} in input units"
    if data.limits:
        return shown
    if bounds == (0.0, 1.0):
        return f"{shown} ({epsilon * 255:.3g}/255)"
    return f"{shown}, which lie between {bounds[0]:g} and {bounds[1]:g}"


def normalization_text(study: Study) -> str:
    """Return the normalisation in front of the network in words; empty if there is none."""
    normalization = study.metadata.question.network.normalization
    if not normalization.mean:
        return ""
    mean, std = (
        " ".join(map("{:g}".format, row)) for row in (normalization.mean, normalization.std)
    )
    return f"(input − mean) / std, mean {mean}, std {std}"


def facts(study: Study) -> Facts:
    """Return what was measured and how, as terms and their values."""
    question, attack = study.metadata.question, study.manifest["attack"]
    chance, base = study.base.chance, unfiltered(study)
    terms = {
        "Network": question.network.name,
        "In front of it": normalization_text(study),
        "Data": _data(study),
        "Stress" if study.given else "Attack": adversary_text(study),
        "Settings of the attack": ""
        if study.given
        else _settings_text(
            {**attack, **attack.get("settings", {})},
            leave_out=("name", "epsilon", "chosen", "settings"),
        ),
        "Size of the change": change_text(study),
        "ε was chosen": choice_text(attack),
        "Performance": f"{question.metric.name}; unfiltered "
        + ", ".join(f"{metric_text(study, value)} {kind}" for kind, value in base.items())
        + ("" if chance is None else f"; guessing: {metric_text(study, chance)}"),
        "Reach of the attack": idle_text(study),
        "Confirmation": _confirmation(study),
        "Cross-check": _cross_check(study),
        "Groups": _groups(study),
        **_sweep(question.sweep),
        "Scores": f"base {study.scoring.base}, reference {study.scoring.reference}, "
        f"robust within ±{study.scoring.tolerance:g}",
        "Intervals": _intervals(study),
        "Seed": str(question.sweep.seed),
        **_origin(study),
        "Fingerprint of the network": question.network.fingerprint,
        "Fingerprint of the data": question.data.fingerprint,
        "Fingerprint of the stressed data": study.metadata.attack.fingerprint,
        "Folder": "" if study.folder is None else str(study.folder),
    }
    return [(term, str(value)) for term, value in terms.items() if value]


def _sweep(sweep: SweepEntry) -> dict[str, str]:
    """Return filters with their thresholds, or replacements with their levels."""
    if not sweep.replacements:
        spacing = "" if sweep.spacing == "even" else f"{sweep.spacing} spacing, "
        filters = ", ".join(sweep.filters).replace("_", "-")
        if isinstance(sweep.thresholds, list):
            spacing = f"at {', '.join(f'{alpha:g}' for alpha in sweep.thresholds)}; "
        return {"Filters": f"{filters}; {sweep.steps} thresholds each, {spacing}{sweep.by} weights"}
    texts = []
    for name, entry in sweep.replacements.items():
        levels = ", ".join(map(level_text, entry.levels))
        draws = f", {entry.draws} draws each" if entry.draws > 1 else ""
        texts.append(f"{name.replace('_', ' ')} at {levels} ({entry.unit}{draws})")
    return {"Replacements": "; ".join(texts)}


def _groups(study: Study) -> str:
    """Return the groups with their patterns; empty if single targets were tested."""
    groups = study.metadata.question.targets.groups
    texts = [f"{name} ({' '.join(groups[name])})" for name in [*groups][:_MOST_GROUPS]]
    more = len(groups) - len(texts)
    return "; ".join([*texts, f"and {more} more"] if more else texts)


def _confirmation(study: Study) -> str:
    """Return how claims of antifragility under attack were tested; empty without one."""
    if not study.stressed or study.given:
        return ""
    entry = study.manifest.get("confirmation", {})
    if study.confirmation is None or not entry:
        return "no claim of antifragility under attack was put to the test"
    test = {"targets": (), "samples": "?", "steps": "?", "restarts": "?", "draws": "?"} | entry
    stronger = f"and by PGD with {test['steps']} steps and {test['restarts']} starts"
    if test["steps"] == 0:
        stronger = "by no stronger attack, for which there is no ε or no gradient"
    return (
        f"{len(test['targets'])} targets, attacked anew on at most {test['samples']} samples, "
        f"{stronger}; {test['draws']} controls of each kind for a removal"
    )


def _cross_check(study: Study) -> str:
    """Return how adversarial figures were compared with other attacks; empty if they were not."""
    entry = study.manifest.get("cross_check", {})
    if study.confirmation is None or not entry:
        return ""
    test = {"samples": "?", "draws": "?", "margin": math.nan} | entry
    surrogates = "; ".join(test.get("surrogates", ())) or "none"
    noise = f"random noise of {test['draws']} draws and " if test["draws"] else ""
    return (
        f"on {test['samples']} samples, {noise}inputs "
        f"perturbed on another network (without {surrogates}); masked from {test['margin']:.3g} on"
    )


def _data(study: Study) -> str:
    data = study.metadata.question.data
    measured = study.metadata.base.samples or data.samples
    shape = " × ".join(map(str, data.shape))
    return (
        f"{data.name}: {measured} of {data.samples} samples measured, {data.classes} classes, "
        f"inputs of {shape}"
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
        "Machine": _settings_text(machine),
    }


def change_text(study: Study) -> str:
    """Return how far an attack of a user or another library moved samples; empty for others."""
    change = study.metadata.change
    if change is None:
        return ""
    sizes = "; ".join(
        f"{NORM_NAMES[norm]} {spread.median:.3g} in the median, {spread.largest:.3g} at most"
        for norm, spread in ((LINF, change.linf), (L2, change.l2))
    )
    return f"{change.moved} of {change.samples} samples moved; {sizes}"


def choice_text(attack: dict[str, Any]) -> str:
    """Return how the magnitude of an attack was chosen; empty if the user set it.

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
    method = {"delta": "delta method", "bootstrap": "bootstrap"}[scoring.interval]
    correction = {"none": "each target on its own", "holm": "Holm", "bh": "Benjamini and Hochberg"}
    return (
        f"{100 * scoring.level:g}\u202f%, {method} over samples; {correction[scoring.multiplicity]}"
    )


def _settings_text(values: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in values.items()
        if name not in leave_out and value is not None
    )


def untested_text(study: Study) -> str:
    """Return how many parameters no filter changed, and their share of all values; or nothing."""
    rows = _untested(study)
    if rows.empty:
        return ""
    parameters = study.targets.loc[study.targets["kind"] != "group"]
    share = 100 * sum(rows["size"]) / max(sum(parameters["size"]), 1)
    shown = "less than 0.1%" if 0 < share < 0.1 else f"{share:.1f}%"
    noun = "parameter" if len(rows) == 1 else "parameters"
    kinds = ", ".join(rows["kind"].unique())
    return f"Not tested: {len(rows)} {noun} with {shown} of all values ({kinds})"


def _untested(study: Study) -> pd.DataFrame:
    """Return the rows of what was not tested, neither alone nor in a group."""
    rows = study.targets.loc[~study.targets["tested"].astype(bool)]
    alone = [not reason.startswith(IN_GROUP) for reason in rows["reason"].tolist()]
    return rows.loc[alone]


def untested_parameters(study: Study) -> list[tuple[str, int, int, list[str]]]:
    """Return untested parameters: reason, number of parameters, of their values, their names."""
    return [
        (str(reason), len(group), sum(group["size"].tolist()), group["target"].tolist())
        for reason, group in _untested(study).groupby("reason", sort=False)
    ]
