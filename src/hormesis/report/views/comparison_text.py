"""The results of a comparison, in lines for the terminal and the page."""

from collections.abc import Sequence

import pandas as pd

from hormesis.analysis.classes import IMPROVING, legend
from hormesis.analysis.readings import MEANINGS, other_reading
from hormesis.results.comparison import Comparison

POOLED = (
    "Intervals of the mean over runs: between runs, for other trainings on these samples; "
    "sampling, for these very runs on other samples; both, for other trainings on other samples, "
    "which the class of the mean goes by."
)

KAPPA = (
    "κ (Fleiss) says how far the studies agree on the class of each target beyond chance: "
    "1 is full agreement, 0 is what chance gives. Where nearly all targets are of one class, "
    "chance agrees as well, and κ is near 0."
)
RHO = (
    "ρ (Spearman) says how alike the studies order the targets by their score, as a mean over all "
    "pairs of studies: 1 is the same order, 0 is no likeness, −1 is the reverse order."
)
_AXES = {
    "epochs": "epochs",
    "data": "data sets",
    "models": "networks",
    "seeds": "runs",
    "epsilons": "magnitudes of the attack",
}
_MEMBERS = {"epochs": "epoch {}", "epsilons": "ε {}", "seeds": "seed {}"}


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


def member_name(label: str, over: str) -> str:
    """Return the name of a study in a sentence: ``3`` alone says little where it is an epoch.

    Example:
        >>> member_name("3", "epochs"), member_name("ε 8/255", "epsilons"), member_name("a", "data")
        ('epoch 3', 'ε 8/255', 'a')
    """
    return _MEMBERS[over].format(label) if label.isdecimal() and over in _MEMBERS else label


def answer_sentences(comparison: Comparison, labels: Sequence[str]) -> list[str]:
    """Return the answer of a comparison: what keeps its class, and what changes most.

    Args:
        comparison: Any comparison.
        labels: Labels of its studies, in their order.
    """
    score = comparison.main_score
    kinds = comparison.paths.loc[comparison.paths["score"] == score, "invariant"]
    certain, estimated = (int((kinds == name).sum()) for name in ("certain", "undecided"))
    changing = int((kinds == "no").sum())
    sentences = [
        f"Over {len(labels)} {_AXES[comparison.over]}, {certain} of {len(kinds)} targets keep "
        f"their class by the {score} score for certain and {estimated} by the estimates alone; "
        f"{changing} {'changes' if changing == 1 else 'change'} it."
    ]
    changes = comparison.changes.loc[comparison.changes["score"] == score]
    if len(changes):
        largest = changes.iloc[0]
        names = dict(zip(comparison.studies["study"].astype(str), labels, strict=True))
        start, end = (
            member_name(names[str(largest[side])], comparison.over) for side in ("from", "to")
        )
        number = f"{largest['difference']:+.2f}".replace("-", "−")
        target = str(largest["match"]).removesuffix(".weight")
        sure = "certain" if largest["certain"] else "not certain"
        sentences.append(
            f"{target} moves most, by {number} from {start} to {end}, which is {sure}."
        )
    return sentences


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
    return [
        f"{score + ':':<13}{kappa}, mean {ranks}"
        for score, kappa, ranks in agreement_cells(comparison)
    ]


def agreement_cells(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return for each score its name, the agreement on classes, and that on the order of targets.

    Example:
        >>> agreement_cells(comparison)  # doctest: +SKIP
        [('clean', 'κ = 0.58 (0.31 to 0.84, p = 0.000)', 'ρ = 0.70 (p = 0.001)')]
    """
    cells = []
    for row in comparison.agreement.to_dict("records"):
        if pd.isna(row["kappa"]):
            kappa = "all of one class"
        else:
            between = f"{row['kappa_low']:.2f} to {row['kappa_high']:.2f}"
            kappa = f"κ = {row['kappa']:.2f} ({between}, p = {row['kappa_p']:.3f})"
        ranks = f"ρ = {row['correlation']:.2f} (p = {row['correlation_p']:.3f})"
        cells.append((str(row["score"]), kappa, ranks))
    return cells
