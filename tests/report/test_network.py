"""The rows and lanes of the picture of a network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handset
from handset import ROBUST
from hormesis.report.views.network import NetworkRow, lanes, network_picture


def study(names: list[str], flow: list | None = None, **changes):
    made = handset.study(dict.fromkeys(names, ROBUST), **changes)
    if flow is not None:
        made.manifest["flow"] = [{"targets": t, "after": a} for t, a in flow]
    return made


def test_without_a_flow_the_layers_are_a_chain():
    picture = network_picture(study(["a", "b", "c"]))
    assert not picture.known
    assert [row.after for row in picture.rows] == [(), (0,), (1,)]
    assert {row.lane for row in picture.rows} == {0}


def test_a_shortcut_runs_beside_its_block():
    flow = [(["a"], []), (["b"], [0]), (["c"], [1]), ([], [0, 2]), (["d"], [3])]
    picture = network_picture(study(["a", "b", "c", "d"], flow))
    assert picture.known
    assert picture.rows == (
        NetworkRow("a", ("a",), 0, ()),
        NetworkRow("b", ("b",), 1, (0,)),
        NetworkRow("c", ("c",), 1, (1,)),
        NetworkRow("", (), 0, (0, 2)),
        NetworkRow("d", ("d",), 0, (3,)),
    )


def test_a_flow_that_lacks_a_layer_is_not_used():
    assert not network_picture(study(["a", "b"], [(["a"], [])])).known


def test_targets_of_one_operation_follow_each_other():
    picture = network_picture(study(["a", "b", "c"], [(["a", "b"], []), (["c"], [0])]))
    assert [(row.name, row.after) for row in picture.rows] == [("a", ()), ("b", (0,)), ("c", (1,))]


def test_channels_share_the_row_of_their_parameter():
    made = study(["a[0]", "a[1]", "b[0]"], [(["a"], []), (["b"], [0])])
    made.manifest["question"]["targets"]["per"] = "channel"
    picture = network_picture(made)
    assert [(row.name, row.targets) for row in picture.rows] == [
        ("a", ("a[0]", "a[1]")),
        ("b", ("b[0]",)),
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([], []),
        ([()], [0]),
        ([(), (0,), (0,), (0,), (1, 2, 3)], [0, 1, 2, 0, 0]),  # three branches
        ([(), (0,), (0, 1), (0, 1, 2)], [0, 1, 2, 0]),  # dense
        ([(), (), (0, 1)], [0, 1, 0]),  # two inputs
        ([(), (), ()], [0, 0, 0]),  # nothing is read
    ],
)
def test_lanes(after, expected):
    assert lanes(after) == expected


@given(st.data())
def test_no_line_runs_through_another_row(data):
    count = data.draw(st.integers(1, 12))
    after = [
        tuple(sorted(data.draw(st.sets(st.integers(0, row - 1), max_size=3)))) if row else ()
        for row in range(count)
    ]
    found = lanes(after)
    for source in range(count):
        readers = [row for row in range(count) if source in after[row]]
        between = range(source + 1, max(readers, default=source))
        assert all(found[row] != found[source] for row in between)
    assert all(0 <= lane <= row for row, lane in enumerate(found))
