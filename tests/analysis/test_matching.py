"""Which targets go together: by name, by role, by the user's own table."""

import pandas as pd
import pytest
import torchvision

from hormesis.analysis.matching import check_matching, match_targets
from hormesis.errors import StudyError


def targets(names: list[str], kinds: list[str] | None = None) -> pd.DataFrame:
    kinds = kinds or ["convolution"] * len(names)
    return pd.DataFrame({"target": names, "kind": kinds, "depth": range(len(names))})


def of_model(name: str) -> pd.DataFrame:
    model = torchvision.models.get_model(name, weights=None)
    rows = [(n, p) for n, p in model.named_parameters() if p.ndim > 1]
    kinds = ["convolution" if p.ndim == 4 else "linear" for _, p in rows]
    return targets([n for n, _ in rows], kinds)


def test_names_go_together_and_the_rest_is_left_out():
    found = match_targets({"a": targets(["x", "y", "z"]), "b": targets(["z", "x", "w"])})
    assert found.loc[found["study"] == "a", "target"].tolist() == ["x", "z"]
    assert found.loc[found["study"] == "b", "match"].tolist() == ["z", "x"]


def test_nothing_in_common_is_refused():
    with pytest.raises(StudyError, match="no target in common; compare architectures with `over`"):
        match_targets({"a": targets(["x"]), "b": targets(["y"])})


def test_real_architectures_match_by_place_and_kind():
    names = ("resnet18", "squeezenet1_1", "shufflenet_v2_x1_0")
    found = match_targets({name: of_model(name) for name in names}, by_role=True)
    first = found.loc[found["match"] == "first convolution"]
    assert first["target"].tolist() == ["conv1.weight", "features.0.weight", "conv1.0.weight"]
    last = found.loc[found["match"] == "classifier"]
    assert last["target"].tolist() == ["fc.weight", "classifier.1.weight", "fc.weight"]
    stages = found.loc[found["match"].str.startswith("stage")]
    assert sorted(set(stages["match"])) == [f"stage {n} convolution" for n in range(1, 5)]
    counts = stages.groupby(["study", "match"]).size().unstack()
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    assert len(found) == sum(len(of_model(name)) for name in names)


def test_one_architecture_keeps_its_names_even_by_role():
    found = match_targets({"a": of_model("resnet18"), "b": of_model("resnet18")}, by_role=True)
    assert found["match"].tolist() == found["target"].tolist()


def test_order_follows_depth_and_not_the_table():
    shuffled = targets(["a", "b", "c"]).iloc[[2, 0, 1]]
    found = match_targets({"one": shuffled, "two": targets(["p", "q", "r"])}, by_role=True)
    assert found.loc[found["study"] == "one", "match"].tolist() == [
        "first convolution",
        "stage 1 convolution",
        "classifier",
    ]


OWN = pd.DataFrame({"study": ["a", "b"], "target": ["x", "y"], "match": ["same", "same"]})
TWO = {"a": targets(["x", "v"]), "b": targets(["y"])}


def test_an_own_table_is_taken_as_it_is():
    assert check_matching(OWN, TWO).equals(OWN)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (OWN.drop(columns="match"), "lacks the column match; expected study, target and match"),
        (OWN.assign(study=["a", "c"]), "names the study 'c', which is none of a, b"),
        (OWN.assign(target=["x", "q"]), "names the target 'q', which was not tested in b"),
        (pd.concat([OWN, OWN]), "names the target 'x' of a study twice"),
        (OWN.assign(match=["one", "other"]), "no target in common"),
    ],
)
def test_a_wrong_table_is_refused(table: pd.DataFrame, sentence: str):
    with pytest.raises(StudyError, match=sentence):
        check_matching(table, TWO)
