"""Pictures for papers: drawn for any study, told without colours, the same bytes every time."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import handset
import synthetic
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.analysis.classes import CLASSES
from hormesis.cli.app import main
from hormesis.errors import SettingError, StudyError
from hormesis.report.plots.style import Picture, save
from hormesis.report.plots.target_selection import targets_matching
from hormesis.report.views.layers import LayerGroup, Shortcut, layer_groups, shortcuts
from hormesis.report.views.network import network_picture
from hormesis.report.views.palette import CLASS_LOOKS, luminance
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring

CURVES = (ANTIFRAGILE, FRAGILE, ROBUST)
NAMES = [
    "conv1.weight",
    *(
        f"layer{stage}.{block}.conv{n}.weight"
        for stage in (1, 2)
        for block in (0, 1)
        for n in (1, 2)
    ),
    "fc.weight",
]


def many(names: list[str] = NAMES, **changes) -> Study:
    curves = {name: CURVES[place % 3] for place, name in enumerate(names)}
    return handset.study(curves, **changes)


def studies(count: int = 3) -> StudySeries:
    return StudySeries({epoch: many() for epoch in range(1, count + 1)}, Path("runs"))


def words(figure: Picture, folder: Path) -> list[str]:
    save(figure, folder / "words.svg")
    texts = ElementTree.parse(folder / "words.svg").iter("{http://www.w3.org/2000/svg}text")
    return [" ".join("".join(text.itertext()).split()) for text in texts]


PICTURES = {
    "network": lambda: many().plot.network(),
    "responses": lambda: many().plot.responses(),
    "heatmap": lambda: many().plot.heatmap(),
    "weights": lambda: many().plot.weights(),
    "epochs": lambda: studies().plot.epochs(),
    "many epochs": lambda: studies(8).plot.epochs(),
    "network, named": lambda: many().plot.network(width="double"),
    "responses, double": lambda: many().plot.responses(width="double"),
    "heatmap, double": lambda: many().plot.heatmap(width="double"),
    "weights, double": lambda: many().plot.weights(width="double"),
    "one filter": lambda: handset.study({"w": ROBUST}, ("low_pass",)).plot.responses(),
    "no number": lambda: many(
        base={"clean": 0.0, "adversarial": 0.0, "samples": 10}
    ).plot.network(),
    "floored": lambda: many(
        base={"clean": 0.8, "adversarial": 0.0, "samples": 10}
    ).plot.responses(),
    "nothing reached": lambda: handset.study({"w": ROBUST}, unreached=("w",)).plot.heatmap(),
    "nothing tells": lambda: handset.study({"w": ROBUST}, unreached=("w",)).plot.weights(),
    "names": lambda: handset.study({"$x$": ROBUST, "<img src=x>": FRAGILE}).plot.network(),
    "a long name": lambda: handset.study({"l" * 200: ROBUST}).plot.responses(),
}


@pytest.mark.parametrize("name", PICTURES)
def test_drawn_at_the_width_of_a_column(name):
    figure = PICTURES[name]()
    assert figure.get_figwidth() == (7.0 if "double" in name or "named" in name else 3.4)
    assert figure.get_figheight() < 9.5  # a page
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    sizes = {float(text.get_fontsize()) for text in texts}
    assert min(sizes) >= 4.5
    assert max(sizes) <= 8


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_the_same_picture_has_the_same_bytes(form, tmp_path):
    for number in (1, 2):
        save(PICTURES["responses"](), tmp_path / f"{number}.{form}")
    first = (tmp_path / f"1.{form}").read_bytes()
    assert first == (tmp_path / f"2.{form}").read_bytes()
    assert b"Type3" not in first


def test_the_users_own_settings_neither_count_nor_change(tmp_path):
    save(PICTURES["responses"](), tmp_path / "ours.svg")
    with mpl.rc_context({"font.size": 20, "text.usetex": False, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        save(PICTURES["responses"](), tmp_path / "theirs.svg")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "ours.svg").read_bytes() == (tmp_path / "theirs.svg").read_bytes()


def test_classes_differ_as_greys_and_by_hatch():
    greys = {name: luminance(np.array(to_rgb(look.fill))) for name, look in CLASS_LOOKS.items()}
    for darker, lighter in (("antifragile", "robust"), ("robust", "undecided")):
        assert (greys[lighter] + 0.05) / (greys[darker] + 0.05) > 1.6
    assert CLASS_LOOKS["fragile"].hatch
    assert not CLASS_LOOKS["antifragile"].hatch
    unlike = {(look.filled, look.hatch) for look in CLASS_LOOKS.values()}
    assert len(unlike) == len(CLASSES) - 1  # robust and antifragile differ as greys


def test_of_many_layers_some_are_named_inside_the_picture_and_apart():
    names = [f"net.layers.{n}.self_attention.query_projection.weight" for n in range(54)]
    figure = many(names).plot.network()
    axes = figure.axes[-1]
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    assert 10 <= len(labels) <= 14
    assert len({label.get_text() for label in labels}) == len(labels)
    renderer = figure.canvas.get_renderer()
    for text in figure.findobj(Text):
        if text.get_text() and text.axes in (None, axes):  # the ticks of sizes may lie beyond
            box = text.get_window_extent(renderer)
            assert box.x0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y0 >= -1


def test_the_network_names_its_stages_and_scores(tmp_path):
    names = [f"layer{n // 8}.{n}.weight" for n in range(32)]
    found = words(many(names).plot.network(), tmp_path)
    for word in ("layer0", "layer3", "clean", "adversarial", "difference", "parameters"):
        assert word in found
    for word in ("fragile", "robust", "antifragile"):
        assert found.count(word) == 1
    assert "undecided" not in found


def test_the_heat_map_says_what_its_colours_mean(tmp_path):
    found = words(many(NAMES[:3]).plot.heatmap(), tmp_path)
    assert found.count("+0.50") == found.count("−0.33") == 2
    assert found.count("+0.00") == 2 + 3
    assert "fragile ← combined score → antifragile" in found
    assert {"conv1", "layer1.0.conv1"} <= set(found)


def test_an_undecided_class_has_a_question_mark(tmp_path):
    """A reading has one, too, where its interval straddles a border; no class has."""
    generator = np.random.default_rng(1)
    network = synthetic.network(generator, targets=4, steps=5)
    study = synthetic.study(network, network.outcomes(30, generator))
    rows = study.scores["filter"] == "combined"
    combined = study.scores.loc[rows, "class"].tolist()
    assert 0 < combined.count("undecided") < len(combined)
    read = study.readings.loc[rows & (study.readings["score"] == "adversarial"), "says"].tolist()
    found = [word for word in words(study.plot.heatmap(), tmp_path) if word.endswith("?")]
    cells = [word for word in found if re.fullmatch(r"[+−]\d\.\d\d\?", word)]
    assert len(cells) == combined.count("undecided")
    others = sorted(word.split()[-1] for word in found if word not in cells)
    assert others == sorted(word for word in read if word.endswith("?"))


def test_on_two_columns_the_heat_map_shows_every_filter(tmp_path):
    found = words(many(NAMES[:2]).plot.heatmap(width="double"), tmp_path)
    assert {"high pass", "low pass", "pulse wave", "combined"} <= set(found)


@pytest.mark.parametrize(
    ("reference", "words_for_it"),
    [("density", "density (share kept)"), ("base", "base (unfiltered)")],
)
def test_responses_name_their_reference(reference, words_for_it, tmp_path):
    study = many(NAMES[:2]).with_scoring(Scoring(reference=reference))
    found = words(study.plot.responses("conv1"), tmp_path)
    assert {words_for_it, "clean", "adversarial", "conv1", "relative performance"} <= set(found)
    assert "layer1.0.conv1" not in found


def test_weights_lie_under_the_responses(tmp_path):
    found = words(many(NAMES[:2]).plot.weights("conv1"), tmp_path)
    assert {"conv1", "clean /", "values", "weight, threshold α", "unfiltered"} <= set(found)
    figure = many(NAMES[:2]).plot.weights("conv1")
    clean, adversarial, counts = figure.axes
    assert clean.get_xlim() == adversarial.get_xlim() == counts.get_xlim()


def test_epochs_too_narrow_for_numbers_are_hatched(tmp_path):
    few, many_ = studies(3).plot.epochs(), studies(8).plot.epochs()
    assert "−0.33" in words(few, tmp_path)
    assert "−0.33" not in words(many_, tmp_path)
    hatched = [patch for patch in many_.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == 3 * 8  # a third of nine targets is fragile


def test_a_notebook_shows_a_picture():
    figure = many().plot.heatmap()
    content, size = figure._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert size["width"] == round(3.4 * 108)


def test_groups_are_split_where_they_are_large():
    names = [f"blocks.{n // 4}.{kind}" for n, kind in enumerate(["qkv", "proj", "a", "b"] * 3)]
    groups = layer_groups(["stem", *names])
    assert groups == [
        LayerGroup("stem", 0, 0),
        LayerGroup("blocks.0", 1, 4),
        LayerGroup("blocks.1", 5, 8),
        LayerGroup("blocks.2", 9, 12),
    ]


FLOW = [  # a block whose shortcut has a layer of its own, and one whose has none
    {"targets": ["stem.weight"], "after": []},
    {"targets": ["one.weight"], "after": [0]},
    {"targets": ["two.weight"], "after": [1]},
    {"targets": ["side.weight"], "after": [0]},
    {"targets": [], "after": [2, 3]},
    {"targets": ["three.weight"], "after": [4]},
    {"targets": [], "after": [4, 5]},
    {"targets": ["fc.weight"], "after": [6]},
]


def test_ways_that_lead_past_layers_do_not_run_through_each_other():
    names = [name for node in FLOW for name in node["targets"]]
    rows = network_picture(many(names, flow=FLOW)).rows
    assert shortcuts(rows) == [
        Shortcut(3.5, 4.5, 0),  # past the third
        Shortcut(2.0, 3.5, 0),  # from the second layer, past the one at its side
        Shortcut(0.0, 3.0, 1),  # from the stem to the layer at the side
    ]


def test_shortcuts_are_drawn_where_all_layers_are_shown():
    names = [name for node in FLOW for name in node["targets"]]
    study = many(names, flow=FLOW)
    assert len(study.plot.network().axes) == 3
    assert len(study.plot.network("fc", "stem").axes) == 2
    assert len(many(names).plot.network().axes) == 2


def test_targets_are_chosen_by_name_or_pattern():
    assert targets_matching(NAMES, ["fc", "layer2.*.conv1"]) == [
        "layer2.0.conv1.weight",
        "layer2.1.conv1.weight",
        "fc.weight",
    ]
    assert targets_matching(["a[1]", "a[2]"], ["a[1]"]) == ["a[1]"]
    with pytest.raises(SettingError, match=r"got 'layer1.0.conv3'; did you mean layer1.0.conv\d"):
        targets_matching(NAMES, ["layer1.0.conv3"])


def test_more_targets_than_fit_are_refused():
    with pytest.raises(
        SettingError, match="at most 2 targets in a picture of single width, got 10"
    ):
        many().plot.weights("*")
    with pytest.raises(SettingError, match="Unknown width 'triple'"):
        many().plot.heatmap(width="triple")


def test_weights_need_a_filter_that_counts_them():
    study = handset.study({"w": ROBUST}, ("pulse_wave",))
    with pytest.raises(StudyError, match="sweep `high_pass` or `low_pass`"):
        study.plot.weights()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    generator = np.random.default_rng(2)
    network = synthetic.network(generator, targets=3, steps=5)
    outcomes = network.outcomes(30, generator)
    for epoch in (1, 2):
        synthetic.written(network, outcomes, tmp_path / "run" / f"epoch-{epoch:04d}")
    monkeypatch.chdir(tmp_path)
    return Path("run")


def test_the_command_writes_a_picture(folder, capsys):
    study = str(folder / "epoch-0001")
    assert main(["plot", study, "--what", "responses", "--target", "layer1"]) == 0
    assert capsys.readouterr().out == "picture: epoch-0001-responses.pdf\n"
    assert Path("epoch-0001-responses.pdf").read_bytes().startswith(b"%PDF-")
    assert main(["plot", str(folder), "--what", "epochs", "--out", "a.svg"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == [
        "a.svg",
        "epoch-0001-responses.pdf",
        "run",
    ]


@pytest.mark.parametrize(
    ("words_given", "sentence"),
    [
        (["run/epoch-0001", "--what", "pie"], "Unknown picture 'pie'."),
        (["run/epoch-0001", "--what", "epochs"], "holds one study"),
        (["run", "--what", "heatmap"], "or name one of them, such as run/epoch-0002."),
        (["run/epoch-0001", "--out", "a.gif"], "Expected `--out` to end in .svg or .pdf or .png"),
        (["run/epoch-0001", "--out", "a.svg", "--format", "pdf"], "to end in .pdf, got a.svg"),
        (["run/epoch-0001", "--out", "no/a.svg"], "cannot be written to no/a.svg: No such file"),
        (
            ["run/epoch-0001", "--target", "x"],
            "Expected `--target` to name a swept target, got 'x'",
        ),
    ],
)
def test_the_command_refuses_in_one_sentence(folder, words_given, sentence, capsys):
    assert main(["plot", *words_given]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
