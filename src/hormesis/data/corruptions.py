"""Corruptions of inputs."""

from dataclasses import dataclass

from hormesis.data.samples import Samples


@dataclass(frozen=True)
class Corruption:
    """A corruption of the data."""

    name: str

    def apply(self, samples: Samples) -> Samples:
        """Return corrupted samples."""
        return samples
