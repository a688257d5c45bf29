"""A study as the finite_numbers values that its page draws and offers for download."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hormesis.analysis.classes import CLASSES
from hormesis.analysis.readings import other_reading
from hormesis.analysis.scores import SCORES
from hormesis.report.html.curve_payload import curves_payload
from hormesis.report.views.figures import extreme_targets, main_filter
from hormesis.report.views.findings import class_counts, counts_sentence, findings
from hormesis.report.views.method_text import (
    command,
    epsilon_text,
    facts,
    left_out,
    metric_text,
)
from hormesis.report.views.network import network_picture
from hormesis.report.views.numbers import finite_numbers, rounded_numbers
from hormesis.results.study import Study
from hormesis.stress.filters import display_filter

MOST_TARGETS = 4000  # with scores on one page
MOST_IN_DETAIL = 600  # targets; of more, only the main filter's scores are there
MOST_CURVES = 800  # targets with responses, of all studies together
FEWEST_CURVES = 60  # of each study
_NAMED = 12  # parameters that were not tested, by name


def study_payload(study: Study, label: str, *, most_curves: int = MOST_CURVES) -> dict[str, Any]:
    """Return everything the page shows of one study.

    Args:
        study: Any study.
        label: What the page calls it.
        most_curves: Responses of at most so many targets are part of it.
    """
    question, base = study.manifest["question"], study.base
    measured = int(study.manifest["base"].get("samples", question["data"]["samples"]))
    chosen = extreme_targets(study, MOST_TARGETS)
    table = study.targets.set_index("target").loc[chosen]
    bases = [study.group_of[name].base for name in chosen]
    picture = network_picture(study)
    place = {name: number for number, name in enumerate(chosen)}
    return {
        "label": label,
        "title": f"{question['network']['name']} on {question['data']['name']}",
        "attack": f"{study.manifest['attack']['name'].upper()}, ε = {epsilon_text(study)}",
        "adversary": question["sweep"]["adversary"],
        "samples": [measured, int(question["data"]["samples"])],
        "finished": study.finished,
        "notes": [*study.notes, *_cuts(study, chosen, most_curves)],
        "compare": question["sweep"].get("compare", "signed"),
        "performance": question["performance"]["name"],
        "percent": study.metadata.binary,
        "better": base.higher_is_better,
        "unfiltered": [metric_text(study, value) for value in (base.clean, base.adversarial)],
        "scoring": {
            name: getattr(study.scoring, name)
            for name in ("base", "reference", "tolerance", "level", "multiplicity")
        },
        "main": main_filter(study.scores),
        "filters": {name: _about(name) for name in question["sweep"]["filters"]},
        "classes": list(CLASSES),
        "headline": counts_sentence(study),
        "findings": findings(study),
        "counts": _counts(study),
        "targets": {
            "name": chosen,
            "kind": table["kind"].tolist(),
            "shape": table["shape"].tolist(),
            "size": table["size"].astype(int).tolist(),
            "clean": rounded_numbers(one.clean for one in bases),
            "adversarial": rounded_numbers(one.adversarial for one in bases),
        },
        "scores": _scores(study, chosen),
        "beside": other_reading(study.scoring),
        "network": {
            "known": picture.known,
            "rows": [
                [row.name, [place[t] for t in row.targets if t in place], row.lane, list(row.after)]
                for row in picture.rows
            ],
        },
        "curves": curves_payload(study, extreme_targets(study, most_curves), place),
        "facts": facts(study),
        "command": command(study),
        "untested": [[*row, names[:_NAMED]] for *row, names in left_out(study)],
    }


def _cuts(study: Study, chosen: Sequence[str], most_curves: int) -> list[str]:
    """Say what the page leaves out of a study of many targets."""
    every = len(set(study.responses["target"]))
    said = []
    if every > len(chosen):
        said.append(
            f"The page shows {len(chosen)} of {every} targets, those of the lowest and the highest "
            "scores; all are counted, and all are in the study."
        )
    if every > most_curves:
        said.append(
            f"Responses are here for {most_curves} of {every} targets, chosen the same way."
        )
    if len(chosen) > MOST_IN_DETAIL:
        said.append(f"Scores are those of the {main_filter(study.scores)} filter only.")
    return said


def _beside(readings: pd.DataFrame, score: str, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the other reading of a score in the order of the targets; nothing if it has none."""
    own = readings.loc[readings["score"] == score].set_index("target").loc[list(chosen)]
    if score == "difference":
        return {}
    return {"beside": finite_numbers(own["value"]), "says": own["says"].tolist()}


def _filters(study: Study, *, many: bool) -> list[str]:
    main = main_filter(study.scores)
    every = [name for name in study.scores["filter"].unique().tolist() if name != main]
    return [main] if many else [main, *every]


def _about(name: str) -> dict[str, str]:
    """Return what the page says of a filter."""
    shown = display_filter(name)
    return {"label": shown.label, "sweep": shown.sweep_text, "removes": shown.removes}


def _counts(study: Study) -> dict[str, Any]:
    many = len(set(study.responses["target"])) > MOST_IN_DETAIL
    return {
        name: {
            score: [[each.name, each.targets, each.values] for each in counts]
            for score, counts in class_counts(study, name).items()
        }
        for name in _filters(study, many=many)
    }


def _scores(study: Study, chosen: Sequence[str]) -> dict[str, Any]:
    """Return scores by filter and score, as columns in the order of the targets."""
    scores, readings = study.scores, study.readings
    code = {name: number for number, name in enumerate(CLASSES)}
    found: dict[str, Any] = {}
    for name in _filters(study, many=len(chosen) > MOST_IN_DETAIL):
        rows = scores.loc[scores["filter"] == name]
        found[name] = {}
        for score in SCORES:
            own = rows.loc[rows["score"] == score].set_index("target").loc[list(chosen)]
            found[name][score] = {
                "value": finite_numbers(own["value"]),
                "low": finite_numbers(own["low"]),
                "high": finite_numbers(own["high"]),
                "class": own["class"].map(code).tolist(),
                "point": own["point"].map(code).tolist(),
                **_beside(readings.loc[rows.index], score, chosen),
            }
    return found
