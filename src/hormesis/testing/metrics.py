"""The laws of a metric."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hormesis.stress.metrics import Metric, as_metric


class MetricTests:
    """What holds for every metric.

    Attributes:
        metric: The metric.
        classes: Number of classes of the logits that it is given.
        answers: Returns outputs and labels of so many samples, the same ones at each call, for a
            metric of other outputs than logits ``[batch, classes]`` and class numbers.
    """

    metric: ClassVar[Metric]
    classes: ClassVar[int] = 8
    answers: ClassVar[Callable[[int], tuple[Tensor, Tensor]] | None] = None

    def _answers(self, count: int = 60) -> tuple[Tensor, Tensor]:
        if self.answers is not None:
            return type(self).answers(count)  # pyright: ignore[reportOptionalCall]
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(count, self.classes, generator=generator)
        logits[::5, : self.classes // 2] = (
            0.5  # equal logits are usual where a filter leaves little
        )
        labels = torch.randint(0, self.classes, (count,), generator=generator)
        return logits, labels

    def test_it_is_a_metric(self) -> None:
        assert as_metric(self.metric) is self.metric
        assert self.metric.name

    def test_every_sample_has_one_finite_number(self) -> None:
        logits, labels = self._answers()
        before = logits.clone(), labels.clone()
        for kind in (torch.float32, torch.float64):
            values = self.metric.measure(logits.to(kind), labels)
            assert (values.shape, values.dtype) == (labels.shape[:1], torch.float32)
            assert bool(values.isfinite().all())
        assert torch.equal(logits, before[0])
        assert torch.equal(labels, before[1])

    def test_a_sample_does_not_depend_on_its_batch(self) -> None:
        logits, labels = self._answers()
        values = self.metric.measure(logits, labels)
        order = torch.randperm(len(labels))
        turned = self.metric.measure(logits[order], labels[order])
        torch.testing.assert_close(turned, values[order], rtol=1e-6, atol=1e-6)
        parts = [self.metric.measure(logits[n : n + 1], labels[n : n + 1]) for n in range(9)]
        torch.testing.assert_close(torch.cat(parts), values[:9], rtol=1e-6, atol=1e-6)

    def test_it_is_the_same_again(self) -> None:
        logits, labels = self._answers()
        first = self.metric.measure(logits, labels)
        assert torch.equal(self.metric.measure(logits, labels), first)

    def test_a_binary_one_says_so(self) -> None:
        values = self.metric.measure(*self._answers())
        if self.metric.binary:
            assert bool(((values == 0) | (values == 1)).all())
        if self.metric.rank is not None:
            assert self.metric.binary

    def test_a_rank_is_what_it_says(self) -> None:
        if self.metric.rank is None:
            return
        logits, labels = self._answers()
        order = logits.argsort(dim=1, descending=True, stable=True)[:, : self.metric.rank]
        expected = (order == labels[:, None]).any(dim=1)
        assert torch.equal(self.metric.measure(logits, labels) == 1, expected)

    def test_no_constant_answer_does_better_than_chance(self) -> None:
        outputs, labels = self._answers()
        level = self.metric.chance_on(labels.numpy())
        if level is None or self.metric.aggregate:
            return
        assert np.isfinite(level)
        assert not self.metric.binary or 0 <= level <= 1
        for _ in range(20):
            axis = self.metric.class_axis
            sizes = [
                1 if at != axis % outputs.ndim else size for at, size in enumerate(outputs.shape)
            ]
            constant = torch.randn(sizes).expand_as(outputs)
            mean = float(self.metric.measure(constant, labels).double().mean())
            gained = mean - level if self.metric.higher_is_better else level - mean
            assert gained <= 1e-6
