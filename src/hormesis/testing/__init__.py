"""Suites of tests that any filter, attack or metric can be put through; they need pytest.

Subclass one in a test file and name the object; pytest collects the rest:

    class TestBandPass(hormesis.testing.FilterTests):
        filter = band_pass
"""

from hormesis.testing.attacks import AttackTests
from hormesis.testing.filters import FilterTests
from hormesis.testing.metrics import MetricTests

__all__ = ["AttackTests", "FilterTests", "MetricTests"]
