"""The terminal table: 80 columns, whole words, and classes without colour."""

from io import StringIO

import numpy as np
import pytest
import torchvision
from rich.console import Console

import handset
import synthetic
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.analysis.classes import CLASSES
from hormesis.report.text.score_table import score_overview, targets_by_class
from hormesis.results.study import Study


def resnet_names() -> list[str]:
    parameters = torchvision.models.resnet50().named_parameters()
    return [name for name, parameter in parameters if parameter.ndim > 1]


def lines(study: Study, width: int = 80) -> list[str]:
    text = StringIO()
    Console(width=width, file=text, color_system=None).print(score_overview(study))
    return [line.rstrip() for line in text.getvalue().splitlines()]


SHORT = {kind.short for kind in CLASSES.values()}


def words(study: Study) -> list[str]:
    return " ".join(lines(study)).split()


@pytest.mark.parametrize("curve", [ANTIFRAGILE, FRAGILE, ROBUST])
def test_a_resnet_fits_80_columns_one_line_a_layer(curve: tuple[float, float, float]):
    names = resnet_names()
    found = lines(handset.study(dict.fromkeys(names, curve)))
    assert len(names) == 54
    assert max(map(len, found)) <= 80
    assert len(found) == 1 + len(names) + 1
    assert [line.split()[0] for line in found[1:-1]] == [n.removesuffix(".weight") for n in names]
    for line in found[1:-1]:
        assert [word for word in line.split() if word in SHORT] == line.split()[2::2]


@pytest.mark.parametrize(
    "names",
    [
        ["encoder.layers.encoder_layer_11.self_attention.in_proj_weight", "b"],
        ["x" * 200],
        ["层.注意力.权重" * 9],
    ],
)
def test_long_names_fold_and_nothing_else_does(names):
    study = handset.study(dict.fromkeys(names, ANTIFRAGILE))
    console = Console(width=80)
    assert all(console.measure(line).maximum <= 80 for line in lines(study))
    assert words(study).count("antifragile") == words(study).count("unconfirmed") == len(names)
    joined = "".join(line.split(" ")[0] for line in lines(study)[1:-1])
    assert joined == "".join(names)


def test_large_scores_do_not_cut_a_class():
    study = handset.study(
        {"layer4.0.downsample.0.weight": (80.0, 8000.0, 80.0)},
        base={"clean": 0.8, "adversarial": 0.01},
    )
    found = words(study)
    assert (found.count("antifragile"), found.count("unconfirmed")) == (1, 2)
    assert "+6699.50" in found


def test_numbers_and_classes_of_a_row():
    study = handset.study({"b.weight": FRAGILE, "a": ANTIFRAGILE})
    assert lines(study)[:3] == [
        "target       clean             adversarial       difference",
        "b            -0.33 fragile     -0.33 fragile     +0.00 robust",
        "a            +0.50 antifragile +0.50 unconfirmed +0.00 robust",
    ]


def test_without_a_number_the_class_stands_alone():
    study = handset.study(
        {"w": ROBUST, "v": ROBUST},
        unreached=("w",),
        base={"clean": 0.8, "adversarial": 0.0},
    )
    assert [line.split() for line in lines(study)[1:3]] == [
        ["w", "untested", "untested", "untested"],
        ["v", "+0.00", "robust", "undefined", "undefined"],
    ]


def test_names_are_not_taken_for_markup():
    names = ["[bold]w", "[/red]", "a[0]", "$x$", ":smile:"]
    found = lines(handset.study(dict.fromkeys(names, ROBUST)))
    assert [line.split()[0] for line in found[1:-1]] == names


def test_every_class_has_its_style_and_the_text_says_it_too():
    study = handset.study(
        {"f": FRAGILE, "a": ANTIFRAGILE, "r": ROBUST, "u": ROBUST}, unreached=("u",)
    )
    text = StringIO()
    console = Console(width=80, file=text, force_terminal=True, color_system="standard")
    console.print(score_overview(study))
    coloured = text.getvalue()
    assert "\x1b[33m" in coloured
    assert "\x1b[35m" in coloured
    assert {"fragile", "antifragile", "robust", "untested"} <= set(words(study))


@pytest.mark.parametrize("width", [40, 60, 72])
def test_names_stay_whole_on_narrow_terminals(width):
    generator = np.random.default_rng(1)
    network = synthetic.network(generator, targets=3, steps=5)
    study = synthetic.study(network, network.outcomes(200, generator))
    table = lines(study, width)
    assert max(map(len, table)) <= width
    assert "…" not in "".join(table)
    named = [line for line in table if line.startswith("layer")]
    assert [line.split()[0] for line in named] == ["layer0", "layer1", "layer2"]
    rows = study.scores.loc[study.scores["filter"] == "combined"].set_index(["target", "score"])
    for line, target in zip(named, network.targets, strict=True):
        shown = f"{rows.loc[(target, 'adversarial'), 'value']:+.2f}"
        assert shown in line
    assert any("±" in line for line in named) == (width >= 60)


def test_the_footer_says_how_scores_were_made():
    study = handset.study({"w": ROBUST}, ("low_pass",))
    assert lines(study)[-1] == (
        "low_pass filter; base network, reference density, robust within ±0.05"
    )


def test_a_table_of_many_targets_ends_and_says_so():
    study = handset.study({f"w{n}": ROBUST for n in range(203)})
    found = lines(study)
    assert len([line for line in found if line.startswith("w")]) == 200
    assert " ".join(found[201:]).startswith("3 more targets are in the study; combined filter")


def test_classes_are_counted_for_each_score():
    study = handset.study({"f": FRAGILE, "g": FRAGILE, "a": ANTIFRAGILE, "r": ROBUST})
    assert targets_by_class(study) == {
        "clean": {"fragile": 2, "robust": 1, "antifragile": 1},
        "adversarial": {"fragile": 2, "robust": 1, "antifragile (unconfirmed)": 1},
        "difference": {"robust": 4},
    }


def test_the_overview_is_a_table_and_a_footer():
    head, row, footer = lines(handset.study({"w": ROBUST}))
    assert head.split() == ["target", "clean", "adversarial", "difference"]
    assert row.split()[0] == "w"
    assert footer.startswith("combined filter; base")
