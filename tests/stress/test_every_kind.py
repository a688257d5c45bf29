"""Every filter, attack and metric of the package passes the suites that third parties can use."""

import pytest

from hormesis.data.datasets import NAMED_DATASETS
from hormesis.settings.attacks import ATTACKS, RandomSigns
from hormesis.settings.choices import DATASETS, FILTERS, METRICS
from hormesis.stress.attacks import RUNS
from hormesis.stress.filters import NAMED_FILTERS
from hormesis.stress.metrics import NAMED_METRICS
from hormesis.testing import AttackTests, FilterTests, MetricTests

EPSILON = 0.1


def suite(base: type, field: str, value: object, **others: object) -> type:
    return type(f"Test{base.__name__}", (base,), {field: value, **others})


for name, one in NAMED_FILTERS.items():
    globals()[f"TestFilter_{name}"] = suite(FilterTests, "filter", one)
for name, one in NAMED_METRICS.items():
    globals()[f"TestMetric_{name}"] = suite(MetricTests, "metric", one)
for name, kind in ATTACKS.items():
    globals()[f"TestAttack_{name}"] = suite(AttackTests, "attack", kind(EPSILON))
TestRandomSigns = suite(AttackTests, "attack", RandomSigns(EPSILON), raises_loss=False)


@pytest.mark.parametrize(
    ("named", "described"),
    [(NAMED_FILTERS, FILTERS), (NAMED_METRICS, METRICS), (NAMED_DATASETS, DATASETS)],
    ids=["filters", "metrics", "data sets"],
)
def test_every_object_has_its_line(named, described):
    assert {name: one.help for name, one in named.items()} == described
    assert all(one.name == name for name, one in named.items())


def test_every_attack_is_carried_out():
    assert set(RUNS) == {*ATTACKS.values(), RandomSigns}
