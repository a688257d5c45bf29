"""The labelled samples of a study, in memory and checked once."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Labelled samples whose values lie within declared bounds.

    Args:
        inputs: One row a sample, in input units (pixels: 0 to 1), before any normalisation.
        labels: Class of each sample, from 0 to ``classes - 1``.
        bounds: Lowest and highest value that an input may take, also after an attack.
        classes: Number of classes.
        name: What the data set is called in tables and manifests.
        mean: Per-channel mean that networks for these data expect, or empty.
        std: Per-channel standard deviation that networks for these data expect, or empty.
    """

    inputs: Float[Tensor, "samples *shape"]
    labels: Int[Tensor, " samples"]
    bounds: tuple[float, float]
    classes: int
    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)
