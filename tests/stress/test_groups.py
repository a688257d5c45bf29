"""Named groups: what they hold, in which order, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

import hormesis as hm
from hormesis.engine.plan import make_plan
from hormesis.errors import SettingError
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import PartPattern, Targets
from hormesis.stress.parts import Part, Target
from hormesis.stress.targets import find_targets


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, 4)).eval()


EXAMPLE = torch.zeros(2, 1, 4, 4)


def groups(of: nn.Module | None = None, **selection: object) -> dict[str, Target]:
    found = find_targets(of or network(), EXAMPLE, Targets(**selection))  # pyright: ignore[reportArgumentType]
    return {target.name: target for target in found if target.kind == "group"}


def test_a_group_joins_weights_and_has_its_own_range():
    whole = network()
    found = groups(whole, groups={"ends": ["0.*", "4.weight"], "middle": ["2.*"]})
    assert list(found) == ["ends", "middle"]
    first, last = (whole.get_parameter(f"{n}.weight").detach() for n in (0, 4))
    values = torch.cat([first.flatten(), last.flatten()])
    assert found["ends"] == Target(
        name="ends",
        kind="group",
        parts=(Part("0.weight"), Part("4.weight")),
        shape=(),
        size=len(values),
        depth=0,
        minimum=values.min().item(),
        maximum=values.max().item(),
    )
    assert found["middle"].parts == (Part("2.weight"),)
    assert found["middle"].maximum < found["ends"].maximum or found["middle"].depth == 4


def test_all_parameters_are_listed_with_their_groups():
    selection = Targets(groups={"a": ["0.*"], "b": ["0.*", "2.*"]}, exclude=("4.bias",))
    found = find_targets(network(), EXAMPLE, selection)
    assert {target.name: target.reason for target in found} == {
        "a": "",
        "b": "",
        "0.weight": "in the group a and 1 more",
        "2.weight": "in the group b",
        "4.bias": "excluded by name",
        **dict.fromkeys(("0.bias", "1.weight", "1.bias", "2.bias", "4.weight"), "in no group"),
    }


@pytest.mark.parametrize(
    ("patterns", "selection", "expected"),
    [
        (["0.*"], {}, ["0.weight"]),
        (["*"], {}, ["0.weight", "2.weight", "4.weight"]),
        (["0.bias"], {}, ["0.bias"]),
        (["*.bias"], {"exclude": ("1.*",)}, ["0.bias", "2.bias", "4.bias"]),
        (["4.*", "0.*"], {}, ["0.weight", "4.weight"]),
        (["0.*", "0.weight", "?.weight"], {}, ["0.weight", "2.weight", "4.weight"]),
        (["0.*"], {"kinds": ("bias",)}, ["0.bias"]),
        (["1.*"], {"kinds": ("norm", "bias")}, ["1.weight", "1.bias"]),
        (["*"], {"exclude": ("0.*",)}, ["2.weight", "4.weight"]),
        (["4.*", hm.part("4.weight", 0, 2, 1)], {}, ["4.weight"]),
    ],
)
def test_what_patterns_of_a_group_take(patterns, selection, expected):
    found = groups(groups={"g": patterns}, **selection)
    assert [part.parameter for part in found["g"].parts] == expected
    assert all(part.axis is None for part in found["g"].parts)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_parts_are_the_slices_that_chunk_gives(axis):
    weight = network().get_parameter("4.weight").detach()
    for index, chunk in enumerate(weight.chunk(4, axis)):
        found = groups(groups={"g": [hm.part("4.*", axis=axis, of=4, index=index)]})["g"]
        assert torch.equal(found.parts[0].of(weight), chunk)
        assert (found.size, found.minimum) == (chunk.numel(), chunk.min().item())


class Fused(nn.Module):
    """Two blocks of attention with queries, keys and values in one projection."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(6, 18, bias=False) for _ in range(2)])

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            queries, keys, values = block(inputs).view(-1, 3, 3, 2).permute(1, 2, 0, 3)
            inputs = ((queries @ keys.mT).softmax(-1) @ values).permute(1, 0, 2).reshape(-1, 6)
        return inputs


def test_the_queries_of_a_head_change_that_head_alone():
    torch.manual_seed(0)
    fused = Fused().eval()
    selection = Targets(
        groups={f"head {n}": [hm.part("blocks.*.weight", 0, 9, n)] for n in range(3)}
    )
    found = [t for t in find_targets(fused, torch.rand(2, 6), selection) if t.kind == "group"]
    assert [target.name for target in found] == ["head 0", "head 1", "head 2"]
    inputs = torch.rand(2, 6)
    before = fused.blocks[0](inputs)
    for number, target in enumerate(found):
        assert len(target.parts) == 2
        with torch.no_grad():
            changed = fused.blocks[0].weight.detach().clone()  # pyright: ignore[reportCallIssue, reportArgumentType]
            target.parts[0].of(changed).zero_()
        outputs = (inputs @ changed.T != before.detach()).view(2, 3, 3, 2).any(-1).any(0)
        assert outputs.nonzero().tolist() == [[0, number]]


def test_removals_of_a_group_are_those_of_a_plain_loop():
    whole = network()
    selection = Targets(groups={"g": ["0.*", hm.part("4.weight", 1, 2, 1)]})
    sweep = Sweep(thresholds=5, control=1)
    plan = make_plan(whole, find_targets(whole, EXAMPLE, selection), sweep)
    parameters = dict(whole.named_parameters())
    first, last = parameters["0.weight"].detach(), parameters["4.weight"].detach()
    values = first.flatten().tolist() + last[:, 4:].flatten().tolist()
    low, high = min(values), max(values)
    for cell in plan.cells:
        if cell.threshold.filter == "high_pass":
            assert low <= cell.threshold.alpha <= high
        gone = {
            "high_pass": lambda v, t: v <= t.alpha,
            "low_pass": lambda v, t: v >= t.alpha,
            "pulse_wave": lambda v, t: t.lower <= v < t.upper,
        }[cell.threshold.filter]
        assert cell.zeroed == sum(gone(value, cell.threshold) for value in values)
        assert cell.density == pytest.approx(1 - cell.zeroed / len(values))
        if cell.removal < 0:
            continue
        filtered = plan.removals[cell.removal].apply(parameters)
        wanted = first.clone(), last.clone()
        for value in wanted[0].view(-1), *wanted[1][:, 4:]:
            for index in range(len(value)):
                if gone(value[index].item(), cell.threshold):
                    value[index] = 0.0
        assert torch.equal(filtered["0.weight"], wanted[0])
        assert torch.equal(filtered["4.weight"], wanted[1])
        drawn = plan.removals[cell.controls[0]].apply(parameters)
        assert torch.equal(drawn["4.weight"][:, :4], last[:, :4])
        zeros = sum(int((drawn[name] == 0).sum()) for name in drawn)
        assert zeros == cell.zeroed
    keys = [removal.key() for removal in plan.removals]
    assert len(set(keys)) == len(keys)
    assert keys[0].startswith("0.weight,None,None;4.weight,1,1/2|signed|")


def test_groups_come_in_the_order_of_use_not_of_the_mapping():
    heads = {f"head {n}": [hm.part("4.weight", 0, 4, n)] for n in (3, 1, 0, 2)}
    found = groups(groups={**heads, "stem": ["0.*"]})
    assert list(found) == ["stem", "head 0", "head 1", "head 2", "head 3"]


def test_a_group_of_equal_values_is_not_tested_while_the_others_are():
    found = groups(groups={"scales": ["1.weight"], "stem": ["0.*"], "both": ["1.weight", "1.bias"]})
    assert found["scales"].reason == "all its values are equal, so that its thresholds coincide"
    assert found["both"].tested  # ones and zeros, which common thresholds tell apart
    with pytest.raises(SettingError, match="scales cannot be filtered; scales: all its values"):
        groups(groups={"scales": ["1.weight"]})


REFUSED = [
    ({"a": ["9.*"]}, "No parameter matches the pattern '9.*' in the group 'a': the nearest are "),
    ({"0.weight": ["0.*"]}, "Expected another name than '0.weight' for a group"),
    ({"a": ["4.weight@0:0/3"]}, "does not divide 4.weight: axis 0 of its shape [4, 8] is no mult"),
    ({"a": ["4.weight@2:0/2"]}, "Expected an `axis` of 4.weight, which has shape [4, 8]"),
    ({"a": ["4.weight@0:0/2", "4.weight@1:0/2"]}, "The group 'a' holds values of 4.weight twice"),
    ({"a": ["4.weight@0:0/2", "4.weight@0:1/4"]}, "The group 'a' holds values of 4.weight twice"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_what_does_not_fit_the_network_is_refused(asked, message):
    with pytest.raises(SettingError) as caught:
        groups(groups=asked)
    assert message in str(caught.value)


def test_a_group_without_values_is_refused():
    with pytest.raises(SettingError, match=r"'1\.\*' in the group 'a' takes no values .* of kind"):
        groups(groups={"a": ["1.*"]}, kinds=("linear",))
    with pytest.raises(SettingError, match="see `kinds` and `exclude`"):
        groups(groups={"a": ["1.*"]}, exclude=("1.*",))


SETTINGS = [
    ({"groups": {"a": []}}, "Expected the group 'a' to be patterns"),
    ({"groups": {" ": ["0.*"]}}, "Expected a name of a group to be a text"),
    ({"groups": {"a\x1b[2J": ["0.*"]}}, r"got 'a\x1b[2J'"),
    ({"groups": {"a\nb": ["0.*"]}}, "without control characters"),
    ({"groups": {"a\ud800": ["0.*"]}}, "without control characters"),
    ({"groups": {"a" * 5000: ["0.*"]}}, "at most 4096 characters"),
    ({"groups": {"a": ["0.*"]}, "scope": "global"}, "Expected no `scope` beside `groups`"),
    ({"groups": {"a": ["0.*"]}, "per": "channel"}, "Expected no `per` beside `groups`"),
    ({"groups": {"a": ["0.*"]}, "include": ("0.*",)}, "Expected no `include` beside `groups`"),
    ({"groups": {"a": ["w@0:3/3"]}}, "Expected `index` of a part to be between 0 and `of` - 1 = 2"),
]


@pytest.mark.parametrize(("asked", "message"), SETTINGS)
def test_settings_that_are_no_groups_are_refused(asked, message):
    with pytest.raises(SettingError) as caught:
        Targets(**asked)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("w", 0, 0, 0), "between 0 and `of`"),
        (("w", 0, 3, -1), "between 0 and `of`"),
        (("w", True, 3, 1), "Expected `axis` of a part to be a whole number, got True"),
        (("", 0, 3, 1), "Expected a pattern to be a text"),
    ],
)
def test_parts_that_are_none_are_refused(values, message):
    with pytest.raises(SettingError) as caught:
        hm.part(*values)
    assert message in str(caught.value)


def test_a_part_may_be_written_as_text():
    part = hm.part("blocks.*.qkv.weight", axis=-1, of=36, index=5)
    assert str(part) == "blocks.*.qkv.weight@-1:5/36"
    assert Targets(groups={"a": str(part)}) == Targets(groups={"a": [part]})
    assert Targets(groups={"a": "w@x"}).groups == {"a": ("w@x",)}
    assert isinstance(part, PartPattern)


def test_only_a_selection_with_groups_describes_them():
    assert "groups" not in Targets().described()
    asked = Targets(groups={"a": [hm.part("w", 0, 3, 1), "x.*"]})
    assert asked.described()["groups"] == {"a": ["w@0:1/3", "x.*"]}
    assert Targets(**asked.described()) == asked
    assert len({Targets(), Targets(kinds=("bias",))}) == 2
