"""Samples told apart by their content, so that a proof shares none with a choice."""

import hashlib

import torch
from jaxtyping import Bool
from torch import Tensor

from hormesis.data.samples import Samples
from hormesis.data.trees import tensors_in


def sample_digests(samples: Samples) -> list[bytes]:
    """Return a hash of input and label of each sample, wherever it stands in a data set.

    Example:
        >>> from hormesis.data.samples import samples_from
        >>> twice = samples_from((torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([0, 1, 0])))
        >>> first, second, third = sample_digests(twice)
        >>> first == third, first == second
        (True, False)
    """
    count = len(samples)
    leaves = [_bytes_of(one) for one in tensors_in((samples.inputs, samples.labels))]
    digests = []
    for row in range(count):
        digest = hashlib.sha256()
        for leaf in leaves:
            digest.update(leaf[row].numpy().tobytes())
        digests.append(digest.digest())
    return digests


def _bytes_of(leaf: Tensor) -> Tensor:
    rows = leaf.detach().contiguous().view(len(leaf), -1)
    return rows.view(torch.uint8)


def shared_samples(samples: Samples, others: Samples) -> Bool[Tensor, " samples"]:
    """Return which samples are among others, by their content.

    Args:
        samples: Samples.
        others: Samples of the same form.
    """
    known = set(sample_digests(others))
    return torch.tensor([digest in known for digest in sample_digests(samples)])
