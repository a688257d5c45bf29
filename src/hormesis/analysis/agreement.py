"""Agreement of studies: rank correlations and Fleiss' kappa, compared with chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

_SEED = 0
Table = Float[np.ndarray, "studies targets"]
Square = Float[np.ndarray, "studies studies"]


def spearman(values: Table) -> Square:
    """Return Spearman's rank correlation of every two studies, over targets.

    Example:
        >>> spearman(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))[0, 1].round(12).item()
        -1.0
    """
    return _cosines(_standard_ranks(values))


def kendall(values: Table) -> Square:
    """Return Kendall's tau-b of every two studies, over targets.

    It is the cosine of the angle between the signs of all differences of two targets.
    """
    products = np.zeros((len(values), len(values)))
    for target in range(values.shape[1] - 1):
        signs = np.sign(values[:, target + 1 :] - values[:, target : target + 1])
        products += signs @ signs.T
    norms = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(products / np.outer(norms, norms), -1, 1)


def correlation_interval(
    correlation: Float[np.ndarray, "*pairs"], targets: int, level: float, *, kind: str
) -> tuple[Float[np.ndarray, "*pairs"], Float[np.ndarray, "*pairs"]]:
    """Return an interval of a rank correlation by Fisher's z.

    The variance of ``artanh r`` is ``(1 + r²/2)/(m − 3)`` for Spearman's (Bonett and Wright, 2000)
    and ``0.437/(m − 4)`` for Kendall's (Fieller, Hartley and Pearson, 1957), over ``m`` targets.
    It treats targets as independent draws, which holds only in part for the layers of a network.

    Args:
        correlation: -1 to 1.
        targets: Number of targets; the interval is NaN for 4 or fewer.
        level: Confidence level.
        kind: ``"spearman"`` or ``"kendall"``.
    """
    if targets <= 4:
        empty = np.full_like(correlation, np.nan)
        return empty, empty
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(correlation)
        if kind == "spearman":
            variance = (1 + np.square(correlation) / 2) / (targets - 3)
        else:
            variance = np.full_like(correlation, 0.437 / (targets - 4))
        half = stats.norm.ppf((1 + level) / 2) * np.sqrt(variance)
        return np.tanh(z - half), np.tanh(z + half)


@dataclass(frozen=True)
class Agreement:
    """Agreement of studies on all targets, with p-values against chance.

    Args:
        kappa: Fleiss' kappa of the classes; NaN if all are of one class.
        kappa_low: Lower end of its percentile interval, from resampled targets.
        kappa_high: Upper end.
        kappa_p: Share of permutations with a kappa at least as high.
        correlation: Mean of Spearman's correlations of every two studies.
        correlation_p: Share of permutations with a mean at least as high.
    """

    kappa: float
    kappa_low: float
    kappa_high: float
    kappa_p: float
    correlation: float
    correlation_p: float


def measure_agreement(
    values: Table, classes: Int[np.ndarray, "studies targets"], level: float, draws: int = 499
) -> Agreement:
    """Return the agreement of studies beyond chance.

    Under chance, the targets of every study are permuted independently. All draws are seeded.

    Args:
        values: Scores.
        classes: Codes from 0.
        level: Confidence level.
        draws: Number of permutations, and of bootstrap samples of targets.
    """
    generator = np.random.default_rng(_SEED)
    ranks = _standard_ranks(values)
    kappa, mean = fleiss_kappa(classes), _mean_correlation(ranks)
    as_high = np.zeros(2)
    for _ in range(draws):
        shuffled = generator.permuted(classes, axis=1)
        as_high[0] += fleiss_kappa(shuffled) >= kappa - 1e-12
        as_high[1] += _mean_correlation(generator.permuted(ranks, axis=1)) >= mean - 1e-12
    p_values = (1 + as_high) / (1 + draws)
    targets = generator.integers(classes.shape[1], size=(draws, classes.shape[1]))
    kappas = np.array([fleiss_kappa(classes[:, row]) for row in targets])
    kappas = kappas[~np.isnan(kappas)]
    low, high = (
        np.quantile(kappas, ((1 - level) / 2, (1 + level) / 2)) if len(kappas) else (np.nan, np.nan)
    )
    undefined = np.isnan(kappa)
    return Agreement(
        kappa,
        np.nan if undefined else float(low),
        np.nan if undefined else float(high),
        np.nan if undefined else float(p_values[0]),
        mean,
        np.nan if np.isnan(mean) else float(p_values[1]),
    )


def fleiss_kappa(classes: Int[np.ndarray, "studies targets"]) -> float:
    """Return Fleiss' kappa (1971) of classes that several studies give to the same targets.

    Args:
        classes: Codes from 0.

    Returns:
        1 for full agreement, 0 for that of chance; NaN if all targets are of one class.

    Example:
        >>> fleiss_kappa(np.array([[0, 1, 1], [0, 1, 1]]))
        1.0
    """
    studies = len(classes)
    counts = (classes[None] == np.arange(classes.max(initial=0) + 1)[:, None, None]).sum(axis=1)
    expected = float(np.square(counts.sum(axis=1) / classes.size).sum())
    if expected >= 1:
        return float("nan")
    pairs = np.square(counts).sum(axis=0) - studies
    observed = float(pairs.mean() / (studies * (studies - 1)))
    return (observed - expected) / (1 - expected)


def _standard_ranks(values: Table) -> Table:
    ranks = stats.rankdata(values, axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.square(ranks).sum(axis=1, keepdims=True))
    return np.divide(ranks, norms, out=np.full_like(ranks, np.nan), where=norms > 0)


def _cosines(ranks: Table) -> Square:
    return np.clip(ranks @ ranks.T, -1, 1)


def _mean_correlation(ranks: Table) -> float:
    """Return the mean correlation of every two rows of standardised ranks."""
    studies = len(ranks)
    together = float(np.square(ranks.sum(axis=0)).sum())
    return (together - studies) / (studies * (studies - 1))
