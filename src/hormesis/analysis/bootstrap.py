"""Standard errors of scores by the bootstrap over samples."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from hormesis.analysis.moments import Blocks, InfluenceMoments, StandardErrors
from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import SCORES, Base, score_layout, sweep_scores
from hormesis.engine.controls import control_columns
from hormesis.settings.scoring import Scoring

_SEED = 0
_MOST_CELLS = 10_000  # resampled at a time, so that memory stays in bounds
_MOST_UNDEFINED = 0.01  # of the replicates; more, and there is no interval
Resample = Callable[
    [Int[np.ndarray, " removals"], Int[np.ndarray, "replicates samples"]],
    Float[np.ndarray, "two outcomes replicates"],
]
"""From some rows of the outcomes, and how often each sample was drawn, to their performance on each
bootstrap sample, that of the unfiltered network last: clean, adversarial."""


def bootstrap_errors(
    sweeps: Sweeps,
    base: Base,
    scoring: Scoring,
    resample: Resample,
    moments: InfluenceMoments,
    *,
    replicates: int = 1000,
) -> StandardErrors:
    """Return the standard errors of the scores over resampled samples.

    The two sides come from percentiles of the replicates. The term for unseen samples is that of
    the delta method, since a bootstrap cannot estimate it. The draws are seeded.

    Args:
        sweeps: Responses.
        base: Performance of the unfiltered network.
        scoring: How responses become scores.
        resample: Such as ``resampled_means`` of the outcomes.
        moments: Of influence values, for the term of unseen samples.
        replicates: Number of bootstrap samples.
    """
    samples = moments.samples
    draw = np.random.default_rng(_SEED)
    counts = draw.multinomial(samples, np.full(samples, 1 / samples), size=replicates)
    tail = (1 - scoring.level) / 2
    sides = []
    for part in _parts(sweeps):
        rows = score_layout(part)
        drawn = np.empty((replicates, len(rows.names), len(SCORES)))
        resamples = _resampled(part, base, resample, counts)
        for index, (resampled, resampled_base) in enumerate(resamples):
            drawn[index] = rows.mean @ sweep_scores(resampled, resampled_base, scoring).T
        flat = drawn.reshape(replicates, -1)
        flat[:, np.isnan(flat).mean(axis=0) > _MOST_UNDEFINED] = np.nan
        value = (rows.mean @ sweep_scores(part, base, scoring).T).ravel()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # rows without any value stay NaN
            low, high = np.nanquantile(flat, (tail, 1 - tail), axis=0)
        sides.append((value - low, high - value))
    critical = stats.norm.ppf(1 - tail) * np.sqrt(1 - 1 / samples)  # as s² divides by n − 1
    least = moments.typical.T.ravel()
    below, above = (
        np.hypot(np.maximum(np.concatenate(side), 0) / critical, least)
        for side in zip(*sides, strict=True)
    )
    return replace(moments.standard_errors(), below=below, above=above)


def _parts(sweeps: Sweeps) -> Iterator[Sweeps]:
    """Yield the sweeps of a few targets at a time."""
    targets = [target for target, _ in sweeps.names]
    starts = [row for row, name in enumerate(targets) if row == 0 or targets[row - 1] != name]
    steps = next(iter(sweeps.columns.values())).shape[1]
    ends = [*starts[1:], len(targets)]
    first = 0
    for start, end in zip(starts, ends, strict=True):
        if end == len(targets) or (end - first + end - start) * steps > _MOST_CELLS:
            columns = {name: values[first:end] for name, values in sweeps.columns.items()}
            yield Sweeps(sweeps.names[first:end], columns)
            first = end


def resampled_means(
    blocks: Blocks,
    own: Int[np.ndarray, " removals"],
    counts: Int[np.ndarray, "replicates samples"],
) -> Float[np.ndarray, "two outcomes replicates"]:
    """Return mean outcomes over bootstrap samples, see ``Resample``.

    Args:
        blocks: Yields the outcomes, block by block.
        own: Rows of the outcomes.
        counts: How often each sample was drawn.
    """
    means = np.zeros((2, len(own) + 1, len(counts)))
    first = 0
    weights = counts.astype(np.float32) / counts.shape[1]
    for block in blocks():
        end = first + len(block.base_clean)
        of_block = weights[:, first:end].T
        for side, values, unfiltered in (
            (0, block.clean, block.base_clean),
            (1, block.adversarial, block.base_adversarial),
        ):
            means[side] += np.vstack([values[own], unfiltered[None]]) @ of_block
        first = end
    return means


def _resampled(
    sweeps: Sweeps, base: Base, resample: Resample, counts: Int[np.ndarray, "replicates samples"]
) -> Iterator[tuple[Sweeps, Base]]:
    """Yield the responses and the base of each bootstrap sample."""
    draws = control_columns(sweeps.columns)
    cells = ["outcome", *draws]
    used, rows = np.unique(
        np.stack([sweeps.columns[name].astype(np.int64) for name in cells]), return_inverse=True
    )
    rows = rows.reshape(len(cells), *sweeps.columns["outcome"].shape)
    own = used[used >= 0]
    means = resample(own, counts)
    if used[0] < 0:  # the unfiltered comes first among the used, and last among the means
        rows = np.where(rows == 0, len(own), rows - 1)
    for clean, adversarial in zip(means[0].T, means[1].T, strict=True):
        columns: dict[str, Float[np.ndarray, "rows steps"]] = dict(sweeps.columns)
        columns["clean"], columns["adversarial"] = clean[rows[0]], adversarial[rows[0]]
        if draws:  # the mean over draws, which stay those that they are
            columns["random_clean"] = clean[rows[1:]].mean(axis=0)
            columns["random_adversarial"] = adversarial[rows[1:]].mean(axis=0)
        yield (
            Sweeps(sweeps.names, columns),
            replace(base, clean=float(clean[-1]), adversarial=float(adversarial[-1])),
        )
