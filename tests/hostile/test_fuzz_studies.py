"""Studies from elsewhere: whatever their files hold, reading them succeeds or says one sentence."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

import hormesis as hm
from hormesis.cli.commands.status import study_status
from hormesis.errors import HormesisError, StudyError
from hormesis.report.text.score_table import score_overview, targets_by_class
from hormesis.report.text.summary import study_lines, untested_lines
from hormesis.storage.files import read_manifest
from hormesis.storage.manifest_checks import resume_fault
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import Shard, check, pack, unpack
from hormesis.storage.verify import verify_study
from mutations import VALUES, changed, counts, damaged, fuzz


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Studies of every kind: finished, stopped early with settled targets, and unfinished."""
    folder = tmp_path_factory.mktemp("made")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    inputs = torch.rand(70, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    for name, until in (("finished", None), ("until", 0.3)):
        hm.analyze(
            network,
            (inputs, torch.arange(70) % 2),
            attack=hm.FGSM(0.1),
            sweep=hm.Sweep(thresholds=3, until=until),
            out=folder / name,
            execution=hm.Execution(progress=False, num_workers=1),
        )
    shutil.copytree(folder / "finished", folder / "unfinished")
    rewritten(folder / "unfinished", lambda said: {**said, "state": "unfinished"})
    (folder / "unfinished" / "responses.parquet").unlink()
    return folder


def rewritten(folder: Path, change: Any) -> None:
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    said.pop("sha256", None)
    path.write_text(json.dumps(change(said)))


@pytest.fixture
def study(made, tmp_path, request):
    """A copy of one of them, its manifest without checksums, as a forger leaves it."""
    folder = tmp_path / "study"
    shutil.copytree(made / request.param, folder)
    rewritten(folder, lambda said: {**said, "tables": {}})
    return folder


each = pytest.mark.parametrize("study", ["finished", "until", "unfinished"], indirect=True)


def share(examples: int, cases: int) -> int:
    """Return the examples of one of several cases of a parser."""
    return max(5, examples // cases)


@contextmanager
def as_users_have_it() -> Iterator[None]:
    """Let whole numbers pass where the suite alone asks for fractions."""
    try:
        yield
    except TypeCheckError as error:
        if "settings.Scoring.__init__" not in str(error):
            raise


def read(folder: Path) -> None:
    """Look at all that the command line shows of a study."""
    with as_users_have_it(), suppress(HormesisError):
        found = hm.load_study(folder)
        repr(found)
        assert isinstance(found, hm.Study)
        study_lines(found)
        untested_lines(found)
        targets_by_class(found)
        score_overview(found)
        found.scores_with(hm.Scoring(reference="base"))


@each
def test_the_studies_are_whole(study):
    assert len(hm.load_study(study).scores) > 0


@counts
@each
def test_manifests(study, examples):
    path = study / "manifest.json"
    valid = json.loads(path.read_text())
    whole = json.dumps(valid).encode()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read(study)

    said = changed(valid).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    fuzz(st.one_of(said, said, damaged(whole)), share(examples, 3), check)


@counts
@pytest.mark.parametrize("study", ["until", "unfinished"], indirect=True)
def test_manifests_that_are_gone_on_with(study, examples):
    path = study / "manifest.json"
    valid = json.loads(path.read_text())

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(HormesisError):
            study_status(verify_study(study))
        with suppress(HormesisError):
            known = read_manifest(study)
            if resume_fault(known) or known["question"] != valid["question"]:
                return
            if "shards" in known:
                assert known["shards"]["edges"][-1] == 70
                assert min(32, known["run"]["batch"]) > 0

    said = changed(valid).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    fuzz(said, share(examples, 2), check)


TABLES = ["targets.parquet", "responses.parquet", "samples.parquet", "cells.parquet"]


@counts
@each
@pytest.mark.parametrize("name", TABLES)
def test_bytes_of_tables(study, name, examples):
    path = study / name
    if not path.exists():
        pytest.skip("an unfinished study has no such table")

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read(study)

    fuzz(damaged(path.read_bytes()), share(examples, 10), check)


@st.composite
def other_tables(draw: st.DrawFn, valid: pd.DataFrame) -> pd.DataFrame | None:
    """Return a table with columns of other values or types, other rows, or columns left out."""
    found = valid.copy()
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(list(found.columns) or ["x"]))
        how = draw(st.sampled_from(("cells", "column", "leave out", "rows", "none", "twice")))
        if how == "cells" and len(found) and name in found:
            row = draw(st.integers(0, len(found) - 1))
            values = found[name].tolist()
            values[row] = draw(st.one_of(VALUES, st.sampled_from([*values])))
            found[name] = pd.Series(values, index=found.index, dtype=object)
        elif how == "column":
            found[name] = pd.Series([draw(VALUES)] * len(found), index=found.index, dtype=object)
        elif how == "leave out" and name in found:
            found = found.drop(columns=name)
        elif how == "rows" and len(found):
            found = found.iloc[draw(st.lists(st.integers(0, max(len(found) - 1, 0)), max_size=9))]
        elif how == "twice":
            found = pd.concat([found, found], ignore_index=True)
        else:
            found = found.iloc[:0]
    return found


@counts
@each
@pytest.mark.parametrize("name", TABLES)
def test_values_of_tables(study, name, examples):
    path = study / name
    if not path.exists():
        pytest.skip("an unfinished study has no such table")

    def check(table: pd.DataFrame) -> None:
        try:
            table.to_parquet(path, index=False)
        except Exception:
            return
        read(study)

    fuzz(other_tables(pd.read_parquet(path)), share(examples, 10), check)


def shard(**options: Any) -> bytes:
    bits = np.zeros((2, 3, 10), np.float32)
    base = np.ones(10, np.float32)
    outcomes = StoredOutcomes(base, base, *bits, changed=np.ones(3, dtype=bool), **options)
    return pack(Shard(0, outcomes, "ab", "cd"))


def unpacked(content: bytes) -> None:
    with suppress(StudyError):
        found = unpack("x", content).outcomes
        removals, samples = found.clean.shape
        assert found.adversarial.shape == (removals, samples)
        assert found.base_clean.shape == found.base_adversarial.shape == (samples,)
        assert found.changed.shape == (removals,)
        assert found.clean.nbytes <= 64 * len(content)


@counts
def test_bytes_of_shards(examples):
    valid = shard()
    fuzz(
        st.one_of(damaged(valid), damaged(shard(measured=np.eye(3, dtype=bool)[0]))),
        examples,
        unpacked,
    )


@counts
def test_shards_of_a_forger(examples):
    """Headers and arrays of other kinds, under a checksum that fits."""
    valid = check(shard())

    @st.composite
    def forged(draw: st.DrawFn) -> bytes:
        arrays = safetensors.numpy.load(shard(measured=np.ones(3, dtype=bool)))
        for _ in range(draw(st.integers(0, 2))):
            name = draw(st.sampled_from([*arrays, "other"]))
            shape = draw(st.lists(st.integers(0, 12), max_size=3))
            kind = draw(
                st.sampled_from(("bool", "uint8", "float32", "float64", "int64", "float16"))
            )
            arrays[name] = np.ones(shape, kind)
        metadata = draw(changed(valid))
        metadata = metadata if isinstance(metadata, dict) else valid
        said = {str(key): value for key, value in metadata.items() if key != "sha256"}
        return sealed(arrays, said)

    fuzz(forged(), examples, unpacked)


def sealed(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """Return a shard with the checksum of what it holds."""
    plain = safetensors.numpy.save(arrays)
    end = 8 + int.from_bytes(plain[:8], "little")
    header, body = json.loads(plain[8:end]), plain[end:]
    spelled = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    seal = sha256(spelled + body).hexdigest()
    text = json.dumps(
        {"__metadata__": {**metadata, "sha256": seal}, **header}, separators=(",", ":")
    ).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize("samples", [10**12, 17, 8, 0, -1])
def test_a_shard_that_claims_other_samples_than_it_has_is_refused(samples):
    content = shard()
    arrays = safetensors.numpy.load(content)
    claimed = sealed(arrays, {**check(content), "samples": str(samples)})
    with pytest.raises(StudyError, match=r"are damaged: it holds .* not what it claims"):
        unpack("x", claimed)
