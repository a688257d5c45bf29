"""Rows whose outcome depends on rounding, and their logits from the given network itself."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hormesis.data.trees import (
    Tree,
    count_rows,
    device_of_rows,
    flat_rows,
    join_rows,
    repeat_rows,
    select_rows,
)
from hormesis.engine.executor import Answer, spread_indices
from hormesis.engine.plain import filtering
from hormesis.engine.plan import Removal
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode
from hormesis.stress.metric import ARGMAX, Metric

# In 25,000 rows of the paper's networks rounding moved no logit by more than 1e-5 of the largest in
# its row, and so no gap between two by more than 2e-5 (`test_rounding_stays_within_the_margin`).
MARGIN = 1e-4
# Where a removal leaves next to nothing, logits are small, yet their rounding is that of larger
# values further up: a row counts as at least this share of the unfiltered network's logits.
_LEAST = 1e-2
# Where values cancel, as behind an offset of 10,000 that a batch norm takes away, the rounding of
# logits is that of the offset. So it is measured on some rows: a gap may close by this many times
# what was seen there, twice for its two logits.
_SAFETY = 4.0
_ROUNDING_STEPS = 4  # of a number in half precision, whose rounding is coarser than `MARGIN`
_COARSE = 1e-3  # rounding of more than this share of the logits may differ with the batch, too
_NETWORK_LOCK = threading.Lock()  # held while a thread filters or attacks the network


@dataclass(frozen=True)
class Rounding:
    """How far rounding may move the logits of a network, filtered or not.

    Args:
        logit_scale: Largest absolute logit of the unfiltered network.
        floor: Gap between two logits that rounding may close, however small the logits are; 0
            where a check found no more than ``MARGIN`` allows for.
    """

    logit_scale: float = 0.0
    floor: float = 0.0

    @property
    def coarse(self) -> bool:
        """Whether even the network itself may answer differently in batches of other sizes."""
        return self.floor > _COARSE * self.logit_scale

    def margins(
        self, logits: Float[Tensor, " rows *shape"], before: Float[Tensor, "rows classes"] | None
    ) -> Float[Tensor, "rows 1"]:
        """Return, for each row, the gap between two logits below which rounding might close it."""
        scale = largest(logits)
        if before is not None:
            scale = torch.maximum(scale, largest(before))
        scale = scale[:, None].clamp_min(_LEAST * self.logit_scale)
        margin = max(MARGIN, _ROUNDING_STEPS * torch.finfo(logits.dtype).eps)
        return (margin * scale).clamp_min(self.floor)

    def after(self, answer: Answer, own: Float[Tensor, " rows *shape"]) -> "Rounding":
        """Return the rounding after some rows were compared with the network itself.

        Args:
            answer: The program's answer to these rows.
            own: The network's own logits.
        """
        differences = (answer.logits - own).abs().nan_to_num(0.0, 0.0)
        moved = flat_rows(differences).amax(dim=1, keepdim=True)
        closed = 2 * _SAFETY * moved
        if (closed <= self.margins(own, answer.before)).all():
            return self
        return replace(self, floor=max(self.floor, closed.max().item()))


def largest(logits: Float[Tensor, " rows *shape"]) -> Float[Tensor, " rows"]:
    """Return the largest absolute value of each row, NaN if one is, without a copy of all values.

    Example:
        >>> largest(torch.tensor([[1.0, -3.0], [2.0, torch.nan]]))
        tensor([3., nan])
    """
    lowest, highest = torch.aminmax(flat_rows(logits), dim=1)
    return torch.maximum(-lowest, highest)


@contextmanager
def exclusive_access(network: nn.Module, removal: Removal | None = None) -> Iterator[None]:
    """Give one thread at a time access to the network, filtered if there is a removal."""
    with _NETWORK_LOCK, filtering(network, removal) if removal else nullcontext():
        yield


def find_undecided(
    logits: Float[Tensor, " rows *shape"],
    labels: Tree,
    metric: Metric,
    *,
    before: Float[Tensor, "rows classes"] | None = None,
    rounding: Rounding = Rounding(),
) -> Bool[Tensor, " rows"]:
    """Return where rounding might change the outcome, and where a logit is not finite.

    A metric with a ``rank`` compares the logit of the true class with the others: a row is
    undecided if the others that rounding might move past it (see ``Rounding``) could make the
    difference. One that hangs on the largest class at each position, or on signs, is undecided
    where two largest lie that close at a position, or an output that close to zero. Another binary
    performance may depend on the order of all of the six largest logits: a row is undecided if two
    neighbours among them lie that close. Other performances are numbers, which rounding moves by as
    little as the logits.

    Where logits are averages of a ReLU's outputs, one that is zero because all the ReLU's inputs
    lie well below zero is zero without rounding: two such are equal for the network itself too.

    Args:
        logits: From the fast engine.
        labels: True class of each row.
        metric: The per-sample score.
        before: Largest input, over all positions, of the ReLU behind each logit, if there is one.
        rounding: How far it may move logits.

    Example:
        >>> from hormesis.stress.metrics import accuracy
        >>> logits = torch.tensor([[1.0, 1.00001], [1.0, 2.0], [1.0, torch.nan]])
        >>> find_undecided(logits, torch.tensor([0, 0, 0]), accuracy)
        tensor([ True, False,  True])
    """
    broken = ~largest(logits).isfinite()
    single = metric.binary and logits.shape[1:].numel() < 2
    if not (metric.binary or (metric.decides and metric.rank is None)):
        return broken
    margin = rounding.margins(logits, before)
    if metric.rank is None and (metric.decides or single):
        return broken | _close_at_a_position(logits, metric, margin)
    if logits.ndim < 2:
        return broken
    if logits.ndim > 2:  # of no known form: what comes in pairs may be compared
        return broken | _close_at_a_position(logits, replace(metric, decides=ARGMAX), margin)
    if logits.shape[1] < 2:
        return broken
    zero = torch.zeros_like(logits, dtype=torch.bool) if before is None else before < -margin
    if metric.rank is None:
        best, order = logits.topk(min(6, logits.shape[1]), dim=1)
        close = best[:, :-1] - best[:, 1:] <= margin
        return broken | (close & ~_neighbours(zero.gather(1, order))).any(dim=1)
    own = labels[:, None].long()
    lead = logits - logits.gather(1, own)
    equal = zero & zero.gather(1, own)  # the lower index counts
    ahead = equal & (torch.arange(logits.shape[1], device=logits.device) < own)
    surely = (lead > margin) | ahead
    perhaps = ((lead >= -margin) & ~equal) | ahead
    perhaps.scatter_(1, own, torch.zeros_like(own, dtype=torch.bool))
    return broken | ((surely.sum(dim=1) < metric.rank) & (perhaps.sum(dim=1) >= metric.rank))


def _close_at_a_position(
    logits: Float[Tensor, " rows *shape"], metric: Metric, margin: Float[Tensor, "rows 1"]
) -> Bool[Tensor, " rows"]:
    """Return where a sign, or the largest of several classes, hangs on rounding at any position."""
    if metric.decides == ARGMAX and logits.ndim > 1 and logits.shape[metric.class_axis] > 1:
        best = logits.movedim(metric.class_axis, -1).topk(2, dim=-1).values
        gaps = (best[..., :1] - best[..., 1:]).flatten(1)
    else:
        gaps = flat_rows(logits.abs())
    return (gaps <= margin).any(dim=1)


def measure_rounding(
    network: nn.Module,
    removal: Removal | None,
    inputs: Tree,
    answer: Answer,
    rounding: Rounding,
) -> Rounding:
    """Return how far rounding moves logits, measured on a few rows of an answer.

    Args:
        network: The network; the same afterwards, bit for bit.
        removal: What is removed, or None.
        inputs: The inputs.
        answer: The program's answer to them.
        rounding: The rounding measured so far.
    """
    few = spread_indices(count_rows(inputs)).to(device_of_rows(inputs))
    return rounding.after(answer.of(few), own_logits(network, removal, select_rows(inputs, few)))


def _neighbours(zero: Bool[Tensor, "rows best"]) -> Bool[Tensor, "rows pairs"]:
    """Return which neighbours are both zero without rounding."""
    return zero[:, :-1] & zero[:, 1:]


def recheck_logits(
    network: nn.Module,
    removal: Removal | None,
    parts: Sequence[Tree],
    answer: Answer,
    labels: Tree,
    metric: Metric,
    *,
    rounding: Rounding,
) -> Float[Tensor, " all_rows *shape"]:
    """Return an answer's logits, those of undecided rows from the given network itself.

    Where rounding is coarse, or new values are wild, the network answers to all rows, in the
    batches of the plain loop.

    Args:
        network: The network; the same afterwards, bit for bit.
        removal: What is removed, or None.
        parts: The inputs, in the batches that the plain loop would take.
        answer: The program's answer to all of them.
        labels: True class of each row.
        metric: The per-sample score.
        rounding: How far it may move logits.
    """
    rows = find_undecided(answer.logits, labels, metric, before=answer.before, rounding=rounding)
    wild = removal is not None and removal.wild
    if wild or (rounding.coarse and (rows.any() or not metric.binary)):
        return torch.cat([own_logits(network, removal, part) for part in parts])
    if not rows.any():
        return answer.logits
    logits = answer.logits.clone()
    logits[rows] = own_logits(network, removal, select_rows(join_rows(parts), rows))
    return logits


def own_logits(
    network: nn.Module, removal: Removal | None, inputs: Tree
) -> Float[Tensor, " rows *shape"]:
    """Return the measured outputs of the given network on some rows, filtered or not.

    One row alone is doubled, for networks that treat a batch of one differently.
    """
    count = count_rows(inputs)
    rows = inputs if count > 1 else repeat_rows(inputs, 2)
    with exclusive_access(network, removal), evaluation_mode(network), torch.no_grad():
        return outputs_of(network, rows)[:count]
