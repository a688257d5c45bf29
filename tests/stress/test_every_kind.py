"""Every filter, attack and metric of the package passes the suites that third parties can use."""

from collections.abc import Callable

import pytest
import torch

from hormesis.data.datasets import NAMED_DATASETS
from hormesis.settings.attacks import ATTACKS, FGSM, PGD, RandomSigns
from hormesis.settings.choices import DATASETS, FILTERS, METRICS, REPLACEMENTS
from hormesis.settings.custom_attack import CustomAttack
from hormesis.stress.attacks import RUNS
from hormesis.stress.filters import NAMED_FILTERS
from hormesis.stress.metrics import NAMED_METRICS
from hormesis.stress.replacements import (
    NAMED,
    bit_faults,
    bit_position_faults,
    rewinding,
)
from hormesis.testing import AttackTests, FilterTests, MetricTests, ReplacementTests

EPSILON = 0.1


def suite(base: type, field: str, value: object, **others: object) -> type:
    return type(f"Test{base.__name__}", (base,), {field: value, **others})


for name, one in NAMED_FILTERS.items():
    globals()[f"TestFilter_{name}"] = suite(FilterTests, "filter", one)
EARLIER = {
    "0.weight": torch.linspace(-1, 1, 27).view(3, 1, 3, 3),
    "4.weight": torch.linspace(1, -1, 192).view(4, 48),
}
OTHERS = {
    "bit_position_faults": bit_position_faults((0, 30, 31)),
    "bit_faults_many": bit_faults((1, 10_000), draws=1),
    "rewinding": rewinding(EARLIER, (0.5, 1)),
    "rewinding_several": rewinding([EARLIER, {k: -v for k, v in EARLIER.items()}]),
}
for name, make in NAMED.items():
    globals()[f"TestReplacement_{name}"] = suite(ReplacementTests, "replacement", make())
for name, one in OTHERS.items():
    globals()[f"TestReplacement_{name}"] = suite(ReplacementTests, "replacement", one)


def made(shape: tuple[int, ...], labels: Callable[..., torch.Tensor]) -> staticmethod:
    """Return a function that makes outputs of a shape, and labels for them."""

    def answers(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        outputs = torch.randn(count, *shape, generator=generator)
        return outputs, labels(count, generator)

    return staticmethod(answers)


def whole_numbers(most: int, *shape: int) -> Callable[..., torch.Tensor]:
    return lambda count, generator: torch.randint(most, (count, *shape), generator=generator)


def real_numbers(*shape: int) -> Callable[..., torch.Tensor]:
    return lambda count, generator: torch.randn(count, *shape, generator=generator)


FORMS = {
    "binary_accuracy": made((1,), whole_numbers(2)),
    "multilabel_accuracy": made((5,), whole_numbers(2, 5)),
    "exact_match": made((2,), whole_numbers(2, 2)),
    **dict.fromkeys(("mse", "mae", "negative_mse", "negative_mae"), made((3,), real_numbers(3))),
    **dict.fromkeys(("cosine", "kl"), made((4,), real_numbers(4))),
    **dict.fromkeys(("pixel_accuracy", "mean_iou"), made((4, 3, 3), whole_numbers(4, 3, 3))),
    **dict.fromkeys(("token_accuracy", "token_nll"), made((6, 5), whole_numbers(5, 6))),
    **dict.fromkeys(("next_token_accuracy", "next_token_nll"), made((6, 5), whole_numbers(5, 6))),
    "perplexity": made((6, 5), whole_numbers(5, 6)),
    "auroc": made((2,), whole_numbers(2)),
}
for name, one in NAMED_METRICS.items():
    form = {"answers": FORMS[name]} if name in FORMS else {}
    globals()[f"TestMetric_{name}"] = suite(MetricTests, "metric", one, **form)
for name, kind in ATTACKS.items():
    globals()[f"TestAttack_{name}"] = suite(AttackTests, "attack", kind(EPSILON))
FURTHER = {
    "l2_fgsm": FGSM(EPSILON, norm="l2"),
    "l2_pgd": PGD(EPSILON, steps=5, norm="l2", restarts=2),
    "fgsm_least_likely": FGSM(EPSILON / 10, target="least_likely"),
    "pgd_next": PGD(EPSILON / 10, steps=3, target="next"),
    "l2_pgd_class": PGD(EPSILON, steps=3, norm="l2", target=2),
}
for name, attack in FURTHER.items():
    globals()[f"TestAttack_{name}"] = suite(AttackTests, "attack", attack)
TestRandomDirections = suite(
    AttackTests, "attack", RandomSigns(EPSILON, norm="l2"), raises_loss=False
)
TestRandomSigns = suite(AttackTests, "attack", RandomSigns(EPSILON), raises_loss=False)


@pytest.mark.parametrize(
    ("named", "described"),
    [
        (NAMED_FILTERS, FILTERS),
        ({name: make() for name, make in NAMED.items()}, REPLACEMENTS),
        (NAMED_METRICS, METRICS),
        (NAMED_DATASETS, DATASETS),
    ],
    ids=["filters", "replacements", "metrics", "data sets"],
)
def test_every_object_has_its_line(named, described):
    assert {name: one.help for name, one in named.items()} == described
    assert all(one.name == name for name, one in named.items())


def test_every_attack_is_carried_out():
    assert set(RUNS) == {*ATTACKS.values(), RandomSigns, CustomAttack}
