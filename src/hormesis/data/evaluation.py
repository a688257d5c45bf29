"""Whatever can be measured sample by sample, by a function of the user's."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from hormesis.errors import DataError, HormesisError, SettingError, quoted

Function = Callable[[nn.Module, list[int], bool], Any]


@dataclass(frozen=True)
class Evaluation:
    """A function that evaluates a network on samples by their numbers, in place of data.

    The function may do anything: run a detector and score its boxes, generate a text and grade it,
    play an episode. It gets the network as it was passed to ``analyze``, with some of its
    parameters filtered, in evaluation mode. It must give a sample the same number whenever it is
    asked, so seed what is random by the number of the sample.

    Args:
        function: Takes the network, the numbers of some samples, from 0, and whether they are to be
            stressed (perturbed, corrupted, attacked: whatever the function makes of it); returns
            one number a sample, as a tensor, an array or a list.
        samples: How many there are, at least 2.
        stressed: Whether the function stresses samples too; if not, only clean scores are measured.
        name: What tables and the manifest call the metric; by default the function's name.
        higher_is_better: False for a loss or an error.
        binary: Whether every number is 0 or 1.
        chance: Mean of a guess, or None where it is not known.
        identity: Text that tells the data and settings of the function from all others, such as a
            version; studies of another identity are not resumed. The code of the function counts by
            itself where Python knows it.
        prepare: Called once with the network as it was passed to ``analyze``, before anything is
            filtered; returns the evaluation that measures it, which may hold what depends on the
            network. None takes this one for every network.
        data_name: What tables and the manifest call the samples; by default the metric's name.
        notes: What a reader has to know, in sentences.
        confirming: Returns the same samples under other adversaries, which put claims to the test,
            from the steps and restarts of a ``Confirmation``: under ``"adaptive"`` stressed anew
            for every filtered network, under ``"transfer"`` for the unfiltered one if the study's
            are not, and under ``"restarts"`` anew and harder. None leaves claims unconfirmed.
        adversary: ``"adaptive"`` if samples are stressed anew for every filtered network.
        rechecks: How many filtered networks are measured again in the end, on a few samples, to see
            whether they get the same numbers; None takes as many as for any other study.

    Raises:
        SettingError: For a function that cannot be called, or fewer than 2 samples.

    Example:
        >>> def bias_of(network, numbers, stressed):
        ...     return [network.bias.sum().item()] * len(numbers)
        >>> evaluation = Evaluation(bias_of, samples=100)
        >>> evaluation.name, len(evaluation.measure(nn.Linear(1, 1), [0, 1, 2], stressed=False))
        ('bias_of', 3)
    """

    function: Function
    samples: int
    stressed: bool = False
    name: str = ""
    higher_is_better: bool = True
    binary: bool = False
    chance: float | None = None
    identity: str = ""
    prepare: Callable[[Any], "Evaluation"] | None = None
    data_name: str = ""
    notes: tuple[str, ...] = ()
    confirming: Callable[[int, int], Mapping[str, "Evaluation"]] | None = None
    adversary: str = "fixed"
    rechecks: int | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        if not callable(self.function) or not _takes_three(self.function):
            form = getattr(self.function, "__name__", type(self.function).__name__)
            with suppress(TypeError, ValueError):
                form += str(inspect.signature(self.function))
            raise SettingError(
                "Expected the function of an evaluation to take a network, the numbers of samples "
                f"and whether they are stressed, got {form:.80}."
            )
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 2:
            raise SettingError(f"Expected `samples` to be at least 2, got {self.samples}.")
        own = getattr(self.function, "__name__", type(self.function).__name__)
        object.__setattr__(self, "name", self.name or own)
        object.__setattr__(self, "data_name", self.data_name or self.name)

    def measure(
        self, network: nn.Module, numbers: Sequence[int], *, stressed: bool
    ) -> Float[np.ndarray, " samples"]:
        """Return one number for each sample.

        Args:
            network: The network, filtered or not.
            numbers: Of the samples.
            stressed: Whether they are stressed.

        Raises:
            DataError: If the function fails, or returns anything but one number a sample.
        """
        try:
            returned = self.function(network, list(numbers), stressed)
            if hasattr(returned, "detach"):
                returned = returned.detach().cpu()
            values = np.asarray(returned, dtype=np.float32)
        except HormesisError:
            raise
        except Exception as error:  # anything may come out of code that is not ours
            raise DataError(
                f"The evaluation {self.name!r} failed on {len(numbers)} samples from number "
                f"{numbers[0]}: {quoted(error)}"
            ) from error
        if values.shape != (len(numbers),):
            raise DataError(
                f"Expected the evaluation {self.name!r} to return one number a sample, shape "
                f"[{len(numbers)}], got shape {list(values.shape)}."
            )
        if self.binary and not np.isin(values, (0, 1)).all():
            raise DataError(
                f"Expected the evaluation {self.name!r} to return 0 or 1, as `binary` says, got "
                "others."
            )
        return values

    def fingerprint(self) -> str:
        """Return a SHA-256 over the name, the code where it is known, and the identity."""
        try:
            code = inspect.getsource(self.function)
        except (OSError, TypeError):
            code = getattr(self.function, "__qualname__", "")
        text = f"evaluation|{self.name}|{self.samples}|{self.stressed}|{self.identity}|{code}"
        return hashlib.sha256(text.encode()).hexdigest()


def _takes_three(function: Callable[..., Any]) -> bool:
    """Return whether a function can be called with three arguments, as far as Python knows."""
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # of functions that are no Python
        return True
    return True
