"""A study as the plain values that its page draws and offers for download."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hormesis.analysis.classes import CLASSES
from hormesis.analysis.response_intervals import KINDS
from hormesis.analysis.scores import main_score
from hormesis.report.html.curve_payload import curves_payload
from hormesis.report.plots.target_selection import PAGE_ROWS
from hormesis.report.views.command_text import command, placeholders
from hormesis.report.views.figures import extreme_targets, main_filter
from hormesis.report.views.findings import class_counts, counts_sentence, findings
from hormesis.report.views.layers import target_groups
from hormesis.report.views.meanings import meanings
from hormesis.report.views.method_text import (
    attack_text,
    facts,
    metric_text,
    unfiltered,
    untested_parameters,
    untested_text,
)
from hormesis.report.views.network import network_picture
from hormesis.report.views.numbers import finite_numbers, rounded_numbers
from hormesis.report.views.progress import notes_besides, progress
from hormesis.report.views.stress_text import level_unit, score_word, unit_of
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
        label: Its label on the page.
        most_curves: Largest number of targets with responses.
    """
    question, base = study.metadata.question, study.base
    planned = question.data.samples
    chosen = extreme_targets(study, MOST_TARGETS)
    picture = network_picture(study)
    positions = {name: number for number, name in enumerate(chosen)}
    return {
        "label": label,
        "attack": attack_text(study),
        "adversary": question.sweep.adversary if study.stressed and not study.given else "",
        **({"given": True} if study.given else {}),
        "samples": [study.metadata.base.samples or planned, planned],
        "finished": study.finished,
        "progress": progress(study),
        "notes": [*notes_besides(study), *_cuts(study, chosen, most_curves)],
        "compare": question.sweep.by,
        "performance": question.metric.name,
        "percent": study.metadata.binary,
        "better": base.larger_is_better,
        "unfiltered": [
            [kind, metric_text(study, value)] for kind, value in unfiltered(study).items()
        ],
        "scoring": {
            name: getattr(study.scoring, name)
            for name in ("base", "reference", "tolerance", "level", "multiplicity")
        },
        "main": main_filter(study.scores),
        "filters": {name: _filter_payload(study, name) for name in question.sweep.filters},
        "classes": list(CLASSES),
        "headline": counts_sentence(study),
        "meanings": meanings(study),
        "findings": findings(study),
        "counts": _counts(study),
        "targets": _targets(study, chosen),
        "scores": _scores(study, chosen),
        "beside": study.beside,
        "levels": level_unit(study),
        "network": {
            "known": picture.known,
            "rows": [
                [
                    row.name,
                    [positions[t] for t in row.targets if t in positions],
                    row.lane,
                    list(row.after),
                ]
                for row in picture.rows
            ],
        },
        **_groups(study, chosen),
        "curves": curves_payload(study, extreme_targets(study, most_curves), positions),
        "facts": facts(study),
        "command": command(study),
        "placeholders": placeholders(study),
        "not_tested": untested_text(study),
        "untested": [[*row, names[:_NAMED]] for *row, names in untested_parameters(study)],
    }


def _targets(study: Study, chosen: Sequence[str]) -> dict[str, Any]:
    """Return what the targets are, and the performance of the unfiltered network on their samples.

    Without an attack there is no adversarial one.
    """
    table = study.targets.set_index("target").loc[list(chosen)]
    bases = [study.group_of[name].base for name in chosen]
    return {
        "name": list(chosen),
        "kind": table["kind"].tolist(),
        "shape": table["shape"].tolist(),
        "size": table["size"].astype(int).tolist(),
        **{
            kind: rounded_numbers(base.divisor(kind) for base in bases)
            for kind in KINDS[: 1 + study.stressed]
        },
    }


def _groups(study: Study, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the layers of the map of scores, if the targets are too many for a picture."""
    if len(chosen) <= PAGE_ROWS:
        return {}
    groups = target_groups(study, chosen)
    return {"groups": [[one.name, list(range(one.first, one.last + 1))] for one in groups]}


def _cuts(study: Study, chosen: Sequence[str], most_curves: int) -> list[str]:
    """Return notes on what the page leaves out of a study of many targets."""
    total = len(set(study.responses["target"]))
    score = score_word(study, main_score(stressed=study.stressed))
    notes = []
    if total > len(chosen):
        notes.append(
            f"The page shows {len(chosen)} of {total} targets, half of them those of the lowest "
            f"{score} scores, half those of the highest; all are counted, and all are in the study."
        )
    if total > most_curves:
        notes.append(
            f"Responses are here for {most_curves} of {total} targets, half of them those of the "
            f"lowest {score} scores, half those of the highest."
        )
    if len(chosen) > MOST_IN_DETAIL:
        notes.append(f"Scores are those of the {main_filter(study.scores)} filter only.")
    return notes


def _reading_columns(readings: pd.DataFrame, score: str, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the other reading of a score in the order of the targets; nothing if it has none."""
    own = readings.loc[readings["score"] == score].set_index("target").loc[list(chosen)]
    if score == "difference" or own["value"].isna().all():
        return {}
    return {"beside": finite_numbers(own["value"]), "says": own["says"].tolist()}


def _filters(study: Study, *, many: bool) -> list[str]:
    main = main_filter(study.scores)
    others = [name for name in study.scores["filter"].unique().tolist() if name != main]
    return [main] if many else [main, *others]


def _filter_payload(study: Study, name: str) -> dict[str, str]:
    """Return the label, sweep and kind of a filter or a replacement."""
    display = display_filter(name)
    if study.replaces:
        unit = unit_of(study, name)
        return {"label": display.label, "sweep": "from mild to strong", "removes": "", "unit": unit}
    return {"label": display.label, "sweep": display.sweep_text, "removes": display.removes}


def _counts(study: Study) -> dict[str, Any]:
    many = len(set(study.responses["target"])) > MOST_IN_DETAIL
    return {
        name: {
            score: [[item.name, item.targets, item.values] for item in counts]
            for score, counts in class_counts(study, name).items()
        }
        for name in _filters(study, many=many)
    }


def _scores(study: Study, chosen: Sequence[str]) -> dict[str, Any]:
    """Return scores by filter and score, as columns in the order of the targets."""
    scores, readings = study.scores, study.readings
    numbers = {name: number for number, name in enumerate(CLASSES)}
    columns: dict[str, Any] = {}
    for name in _filters(study, many=len(chosen) > MOST_IN_DETAIL):
        rows = scores.loc[scores["filter"] == name]
        columns[name] = {}
        for score in study.score_names:
            rows_of_score = rows.loc[rows["score"] == score].set_index("target").loc[list(chosen)]
            columns[name][score] = {
                "value": finite_numbers(rows_of_score["value"]),
                "low": finite_numbers(rows_of_score["low"]),
                "high": finite_numbers(rows_of_score["high"]),
                "class": rows_of_score["class"].map(numbers).tolist(),
                "point": rows_of_score["point"].map(numbers).tolist(),
                **_reading_columns(readings.loc[rows.index], score, chosen),
            }
    return columns
