"""What the best guess scores that never looks at the input, from the shares of the classes."""

import numpy as np
from jaxtyping import Shaped

Labels = Shaped[np.ndarray, " samples"]
"""Class of each sample, at least one."""


def guessed_accuracy(labels: Labels) -> float:
    """Return the share of the most frequent class.

    Example:
        >>> guessed_accuracy(np.array([0, 0, 0, 1]))
        0.75
    """
    return _shares(labels, 1)


def guessed_top5(labels: Labels) -> float:
    """Return the share of the five most frequent classes together.

    Example:
        >>> guessed_top5(np.array([0, 0, 0, 1]))
        1.0
    """
    return _shares(labels, 5)


def guessed_loss(labels: Labels) -> float:
    """Return the entropy of the shares in nats: the cross-entropy of always predicting them.

    Example:
        >>> round(guessed_loss(np.array([0, 0, 0, 1])), 4)
        0.5623
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(max(-(shares * np.log(shares)).sum(), 0.0))


def _shares(labels: Labels, most: int) -> float:
    counts = np.unique(labels, return_counts=True)[1]
    return float(np.sort(counts)[-most:].sum() / len(labels))
