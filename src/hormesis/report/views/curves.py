"""Responses relative to the base: a score is the area between them and the reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.response_intervals import KINDS, around_mean, mean_squares, wilson
from hormesis.analysis.scores import relative_response
from hormesis.report.views.figures import target_sweeps
from hormesis.results.study import Study

_Values = tuple[float, ...]
_ENDS = ("clean_low", "clean_high", "adversarial_low", "adversarial_high")


@dataclass(frozen=True)
class RelativeCurve:
    """A response relative to the base, 1 where nothing changes.

    Args:
        values: At each threshold; NaN where the performance that it is divided by is zero.
        low: Lower ends of the intervals at each threshold on its own; empty if unknown.
        high: Upper ends.
        reference: The curve of an invariant network.
    """

    values: _Values
    low: _Values
    high: _Values
    reference: _Values


@dataclass(frozen=True)
class RelativeResponses:
    """The responses of one target to one filter, as the scores see them.

    Args:
        target: Name of the target.
        filter: Name of the filter.
        progress: Normalised thresholds, 0 to 1.
        alpha: The thresholds, in units of the weights.
        clean: On clean inputs.
        adversarial: On perturbed inputs.
        density: Share of values kept at each threshold.
    """

    target: str
    filter: str
    progress: _Values
    alpha: _Values
    clean: RelativeCurve
    adversarial: RelativeCurve
    density: _Values


def with_bands(study: Study, targets: Sequence[str] | None = None) -> pd.DataFrame:
    """Return responses with the interval of each mean performance on its own.

    Accuracies get Wilson's interval, all else the mean plus and minus its standard errors: as many
    as the study's scores get, so that a study that chose when to stop has wider ones.

    Args:
        study: Any study.
        targets: Names of the targets; by default all.

    Returns:
        The rows of ``Study.responses``, with ``clean_low``, ``clean_high``, ``adversarial_low`` and
        ``adversarial_high``; NaN where the outcomes that they need were not kept.

    Raises:
        StudyError: If outcomes that are needed are damaged.
    """
    table = study.responses
    if targets is not None:
        table = table.loc[table["target"].isin(targets)]
    binary = study.metadata.binary
    parts = []
    for group in study.settled_groups:
        rows = table.loc[table["target"].isin(group.targets)]
        if group.samples > 1 and (binary or study.has_outcomes) and len(rows):
            factor = float(study.interval_method(study.scoring, group.samples).critical())
            squares = {} if binary else mean_squares(rows, group.samples, study.blocks())
            for kind in KINDS:
                mean = rows[kind].to_numpy(float)
                if binary:
                    low, high = wilson(mean, group.samples, factor)
                else:
                    low, high = around_mean(mean, squares[kind], group.samples, factor)
                rows = rows.assign(**{f"{kind}_low": low, f"{kind}_high": high})
        parts.append(rows)
    return pd.concat(parts).reindex(columns=[*table.columns, *_ENDS]).sort_index()


def relative_responses(study: Study, target: str, *, bands: bool = True) -> list[RelativeResponses]:
    """Return the relative responses of one target, one entry a filter.

    A score is the area between a curve's ``values`` and its ``reference`` (METHOD, section 4), by
    the study's own scoring. The intervals are those of the response; what it is divided by is
    taken as it was measured.

    Args:
        study: Any study.
        target: Name of a swept target.
        bands: Whether to work out intervals.
    """
    table = with_bands(study, [target]) if bands else study.responses
    base = study.group_of[target].base
    return [
        RelativeResponses(
            target,
            name,
            _values(sweep["progress"].to_numpy(float)),
            _values(sweep["alpha"].to_numpy(float)),
            _curve(study, sweep, "clean", base.clean),
            _curve(study, sweep, "adversarial", base.divisor("adversarial")),
            _values(sweep["density"].to_numpy(float)),
        )
        for name, sweep in target_sweeps(table, target)
    ]


def _curve(study: Study, sweep: pd.DataFrame, kind: str, base: float) -> RelativeCurve:
    own = study.base
    if study.scoring.base == "first":
        base = float(sweep[kind].iloc[0])

    def by_base(column: str) -> Float[np.ndarray, " steps"]:
        return relative_response(
            sweep[column].to_numpy(float), base, larger_is_better=own.larger_is_better
        )

    low, high = f"{kind}_low", f"{kind}_high"
    if not own.higher_is_better:  # the larger end of a loss is the worse one
        low, high = high, low
    has_intervals = low in sweep and bool(sweep[low].notna().to_numpy().all())
    reference = {
        "density": lambda: sweep["density"].to_numpy(float),
        "base": lambda: np.ones(len(sweep)),
        "random": lambda: by_base(f"random_{kind}"),
    }[study.scoring.reference]()
    return RelativeCurve(
        _values(by_base(kind)),
        _values(by_base(low)) if has_intervals else (),
        _values(by_base(high)) if has_intervals else (),
        _values(reference),
    )


def _values(column: np.ndarray) -> _Values:
    return tuple(map(float, column))
