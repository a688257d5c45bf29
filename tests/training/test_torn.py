"""Trainings whose files are torn: mended with the same bytes, or the damage is named."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import hormesis as hm
import torn
from hormesis.cli.app import main
from hormesis.errors import TrainingError
from hormesis.results.training_records import Seal, read_record, read_records
from hormesis.results.training_run import load_run
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.ownership import MARKER
from hormesis.training import checkpointing
from hormesis.training.verify import verify_run

STATES = (torn.EPOCHS - 1, torn.EPOCHS)
EARLIER = [f"checkpoints/epoch-{epoch:04d}.safetensors" for epoch in range(1, STATES[0])]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    torn.run("train", folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def rows(folder: Path) -> Any:
    return load_run(folder).metrics.drop(columns="seconds")


def put(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_holds_the_last_two_states_and_no_litter(whole):
    assert names(whole) == [
        MARKER,
        *(f"checkpoints/epoch-{epoch:04d}.safetensors" for epoch in range(torn.EPOCHS + 1)),
        "manifest.json",
        "metrics.csv",
        *(f"resume-{epoch:04d}.{kind}" for epoch in STATES for kind in ("ckpt", "json")),
    ]
    records, damaged = read_records(whole)
    assert [record.epoch for record in records] == [*reversed(STATES)]
    assert not damaged
    assert set(records[0].checkpoints) == set(range(torn.EPOCHS + 1))
    assert records[0].metrics == (whole / "metrics.csv").read_text()


KINDS = [kind for kind, _ in torn.torn(b"ab")]


def tear_all(whole: Path, tmp_path: Path, kinds: list[str]) -> int:
    """Tear every file of a run in turn, resume, and compare; return how many were torn."""
    expected, table = torn.kept(whole), rows(whole)
    count = 0
    for name in names(whole):
        for kind, content in torn.torn((whole / name).read_bytes()):
            if kind not in kinds:
                continue
            out = tmp_path / f"{count}"
            shutil.copytree(whole, out)
            put(out / name, content)
            torn.run("train", out)
            run, count = load_run(out), count + 1
            if name in EARLIER:
                assert [Path(name).name in said for said in run.damaged] == [True], (name, kind)
                assert verify_run(out).damaged
                continue
            assert torn.kept(out) == expected, (name, kind)
            assert rows(out).equals(table), (name, kind)
            assert not run.damaged
            assert not verify_run(out).damaged, (name, kind)
            # A lost record is an epoch that was not done, a lost marker one of earlier versions.
            if name != MARKER and not (name.endswith("json") and kind == "missing"):
                assert run.mended, (name, kind)
            shutil.rmtree(out)
    return count


def test_torn_files_are_mended_or_named(whole, tmp_path):
    assert tear_all(whole, tmp_path, ["cut"]) == len(names(whole))


@pytest.mark.slow
def test_files_torn_in_every_way_are_mended_or_named(whole, tmp_path):
    assert tear_all(whole, tmp_path, KINDS) == len(KINDS) * len(names(whole))


@pytest.mark.parametrize("state", ["resume-0003.ckpt", "resume-0003.json"])
def test_an_epoch_is_trained_again_from_the_other_state(copy, state):
    expected = torn.kept(copy)
    (copy / state).write_bytes((copy / state).read_bytes()[:-9])
    (copy / "checkpoints" / "epoch-0003.safetensors").unlink()
    torn.run("train", copy)
    assert torn.kept(copy) == expected
    (said,) = load_run(copy).mended
    assert said.startswith(f"The state after epoch 3 was damaged ({state}: ")
    assert said.endswith("trained again from the state after epoch 2.")


def test_a_torn_run_goes_on_to_more_epochs_as_a_whole_one(copy, tmp_path):
    torn.run("train", tmp_path / "longer", epochs=5)
    (copy / "resume-0003.ckpt").write_bytes(b"")
    torn.run("train", copy, epochs=5)
    assert torn.kept(copy) == torn.kept(tmp_path / "longer")


def test_without_a_whole_state_the_remedy_is_said_and_works(copy):
    expected = torn.kept(copy)
    for epoch in STATES:
        (copy / f"resume-{epoch:04d}.ckpt").write_bytes(b"PK")
    with pytest.raises(TrainingError, match=r"all its states are damaged .*: delete .*resume-\*"):
        torn.run("train", copy)
    for path in copy.glob("resume-*"):
        path.unlink()
    torn.run("train", copy)
    assert torn.kept(copy) == expected


def test_a_first_state_that_is_torn_is_no_loss(tmp_path):
    torn.run("train", tmp_path / "one", epochs=1)
    expected = torn.kept(tmp_path / "one")
    (tmp_path / "one" / "resume-0001.ckpt").write_bytes(b"")
    torn.run("train", tmp_path / "one", epochs=1)
    assert torn.kept(tmp_path / "one") == expected
    assert "trained again from the start" in load_run(tmp_path / "one").mended[0]


def test_states_of_another_training_are_not_taken(copy, tmp_path):
    hm.train(
        torn.network(1),
        torn.sets(),
        out=tmp_path / "other",
        recipe=torn.RECIPE,
        trainer_config=torn.QUIET,
    )
    for path in (tmp_path / "other").glob("resume-*"):
        shutil.copy(path, copy)
    with pytest.raises(TrainingError, match=r"holds another training \(network.fingerprint is"):
        torn.run("train", copy)


# --- whoever reads it ---------------------------------------------------------------------------


def test_a_table_that_is_not_the_one_written_is_named(copy):
    path = copy / "metrics.csv"
    usual = load_run(copy).metrics
    path.write_text(path.read_text().replace("1,", "1,0", 1))
    with pytest.raises(TrainingError, match=r"table .*metrics.csv is damaged: it is not the one"):
        load_run(copy).metrics  # noqa: B018
    path.write_text("epoch,rate\n1,0.1\n3,")
    with pytest.raises(TrainingError, match=r"damaged: line 3 is not of epoch 2; run the same"):
        load_run(copy).metrics  # noqa: B018
    path.unlink()
    assert load_run(copy).metrics.equals(usual)  # as long as a record has it


def test_a_checkpoint_that_is_not_the_one_written_is_named(copy):
    run = load_run(copy)
    assert [run.fault(epoch) for epoch in range(4)] == [""] * 4
    path = run.checkpoints[1]
    other = run.checkpoints[2].read_bytes()
    path.write_bytes(other)  # whole, but of another epoch
    assert run.fault(1) == "its checksum does not fit"
    with pytest.raises(TrainingError, match=r"epoch-0001.safetensors is damaged: its checksum"):
        run.whole(1)
    path.unlink()
    path.symlink_to(run.checkpoints[2])
    assert run.fault(1) == "it is a link, not a file"
    path.unlink()
    assert run.fault(1) == "it is missing"
    assert list(run.chosen()) == [1, 2, 3]


def test_a_manifest_that_is_not_the_one_written_is_named(copy):
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace('"batch": 8', '"batch": 9'))
    with pytest.raises(TrainingError, match=r"checksum does not fit. It can be mended: run the"):
        load_run(copy)


def test_verify_and_status_take_a_training(copy, capsys):
    assert main(["verify", str(copy)]) == 0
    assert capsys.readouterr().out == f"{copy}: every file is whole, 3 epochs\n"
    (copy / "checkpoints" / "epoch-0001.safetensors").write_bytes(b"half")
    (copy / "resume-0003.json").unlink()
    assert main(["verify", str(copy)]) == 1
    said = capsys.readouterr().out
    assert "epoch-0001.safetensors: it has 4 bytes instead of" in said
    assert said.endswith("2 damaged or missing, 2 epochs; unfinished\n")
    assert main(["status", str(copy)]) == 0
    said = capsys.readouterr().out
    assert "unfinished: 2 of 3 epochs\ncheckpoints of epochs 0, 2, 3\n" in said
    assert "nobody works on it" in said


def test_verify_takes_a_retraining_with_its_arms(tmp_path, capsys):
    out = tmp_path / "arms"
    torn.run("controls", out)
    expected = torn.kept(out)
    assert main(["verify", str(out)]) == 0
    assert capsys.readouterr().out.count("every file is whole") == 2
    (out / "selective" / "seed-1" / "outcomes.parquet").write_bytes(b"PAR1")
    (out / "none" / "measured.parquet").unlink()
    (out / "none" / "seed-1" / "outcomes.parquet").unlink()
    (out / "everything" / "seed-1" / "resume-0003.ckpt").write_bytes(b"PAR1")
    assert main(["verify", str(out)]) == 1
    said = capsys.readouterr().out
    assert said.count("checksum does not fit") + said.count("missing") + said.count("bytes in") >= 4
    torn.run("controls", out)
    assert torn.kept(out) == expected
    notes = " ".join(hm.load_retraining(out).manifest["notes"])
    assert "The table selective/seed-1/outcomes.parquet was damaged" in notes
    assert "everything, seed 1: The state after epoch 3 was damaged" in notes
    (out / "manifest.json").write_text("{")
    torn.run("controls", out)
    assert torn.kept(out) == expected
    assert main(["verify", str(out)]) == 0
    assert "The manifest was damaged" in " ".join(hm.load_retraining(out).manifest["notes"])


# --- what lies there ----------------------------------------------------------------------------


def test_a_kill_between_state_and_record_costs_that_epoch_alone(tmp_path, monkeypatch, whole):
    class StopError(Exception):
        pass

    def stop(folder: Path, record: Any) -> None:
        if record.epoch == 2:
            raise StopError
        write(folder, record)

    write = checkpointing.write_record
    monkeypatch.setattr(checkpointing, "write_record", stop)
    with pytest.raises(StopError):
        torn.run("train", tmp_path / "run")
    monkeypatch.undo()
    assert verify_run(tmp_path / "run").states == (1,)
    assert not verify_run(tmp_path / "run").damaged
    (tmp_path / "run" / f"{TEMPORARY}0-1-1-a").write_bytes(b"of a dead process")
    (tmp_path / "run" / "checkpoints" / f"{TEMPORARY}0-1-1-b").write_bytes(b"of a dead process")
    torn.run("train", tmp_path / "run")
    assert torn.kept(tmp_path / "run") == torn.kept(whole)
    assert not load_run(tmp_path / "run").mended
    assert names(tmp_path / "run") == names(whole)


@pytest.mark.parametrize("name", ["checkpoints", "logs"])
def test_folders_that_are_links_are_not_written_through(copy, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(copy / name, ignore_errors=True)
    (copy / name).symlink_to(outside)
    with pytest.raises(TrainingError, match=rf"holds a link, .*{name}, through which nothing is"):
        torn.run("train", copy, epochs=4)
    assert not [*outside.iterdir()]


@pytest.mark.parametrize("name", ["manifest.json", "metrics.csv", "resume-0003.ckpt"])
def test_files_that_are_links_are_replaced_not_written_through(copy, tmp_path, name):
    victim = tmp_path / "precious"
    content = (copy / name).read_bytes()
    victim.write_bytes(content)
    (copy / name).unlink()
    (copy / name).symlink_to(victim)
    torn.run("train", copy, epochs=4)
    assert victim.read_bytes() == content
    assert not [path for path in copy.rglob("*") if path.is_symlink()]


def test_what_is_no_training_is_left_alone(tmp_path):
    (tmp_path / ".git").mkdir()
    with pytest.raises(TrainingError, match=r"holds something else, such as '.git': choose"):
        torn.run("train", tmp_path)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "a web project"}')
    with pytest.raises(TrainingError, match=r"is no training: its manifest.json is another's"):
        torn.run("train", tmp_path / "web")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "web"]
    (tmp_path / "to").symlink_to(tmp_path / "web")
    with pytest.raises(TrainingError, match="is no training"):
        torn.run("train", tmp_path / "to")


# --- earlier versions ---------------------------------------------------------------------------


def as_earlier(folder: Path, epoch: int) -> None:
    """Make a run one of format 1: a state without a record, and no marker."""
    record = read_record(folder, epoch)
    (folder / f"resume-{epoch:04d}.ckpt").rename(folder / "resume.ckpt")
    for path in (*folder.glob("resume-*"), folder / MARKER):
        path.unlink()
    (folder / "metrics.csv").write_text(record.metrics)
    (folder / "manifest.json").write_text(json.dumps({"training": 1, **record.manifest}))


@pytest.mark.parametrize("epoch", STATES)
def test_a_run_of_an_earlier_version_opens_and_goes_on(copy, whole, tmp_path, epoch):
    torn.run("train", tmp_path / "longer", epochs=5)
    as_earlier(copy, epoch)
    assert len(load_run(copy).metrics) == epoch
    assert not verify_run(copy).damaged
    assert not verify_run(copy).sealed
    torn.run("train", copy, epochs=5)
    assert torn.kept(copy) == torn.kept(tmp_path / "longer")
    assert not (copy / "resume.ckpt").exists()
    assert verify_run(copy).sealed


def test_a_torn_state_of_an_earlier_version_says_what_to_do(copy):
    expected = torn.kept(copy)
    as_earlier(copy, 3)
    path = copy / "resume.ckpt"
    content = path.read_bytes()
    for _, bad in torn.torn(content):
        if bad is None:
            continue
        path.write_bytes(bad)
        with pytest.raises(TrainingError, match=r"resume.ckpt is damaged: .* Delete .*resume\*"):
            torn.run("train", copy, epochs=4)
    path.unlink()
    torn.run("train", copy)
    assert torn.kept(copy) == expected


@cache
def seal() -> Seal:
    return Seal(3, "0" * 64)


def test_a_seal_says_what_is_wrong(tmp_path):
    path = tmp_path / "a"
    assert seal().fault(path) == "it is missing"
    path.write_bytes(b"four")
    assert seal().fault(path) == "it is larger than 3 bytes"
    path.write_bytes(b"to")
    assert seal().fault(path) == "it has 2 bytes instead of 3"
    path.write_bytes(b"sum")
    assert seal().fault(path) == "its checksum does not fit"
