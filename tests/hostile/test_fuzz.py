"""Damaged and crafted files: whatever comes, a parser succeeds or says one of our sentences."""

import io
import resource
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save
from torch import nn

from hormesis.cli.app import main
from hormesis.cli.parser import parse_arguments
from hormesis.data.download import Archive, _unpack
from hormesis.data.image_cache import decode_images
from hormesis.data.images import read_pixels
from hormesis.errors import DataError, HormesisError, ModelError
from hormesis.models.checkpoints import load_weights
from hormesis.results.training_run import TrainingRun, load_run
from mutations import changed, counts, damaged, fuzz, texts_of

MOST = 8 << 30  # bytes that a process may address more than it does; no parser needs a tenth


@pytest.fixture(autouse=True)
def bounded():
    """Let an allocation that a file claims fail, instead of taking the machine down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def checkpoint(kind: str) -> bytes:
    state = network().state_dict()
    if kind == ".safetensors":
        return save(state, metadata={"fingerprint": "0"})
    buffer = io.BytesIO()
    saved = {"state_dict": state, "epoch": 3, "args": {"rate": 0.1, "names": ["a", "b"]}}
    torch.save(saved, buffer, _use_new_zipfile_serialization=kind == ".pt")
    return buffer.getvalue()


@counts
@pytest.mark.parametrize("kind", [".safetensors", ".pt", ".pth"])
def test_checkpoints(tmp_path, kind, examples):
    path, own = tmp_path / f"w{kind}", network()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(ModelError):
            load_weights(own, path)

    fuzz(damaged(checkpoint(kind)), examples, check)


@counts
def test_the_pickle_within_an_archive(tmp_path, examples):
    path, own = tmp_path / "w.pt", network()
    with zipfile.ZipFile(io.BytesIO(checkpoint(".pt"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = (name for name in members if name.endswith("data.pkl"))

    def check(content: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, body in {**members, pickled: content}.items():
                archive.writestr(name, body)
        with suppress(ModelError):
            load_weights(own, path)

    fuzz(damaged(members[pickled]), examples, check)


def settings_of(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    with pytest.raises(SystemExit):
        main([command, "--print_config"])
    return yaml.safe_load(capsys.readouterr().out)


@counts
@pytest.mark.parametrize("command", ["analyze", "train"])
def test_configurations(tmp_path, capsys, command, examples):
    path = tmp_path / "study.yaml"
    whole = settings_of(command, capsys)
    text = yaml.safe_dump(whole).encode()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(HormesisError):
            parse_arguments(command, ["--config", str(path)])

    changes = changed(whole).map(lambda value: yaml.safe_dump(value, allow_unicode=True))
    contents = changes.map(lambda said: said.encode("utf-8", "surrogatepass"))
    fuzz(st.one_of(contents, contents, damaged(text)), examples, check)


RUN = {
    "training": 1,
    "question": {
        "network": {"name": "resnet18", "named": True, "fingerprint": "ab"},
        "data": {
            "name": "mnist",
            "split": "standard",
            "split_seed": 0,
            "normalize": True,
            "samples": 20,
            "classes": 10,
            "shape": [1, 28, 28],
            "validation_fingerprint": "cd",
        },
        "recipe": {"seed": 0, "stem": "small", "epochs": 3, "rate": 0.001, "attack": None},
    },
    "sessions": [{"data": "mnist", "data_root": "/data", "validated_on": 5, "notes": ["x"]}],
}


def looked_at(run: TrainingRun) -> None:
    """Read everything that a run's folder says without torch."""
    run.code()
    repr(run)
    assert isinstance(run.data_root, str | None)
    with suppress(HormesisError):
        run.chosen()
    with suppress(HormesisError):
        run.metrics.shape  # noqa: B018


@counts
def test_manifests_of_trainings(tmp_path, examples):
    def check(content: bytes) -> None:
        (tmp_path / "manifest.json").write_bytes(content)
        with suppress(HormesisError):
            looked_at(load_run(tmp_path))

    fuzz(texts_of(RUN), examples, check)


@counts
def test_metrics_of_trainings(tmp_path, examples):
    run = TrainingRun(tmp_path, RUN)
    table = b"epoch,train_loss,seconds\n1,0.5,2.0\n2,0.25,2.5\n"

    def check(content: bytes) -> None:
        (tmp_path / "metrics.csv").write_bytes(content)
        looked_at(run)

    fuzz(damaged(table), examples, check)


NAMES = st.one_of(
    st.from_regex(r"epoch-[\d\u0660-\u0669]{1,40}\.safetensors", fullmatch=True),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1),
).filter(lambda name: len(name.encode()) < 250 and name not in (".", ".."))


@counts
def test_names_of_checkpoints(tmp_path, examples):
    folder = tmp_path / "checkpoints"
    folder.mkdir()

    def check(names: list[str]) -> None:
        with files(folder, names):
            found = TrainingRun(tmp_path, RUN).checkpoints
            assert all(f"epoch-{epoch:04d}.safetensors" == at.name for epoch, at in found.items())

    fuzz(st.lists(NAMES, max_size=3, unique=True), examples, check)


@contextmanager
def files(folder: Path, names: list[str]) -> Iterator[None]:
    for name in names:
        (folder / name).touch()
    try:
        yield
    finally:
        for name in names:
            (folder / name).unlink()


@counts
@pytest.mark.parametrize("form", ["BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore")  # of Pillow, on what is odd in a file and can be read
def test_images(tmp_path, form, examples):
    buffer, path = io.BytesIO(), tmp_path / "image.png"
    pixels = np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, form)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(DataError):
            assert read_pixels(path).shape[2] == 3

    fuzz(damaged(buffer.getvalue()), examples, check)


@counts
def test_arrays_of_decoded_images(tmp_path, examples):
    path = tmp_path / "1.png"
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)
    decode_images([path], "labelled", beside=tmp_path)
    (kept,) = (tmp_path / ".hormesis").iterdir()
    whole = kept.read_bytes()

    def check(content: bytes) -> None:
        kept.write_bytes(content)
        assert decode_images([path], "labelled", beside=tmp_path).pixels.shape[:2] == (1, 3)

    fuzz(damaged(whole), examples, check)


def archive_of(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"pixels" * 40)
    return buffer.getvalue()


@counts
def test_archives(tmp_path, examples):
    root = tmp_path / "root"
    root.mkdir()
    file = tmp_path / "set.zip"
    wanted = Archive("http://x", "0", 10**6, "set", 10**6)
    outside = sorted(path.name for path in tmp_path.iterdir())

    def check(content: bytes) -> None:
        file.write_bytes(content)
        with suppress(DataError, OSError):  # `download` turns the latter into the former
            _unpack(wanted, file, root, None)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*outside, "set.zip"})
        assert {path.name for path in root.iterdir()} <= {"set"}
        if (root / "set").exists():
            assert not any(path.is_symlink() for path in root.rglob("*"))
            shutil.rmtree(root / "set")

    good = archive_of(["set/wnids.txt", "set/val/images/a.JPEG"])
    bad = archive_of(["set/a", "set/../../b", "/etc/c", "set\\..\\d", "set/e:f"])
    fuzz(st.one_of(damaged(good), damaged(bad)), examples, check)
