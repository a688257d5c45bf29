"""How a study was measured, in words, and the command that repeats it."""

import shlex
from dataclasses import asdict

import pytest

import handset
from handset import ROBUST
from hormesis.cli.app import parse
from hormesis.report.views.command_text import command, placeholders
from hormesis.report.views.method_text import epsilon_text, facts, metric_text, untested_parameters
from hormesis.settings.magnitudes import parse_epsilon
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep


def study(**changes):
    made = handset.study({"w": ROBUST}, sizes={"w": 12}, **changes)
    made.manifest["question"]["attack"] = {"name": "fgsm", "epsilon": 0.25}
    return made


def test_epsilon_is_told_in_both_units():
    assert epsilon_text(study()) == "0.25 in input units (63.8/255)"
    other = study()
    other.manifest["question"]["data"]["bounds"] = [-1.0, 2.0]
    assert epsilon_text(other) == "0.25 in input units, which lie between -1 and 2"


def test_shares_are_percent_and_losses_are_not():
    assert metric_text(study(), 0.8125) == "81.2\u202f%"
    other = study()
    other.manifest["question"]["performance"]["name"] = "loss"
    assert metric_text(other, 0.8125) == "0.8125"


def test_the_facts_say_what_was_asked():
    found = dict(facts(study()))
    assert found["Network"] == "tiny"
    assert found["Data"] == "made up: 10 of 10 samples measured, 2 classes, inputs of 1 × 2 × 2"
    assert found["Attack"] == "FGSM, ε = 0.25 in input units (63.8/255); fixed adversary"
    assert found["Performance"] == (
        "accuracy; unfiltered 80.0\u202f% clean, 40.0\u202f% adversarial"
    )
    assert found["Intervals"].startswith("none: the outcomes were not kept")
    assert found["Fingerprint of the network"] == "0" * 64
    assert found["Seed"] == "0"
    assert "Epoch" not in found


def test_the_facts_say_how_epsilon_was_chosen():
    made = study()
    made.manifest["attack"]["chosen"] = {"unharmed": False, "clean": 0.8}
    assert dict(facts(made))["ε was chosen"] == "to halve the accuracy"
    made.manifest["attack"]["chosen"]["unharmed"] = True
    assert "does not halve" in dict(facts(made))["ε was chosen"]


def test_a_study_without_a_record_of_its_run_has_facts():
    made = study()
    del made.manifest["run"]
    assert "Engine" not in dict(facts(made))


def test_what_was_left_out_comes_with_its_reason():
    reason = "of kind bias, which was not asked for"
    assert untested_parameters(study()) == [(reason, 1, 2, ["fc.bias"])]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "--thresholds 3"),
        (
            {"filters": ["low_pass"], "control": True},
            "--filters low_pass --thresholds 3 --control 1",
        ),
        ({"seed": 7, "adversary": "adaptive"}, "--thresholds 3 --adversary adaptive --seed 7"),
        ({"span": None}, "--thresholds 3"),
    ],
)
def test_the_command_asks_the_same_sweep(changes, expected):
    made = study(scoring=asdict(Scoring()))
    made.manifest["question"]["sweep"] = {**asdict(Sweep(thresholds=3)), **changes}
    whole = command(made)
    assert whole == (
        "hormesis analyze --model tiny --weights FILE --data 'made up' --samples 10 "
        f"--attack fgsm --epsilon 0.25 {expected}"
    )
    assert parse(shlex.split(whole)[1:]).command == "analyze"


@pytest.mark.parametrize(
    ("span", "expected"), [(None, "--own-span"), ([-2.0, 2.0], "--span -2.0 2.0")]
)
def test_the_command_of_a_global_analysis_has_its_span(span, expected):
    made = study(scoring=asdict(Scoring()))
    made.manifest["question"]["targets"]["scope"] = "global"
    made.manifest["question"]["sweep"]["span"] = span
    assert command(made).endswith(f"--scope global --thresholds 3 {expected}")
    assert parse(shlex.split(command(made))[1:]).command == "analyze"


def test_the_command_asks_the_same_scores():
    made = study(scoring=asdict(Scoring(reference="density", tolerance=0.02)))
    assert command(made).endswith("--thresholds 3 --reference density --tolerance 0.02")


def test_the_command_of_an_epoch_names_its_run():
    made = study(origin={"epoch": 4})
    assert command(made).startswith("hormesis analyze --run RUN --epochs 4 --samples 10 --attack")


def test_a_magnitude_is_typed_as_steps_of_pixels_where_that_is_the_same_number():
    made = study()
    for value, typed in ((8 / 255, "8/255"), (0.2, "0.2"), (0.0398107, "0.0398107"), ("auto",) * 2):
        made.manifest["question"]["attack"]["epsilon"] = value
        words = shlex.split(command(made))
        assert words[words.index("--epsilon") + 1] == typed
        assert parse_epsilon(typed) == value


def test_code_that_a_training_names_is_allowed_where_it_was():
    made = study()
    made.manifest["origin"] = {"epoch": 3}
    assert command(made).startswith("hormesis analyze --run RUN --epochs 3 --samples")
    made.manifest["question"]["network"]["name"] = "my.nets:build"
    assert command(made).startswith("hormesis analyze --run RUN --epochs 3 --allow-code --samples")
    assert parse(shlex.split(command(made))[1:]).command == "analyze"


def test_only_words_that_the_command_has_are_explained():
    made = study()
    assert placeholders(made) == "FILE stands for the file of the weights."
    made.manifest["origin"] = {"epoch": 3}
    assert placeholders(made) == "RUN stands for the folder of the training."
