"""Suites of tests for filters, replacements, attacks and metrics; they need pytest.

Subclass one in a test file and name the object; pytest collects the rest:

    class TestBandPass(hormesis.testing.FilterTests):
        filter = band_pass
"""

from hormesis.testing.attacks import AttackTests
from hormesis.testing.filters import FilterTests
from hormesis.testing.metrics import MetricTests
from hormesis.testing.replacements import ReplacementTests

__all__ = ["AttackTests", "FilterTests", "MetricTests", "ReplacementTests"]
