"""Every setting that cannot be used is refused when it is made, in the words of the user."""

import math
import re
import subprocess
import sys

import pytest

from hormesis.errors import SettingError, unknown
from hormesis.settings.choices import DEFAULT_FILTERS, DEFAULT_KINDS, KINDS, check_choice
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

REFUSED = [
    (Targets, {"kinds": ("conv",)}, r"Unknown kind of parameter 'conv'\. Did you mean convolution"),
    (Targets, {"scope": "globl"}, r"Unknown scope 'globl'\. Did you mean global"),
    (Targets, {"per": "chanel"}, r"Unknown choice of `per` 'chanel'\. Did you mean channel"),
    (
        Targets,
        {"scope": "global", "per": "channel"},
        r"`per` to be 'tensor' for a global analysis.*got 'channel'",
    ),
    (Sweep, {"filters": ()}, r"`filters` to name at least one filter, got none"),
    (Sweep, {"filters": ("hi_pass",)}, r"Unknown filter 'hi_pass'\. Did you mean high_pass"),
    (
        Sweep,
        {"filters": ("low_pass", "low_pass")},
        r"`filters` to differ, got low_pass, low_pass",
    ),
    (Sweep, {"thresholds": 1}, r"`thresholds` to be at least 2, got 1\."),
    (Sweep, {"thresholds": -3}, r"`thresholds` to be at least 2, got -3\."),
    (Sweep, {"by": "absolute"}, r"Unknown choice of `by` 'absolute'"),
    (Sweep, {"span": (1.0, 1.0)}, r"`span` to run from low to high .* got \(1\.0, 1\.0\)"),
    (Sweep, {"span": (1.0, -1.0)}, r"`span` to run from low to high .* got \(1\.0, -1\.0\)"),
    (Sweep, {"span": (math.nan, 1.0)}, r"`span` to run from low to high .* got \(nan, 1\.0\)"),
    (Sweep, {"span": (-math.inf, 1.0)}, r"`span` .* to be finite, got \(-inf, 1\.0\)"),
    (Sweep, {"span": (-1.0, math.inf)}, r"`span` .* to be finite, got \(-1\.0, inf\)"),
    (Sweep, {"adversary": "adaptiv"}, r"Unknown adversary 'adaptiv'\. Did you mean adaptive"),
    (Sweep, {"seed": -1}, r"`seed` to be at least 0, got -1\."),
    (Scoring, {"base": "frist"}, r"Unknown base 'frist'\. Did you mean first"),
    (Scoring, {"reference": "densty"}, r"Unknown reference 'densty'\. Did you mean density"),
    (Scoring, {"tolerance": -0.01}, r"`tolerance` to be at least 0, got -0\.01\."),
    (Scoring, {"tolerance": math.nan}, r"`tolerance` to be at least 0, got nan\."),
    (Scoring, {"tolerance": math.inf}, r"`tolerance` to be at least 0, got inf\."),
    (Execution, {"engine": "plane"}, r"Unknown engine 'plane'\. Did you mean plain"),
    (Execution, {"num_workers": 0}, r"`num_workers` to be at least 1, got 0\."),
]


@pytest.mark.parametrize(("kind", "given", "words"), REFUSED)
def test_refused(kind, given, words):
    with pytest.raises(SettingError, match=words):
        kind(**given)


def errors_of(call: str) -> str:
    """Return what a failing call prints, without the suite's checks of types: they come first."""
    code = f"from hormesis import Sweep, Targets, part; {call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Targets(include='layer4.*')", "`include` to be a tuple such as ('layer4.*',)"),
        ("Targets(exclude='fc.*')", "`exclude` to be a tuple such as ('layer4.*',)"),
        ("Targets(kinds='linear')", "`kinds` to be a tuple such as ('linear',)"),
        ("Sweep(filters='high_pass')", "`filters` to be a tuple such as ('pulse_wave',)"),
    ],
)
def test_a_text_is_not_taken_letter_by_letter(call, words):
    assert f"SettingError: Expected {words}, got the text" in errors_of(call)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Targets(groups=['fc.*'])", "`groups` to be a mapping of names to patterns"),
        ("Targets(groups={'a': 3})", "the group 'a' to be patterns of names"),
        ("Targets(groups={'a': [3]})", "a pattern to be a text of at most 4096"),
        ("Targets(groups={3: ['fc.*']})", "a name of a group to be a text of at most 4096"),
        ("part('fc.*', 0.5, 3, 1)", "`axis` of a part to be a whole number, got 0.5."),
    ],
)
def test_groups_of_another_type_are_refused(call, words):
    assert f"SettingError: Expected {words}" in errors_of(call)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Sweep, {"thresholds": 2}),
        (Sweep, {"seed": 0}),
        (Sweep, {"span": None}),
        (Scoring, {"tolerance": 0.0}),
        (Execution, {"num_workers": 1}),
        (Targets, {"kinds": KINDS}),
    ],
)
def test_the_border_of_what_is_allowed(kind, given):
    for name, value in given.items():
        assert getattr(kind(**given), name) == value


def test_the_defaults_are_those_of_the_paper():
    sweep, scoring, targets = Sweep(), Scoring(), Targets()
    assert sweep.filters == DEFAULT_FILTERS == ("high_pass", "low_pass", "pulse_wave")
    assert (sweep.thresholds, sweep.by, sweep.adversary) == (25, "signed", "fixed")
    assert sweep.span == (-1.0, 1.0)
    assert (scoring.base, scoring.reference) == ("network", "base")
    assert (targets.scope, targets.per, targets.kinds) == ("local", "tensor", None)
    assert DEFAULT_KINDS == ("convolution", "linear", "attention")


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot assign to field 'seed'"):
        Sweep().seed = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (ModelAndData(), "digits-resnet18-fgsm"),
        (ModelAndData(data="/home/me/photos/"), "photos-resnet18-fgsm"),
        (
            ModelAndData(model="my.nets:build", data="my.data:test"),
            "my.data-test-my.nets-build-fgsm",
        ),
        (ModelAndData(model="timm:vit tiny", data="../../x"), "x-timm-vit-tiny-fgsm"),
    ],
)
def test_a_study_name_is_one_plain_folder_name(named, expected):
    assert named.study_name("fgsm") == expected


def test_nothing_near_gives_no_hint():
    assert unknown("filter", "xyz", ["high_pass"]) == "Unknown filter 'xyz'. Known: high_pass."


def test_a_known_choice_passes():
    assert check_choice("engine", "plain", ("auto", "plain")) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"interval": "deltas"}, "Unknown interval 'deltas'. Did you mean delta"),
        ({"level": 95.0}, "Expected `level` between 0 and 1, such as 0.95, got 95.0"),
        ({"level": float("nan")}, "Expected `level` between 0 and 1"),
        ({"multiplicity": "bonferroni"}, "Unknown choice of `multiplicity` 'bonferroni'"),
    ],
)
def test_how_sure_is_checked_too(settings, sentence):
    with pytest.raises(SettingError, match=re.escape(sentence)):
        Scoring(**settings)
