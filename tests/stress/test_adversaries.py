import dataclasses
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hormesis.errors import SettingError
from hormesis.settings.attacks import ATTACKS, FGSM, PGD, make_attack
from hormesis.settings.magnitudes import as_epsilon, parse_epsilon


@pytest.mark.parametrize(
    ("text", "value"),
    [("8/255", 8 / 255), ("0.03", 0.03), (" 1e-3 ", 1e-3), ("16 / 255", 16 / 255), ("2", 2.0)],
)
def test_epsilon_is_read_as_number_or_fraction(text, value):
    assert parse_epsilon(text) == value


@pytest.mark.parametrize("text", ["auto", " auto "])
def test_auto_is_kept(text):
    assert parse_epsilon(text) == "auto"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "8/",
        "/255",
        "8/0",
        "0",
        "0/255",
        "-8/255",
        "nan",
        "inf",
        "1/inf",
        "8/2/2",
        "a",
        "AUTO",
    ],
)
def test_what_is_no_magnitude_is_refused(text):
    with pytest.raises(SettingError, match=r"Expected `epsilon` to be a number above 0.*got '"):
        parse_epsilon(text)


@given(st.floats(min_value=1e-300, allow_infinity=False))
def test_a_number_survives_being_written_down(value):
    assert parse_epsilon(repr(value)) == value


@pytest.mark.parametrize("kind", ATTACKS.values())
@pytest.mark.parametrize("epsilon", [0, -0.1, math.nan, math.inf, -math.inf, True])
def test_an_attack_refuses_what_is_no_magnitude(kind, epsilon):
    with pytest.raises(SettingError, match="Expected `epsilon` to be a number above 0"):
        kind(epsilon=epsilon)


@pytest.mark.parametrize("epsilon", [None, [1], np.zeros(1), 1j])
def test_what_is_no_number_is_no_magnitude(epsilon):
    with pytest.raises(SettingError, match="Expected `epsilon` to be a number above 0"):
        as_epsilon(epsilon)


def test_numbers_of_other_kinds_are_magnitudes():
    for given_ in (np.float32(0.5), Fraction(1, 2)):
        assert type(as_epsilon(given_)) is float
        assert as_epsilon(given_) == 0.5


@pytest.mark.parametrize("kind", ATTACKS.values())
@pytest.mark.parametrize("epsilon", ["0.5", 0.5, "1/2"])
def test_epsilon_becomes_a_plain_float(kind, epsilon):
    attack = kind(epsilon=epsilon)
    assert type(attack.epsilon) is float
    assert attack.epsilon == 0.5


def test_repr_shows_the_settings():
    assert repr(FGSM()) == "FGSM(epsilon='auto', norm='linf', target=None)"
    assert repr(PGD(0.25, steps=7, step_size=0.5, random_start=False)) == (
        "PGD(epsilon=0.25, steps=7, step_size=0.5, random_start=False, restarts=1, norm='linf', "
        "target=None)"
    )


def test_attacks_are_plain_frozen_values():
    attack = PGD(1)
    assert dataclasses.asdict(attack) == {
        "epsilon": 1.0,
        "steps": 40,
        "step_size": 2.5 / 40,
        "random_start": True,
        "restarts": 1,
        "norm": "linf",
        "target": None,
    }
    assert PGD(**dataclasses.asdict(attack)) == attack
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'steps'"):
        attack.steps = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("steps", [0, -1])
def test_pgd_refuses_too_few_steps(steps):
    with pytest.raises(SettingError, match=f"Expected `steps` to be at least 1, got {steps}"):
        PGD(steps=steps)


@pytest.mark.parametrize("step_size", [0.0, -1.0, math.nan, math.inf])
def test_pgd_refuses_a_step_size_that_is_no_share(step_size):
    with pytest.raises(SettingError, match="Expected `step_size`, a share of `epsilon`"):
        PGD(step_size=step_size)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_made_by_name(name):
    attack = make_attack(name, "8/255")
    assert type(attack) is ATTACKS[name]
    assert attack.epsilon == 8 / 255
    assert attack.name == name
    assert make_attack(name).epsilon == "auto"


def test_steps_reach_pgd_alone():
    assert make_attack("pgd", 0.1, steps=3) == PGD(0.1, steps=3)
    assert make_attack("pgd", 0.1, step_size=0.5) == PGD(0.1, step_size=0.5)
    with pytest.raises(SettingError, match=r"Expected no `steps` for the attack 'fgsm'.*got 3"):
        make_attack("fgsm", 0.1, steps=3)


def test_an_unknown_attack_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match=r"Unknown attack 'pdg'\. Did you mean pgd\?"):
        make_attack("pdg")


def test_attacks_can_be_named_without_torch():
    code = "import sys, hormesis.settings.attacks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
