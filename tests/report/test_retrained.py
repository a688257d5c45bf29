"""What is printed and drawn of a retraining with controls."""

import io

import pandas as pd
import pytest
from rich.console import Console

from hormesis.analysis.effects import effect_table, mean_effect
from hormesis.report.html.retraining_payload import retraining_payload
from hormesis.report.plots.retraining import draw_arms
from hormesis.report.text.retraining import comparison_table, controls_lines
from hormesis.report.views import palette
from hormesis.report.views.retraining_text import answer, arm_meanings
from hormesis.results.retraining import Retraining, write_retraining, write_table
from hormesis.training.selection import ARMS

RIGHT = {"selective": 0.9, "everything": 0.5, "random-size": 0.4, "none": 0.3}


def outcomes(seeds=2, samples=50, pgd=0.2):
    """FGSM's gain of the selective arm is large; under PGD all arms are alike."""
    rows = []
    for arm, share in RIGHT.items():
        for seed in range(seeds):
            for attack, epsilon, level in (
                ("clean", 0.0, 0.9),
                ("fgsm", 0.05, share),
                ("pgd", 0.05, pgd),
            ):
                rows += [
                    (arm, seed, attack, epsilon, n, n < level * samples) for n in range(samples)
                ]
    return pd.DataFrame(rows, columns=["arm", "seed", "attack", "epsilon", "sample", "right"])


def made(folder, table):
    about = {
        "study": {"network": "resnet18", "data": "mnist"},
        "selection": {"keep": ["antifragile"], "undecided": "train"},
        "recipe": {},
        "arms": {arm: [] for arm in RIGHT},
        "controls": {"seeds": [1, 2], "samples": 50, "trial": {"steps": 10, "restarts": 2}},
    }
    write_retraining(folder, about)
    write_table(table, folder / "outcomes.parquet")
    return Retraining(folder, about)


def printed(renderable, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_the_table_says_masking_in_words_and_fits_80_columns():
    table = outcomes()
    text = printed(comparison_table(table, effect_table(table)))
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    (first,) = [line for line in lines if "masking" in line]
    assert "selective" in first
    assert "90.0%" in first
    assert "+40.0 [" in first
    assert "PGD does not confirm" in " ".join(text.split())
    everything = next(line for line in lines if "everything" in line)
    assert everything.split() == ["everything", "90.0%"]


def test_arms_stand_beneath_each_other_for_each_attack_and_epsilon():
    table = outcomes()
    text = printed(comparison_table(table, effect_table(table)))
    arms = [word for word in text.split() if word in RIGHT]
    assert arms == list(RIGHT) * 3


def test_the_headline_says_what_the_interval_is_over(tmp_path):
    lines = controls_lines(made(tmp_path, outcomes()))
    assert lines[0] == "50 samples, 2 seed(s), PGD of 10 steps from 2 start(s)"
    assert lines[1].endswith("95% interval over seeds and samples")
    one = made(tmp_path, outcomes(1))
    one.manifest["controls"]["seeds"] = [1]
    assert controls_lines(one)[1].endswith("one seed says nothing about others")


def test_the_picture_is_the_same_every_time_and_needs_controls(tmp_path):
    retraining = made(tmp_path, outcomes())
    for name in ("one.png", "two.png"):
        draw_arms(retraining, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    (tmp_path / "outcomes.parquet").unlink()
    with pytest.raises(ValueError, match="has no picture"):
        draw_arms(retraining, tmp_path / "three.png")


def test_no_arm_is_told_by_its_colour_alone():
    looks = palette.ARMS
    assert set(looks) == set(ARMS)
    assert len({look.colour for look in looks.values()}) == len(ARMS)
    assert len({look.marker for look in looks.values()}) == len(ARMS)


def test_the_answer_is_the_comparison_with_chance_under_the_strongest_attack(tmp_path):
    (sentence,) = answer(made(tmp_path, outcomes()))
    assert sentence.startswith(
        "Selective retraining is not shown to do better than a random choice: under PGD (ε = 0.05)"
    )
    assert "+0.0 points (95% interval −" in sentence
    assert sentence.endswith("from no retraining.")


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "does better"), (0.1, "does worse")])
def test_the_answer_follows_the_interval(tmp_path, share, verdict):
    table = outcomes()
    row = (table["arm"] == "selective") & (table["attack"] == "pgd")
    table.loc[row, "right"] = table.loc[row, "sample"] < share * 50
    (sentence,) = answer(made(tmp_path, table))
    assert sentence.startswith(f"Selective retraining {verdict} than a random choice: under PGD")
    change = f"{100 * (share - 0.2):+.1f} points".replace("-", "−")
    assert change in sentence


def test_without_random_arms_the_answer_says_so(tmp_path):
    table = outcomes()
    (sentence,) = answer(made(tmp_path, table.loc[table["arm"] != "random-size"]))
    assert sentence.startswith("Selective retraining was not compared with a random choice: under")


def test_a_mean_over_magnitudes_is_that_of_the_paired_differences():
    near, far = outcomes(pgd=0.6), outcomes()
    far["epsilon"] *= 2
    far.loc[(far["arm"] == "selective") & (far["attack"] == "pgd"), "right"] = True
    both = pd.concat([near, far.loc[far["attack"] != "clean"]], ignore_index=True)
    found = mean_effect(both, "selective", "none", "pgd")
    assert found is not None
    assert found.value == pytest.approx((0.0 + (1.0 - 0.2)) / 2)
    assert found.low < found.value < found.high


def test_the_legend_says_what_was_kept():
    selection = {"keep": ["fragile"], "undecided": "freeze"}
    meanings = arm_meanings({"selection": selection, "arms": {"selective": []}})
    assert meanings == {"selective": "the fragile targets"}


def test_page_and_terminal_print_the_same_numbers(tmp_path):
    """A difference of 11.25 points lies between two texts: both must choose the same one."""
    table = outcomes(1, samples=80)
    effects = effect_table(table)
    effects.loc[effects["arm"] == "selective", "difference"] = 0.1125
    retraining = made(tmp_path, table)
    retraining.manifest.update({"recipe": {"epochs": 1, "optimizer": "Adam", "rate": 0.1}})
    retraining.manifest["selection"].update({"targets": [], "by": "clean", "filter": "combined"})
    write_table(effects, tmp_path / "effects.parquet")
    payload = retraining_payload(retraining)
    (row,) = [cells for arm, *cells in payload["effects"]["rows"] if arm == "selective"]
    assert {cell[0] for cell in row} == {"+11.2"}
    assert printed(comparison_table(table, effects)).count("+11.2 [") == len(row)
