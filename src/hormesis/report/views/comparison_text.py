"""The results of a comparison, in lines for the terminal and the page."""

import pandas as pd

from hormesis.analysis.classes import IMPROVING, legend
from hormesis.analysis.readings import MEANINGS, other_reading
from hormesis.results.comparison import Comparison

POOLED = (
    "Intervals of the mean over runs: between runs, for other trainings on these samples; "
    "sampling, for these very runs on other samples; both, for other trainings on other samples, "
    "which the class of the mean goes by."
)


def legend_line(comparison: Comparison) -> str:
    """Return what the letters in paths of classes mean."""
    classes = IMPROVING if "adversarial" in comparison.score_names else ()
    return f"{legend(classes)}; lower case: by the estimate alone; - undefined"


def beside_line(comparison: Comparison) -> str:
    """Return the other reading of each study, which has no influence on classes."""
    if not any(comparison.studies["beside"]):
        return f"classes by {comparison.scoring.reference}"
    reading = other_reading(comparison.scoring)
    studies = zip(comparison.studies["study"], comparison.studies["beside"], strict=True)
    readings = "; ".join(f"{name}: {text or 'nothing'}" for name, text in studies)
    return (
        f"classes by {comparison.scoring.reference}; {comparison.main_score} by {reading}, "
        f"{MEANINGS[reading]}: {readings}"
    )


def invariants(comparison: Comparison) -> list[str]:
    """Return for each score how many targets keep their class, in lines."""
    lines = []
    for score in comparison.score_names:
        kinds = comparison.paths.loc[comparison.paths["score"] == score, "invariant"]
        counts = kinds.value_counts()
        parts = [
            f"{counts.get('certain', 0)} of {len(kinds)} keep their class for certain",
            f"{counts.get('undecided', 0)} by the estimates",
            f"{counts.get('no', 0)} change",
        ]
        if counts.get("undefined", 0):
            parts.append(f"{counts['undefined']} undefined")
        lines.append(f"{score + ':':<13}{', '.join(parts)}")
    return lines


def agreement_lines(comparison: Comparison) -> list[str]:
    """Return for each score how far the studies agree, in lines."""
    lines = []
    for row in comparison.agreement.to_dict("records"):
        if pd.isna(row["kappa"]):
            kappa = "all of one class"
        else:
            between = f"{row['kappa_low']:.2f} to {row['kappa_high']:.2f}"
            kappa = f"κ = {row['kappa']:.2f} ({between}, p = {row['kappa_p']:.3f})"
        ranks = f"mean ρ = {row['correlation']:.2f} (p = {row['correlation_p']:.3f})"
        lines.append(f"{row['score'] + ':':<13}{kappa}, {ranks}")
    return lines
