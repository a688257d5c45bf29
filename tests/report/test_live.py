"""Looking on: pages and events follow a study, take little time, and never let it fail."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import synthetic
from growing import Growing
from hormesis.cli.app import main
from hormesis.cli.commands.watch import sinks_from
from hormesis.errors import MissingExtraError, StudyError
from hormesis.report import tensorboard
from hormesis.report.html import live
from hormesis.report.html.live import Follower, following, page_sink, watch
from hormesis.report.tensorboard import event_sink, scalars
from hormesis.report.views.progress import progress
from hormesis.results.study import load_study
from hormesis.storage.lock import lock_folder
from hormesis.storage.verify import format_seconds, verify_study

REFRESH = re.compile(r'<meta name="again"')


def written(folder: Path, samples: int = 30) -> Path:
    generator = np.random.default_rng(4)
    network = synthetic.network(generator, targets=3, steps=5)
    return synthetic.written(network, network.outcomes(samples, generator), folder)


@pytest.fixture
def study(tmp_path) -> Path:
    return written(tmp_path / "study")


class Clock:
    """A clock that stands still but for the sinks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for name in ("monotonic", "thread_time"):
            monkeypatch.setattr(live.time, name, lambda: self.now)


def test_what_takes_a_second_is_shown_again_after_fifty(study, monkeypatch):
    clock = Clock(monkeypatch)
    shown = []

    def sink(folder: Path, last: bool) -> None:
        clock.now += 1.0
        shown.append(last)

    follower = Follower(study, [sink])
    assert follower.poll()
    (study / "manifest.json").touch()
    clock.now += 49.0
    assert not follower.poll()
    clock.now += 2.0
    assert follower.poll()
    assert (shown, follower.seconds) == ([False, False], 2.0)


def test_nothing_is_shown_twice(study, monkeypatch):
    clock = Clock(monkeypatch)
    follower = Follower(study, [lambda folder, last: None])
    assert follower.poll()
    clock.now += 1000.0
    assert not follower.poll()


def test_nothing_is_shown_before_there_is_anything(tmp_path):
    follower = Follower(tmp_path / "none", [lambda folder, last: pytest.fail("shown")])
    assert not follower.poll()


@pytest.mark.parametrize("error", [StudyError("no shard yet"), OSError("disk full")])
def test_what_cannot_be_shown_is_told_at_the_end(study, error):
    def sink(folder: Path, last: bool) -> None:
        raise error

    with following(study, [sink]) as follower:
        pass
    assert follower.trouble == str(error)


def test_what_could_be_shown_at_last_is_no_trouble(study):
    tries = []

    def sink(folder: Path, last: bool) -> None:
        tries.append(last)
        if not last:
            raise StudyError("no shard yet")

    follower = Follower(study, [sink])
    follower.poll()
    assert follower.trouble
    follower.show(last=True)
    assert (tries, follower.trouble) == ([False, True], "")


def test_it_is_shown_while_it_is_measured_and_once_more(study, monkeypatch):
    monkeypatch.setattr(live, "_LOOK", 0.01)
    looked = threading.Event()
    shown = []

    def sink(folder: Path, last: bool) -> None:
        shown.append(last)
        looked.set()

    with following(study, [sink]):
        assert looked.wait(10)
    assert shown == [False, True]
    assert not [thread for thread in threading.enumerate() if thread.name == "hormesis-live"]


def test_an_interrupted_study_is_not_shown_as_finished(study):
    shown = []
    with (
        pytest.raises(KeyboardInterrupt),
        following(study, [lambda folder, last: shown.append(last)]),
    ):
        raise KeyboardInterrupt
    assert True not in shown


def test_the_page_reads_itself_anew_until_the_last(study, tmp_path):
    page = tmp_path / "page.html"
    sink = page_sink(page)
    sink(study, False)
    assert REFRESH.search(page.read_text(encoding="utf-8"))
    sink(study, True)
    assert not REFRESH.search(page.read_text(encoding="utf-8"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_events_are_the_scores_over_the_samples(study, tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard"
    )
    sink = event_sink(tmp_path / "events", "study")
    sink(study, False)
    sink(study, True)  # nothing new
    read = accumulator.EventAccumulator(str(tmp_path / "events" / "study"))
    read.Reload()
    opened = load_study(study)
    expected = dict(scalars(opened))
    assert set(read.Tags()["scalars"]) == set(expected)
    assert read.Tags()["images"] == ["scores"]
    for tag, value in expected.items():
        (event,) = read.Scalars(tag)
        assert (event.step, event.value) == (30, pytest.approx(value, rel=1e-6))
    (image,) = read.Images("scores")
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_scalars_name_scores_and_counts(study):
    opened = load_study(study)
    found = dict(scalars(opened))
    assert found["network/clean"] == opened.base.clean
    chosen = opened.scores.query("filter == 'combined' and score == 'difference'")
    named = {f"difference/{name.removesuffix('.weight')}": name for name in chosen["target"]}
    assert set(named) <= set(found)
    counts = [value for tag, value in found.items() if tag.startswith("classes/clean, ")]
    assert sum(counts) == 3


def test_events_of_several_epochs_lie_side_by_side(tmp_path):
    for epoch in (1, 2):
        written(tmp_path / "run" / f"epoch-{epoch:04d}")
    event_sink(tmp_path / "events", "run")(tmp_path / "run", True)
    assert sorted(path.name for path in (tmp_path / "events" / "run").iterdir()) == [
        "epoch-0001",
        "epoch-0002",
    ]


def test_without_tensorboard_events_are_refused(monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="install it with `pip install"):
        sinks_from(None, "events", Path("study"))


def test_a_finished_study_is_watched_once(study, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["watch", str(study), "--out", str(page)]) == 0
    assert not REFRESH.search(page.read_text(encoding="utf-8"))
    assert capsys.readouterr().out == f"report:  {page}\n"


@pytest.fixture
def growing(monkeypatch, tmp_path) -> Growing:
    with torch.random.fork_rng():
        return Growing(monkeypatch, tmp_path / "growing")


def test_a_study_is_shown_as_it_grows(growing, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    page, samples = tmp_path / "page.html", []

    def noted(folder: Path, last: bool) -> None:
        samples.append((load_study(folder).manifest["base"]["samples"], last))

    def pause(seconds: float) -> None:
        clock.now += 100.0
        growing.analyze(min(300, samples[-1][0] + 128))

    growing.analyze(64)
    watch(growing.folder, [noted, page_sink(page)], pause=pause)
    assert samples == [(64, False), (192, False), (300, True)]
    assert not REFRESH.search(page.read_text(encoding="utf-8"))


def test_a_page_of_an_unfinished_study_says_so(growing, tmp_path):
    growing.analyze(64)
    page = tmp_path / "page.html"
    page_sink(page)(growing.folder, False)
    text = page.read_text(encoding="utf-8")
    assert REFRESH.search(text)
    assert "64 of 300" in text


def test_the_progress_of_a_page_is_that_of_status(growing):
    growing.analyze(64)
    health = verify_study(growing.folder)
    found = progress(load_study(growing.folder))
    assert found is not None
    assert found["samples"] == [health.samples, 300] == [64, 300]
    assert health.left is not None
    assert found["left"] == format_seconds(health.left)
    assert not found["at_work"]
    with lock_folder(growing.folder):
        assert (progress(load_study(growing.folder)) or {})["at_work"]
    growing.analyze()
    assert progress(load_study(growing.folder)) is None


def test_a_picture_of_an_unfinished_study_says_so_too(growing, tmp_path, capsys):
    growing.analyze(64)
    capsys.readouterr()
    out = str(tmp_path / "heat.svg")
    assert main(["plot", str(growing.folder), "--out", out]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"picture: {out}"
    assert "64 of 300" in second


def test_what_replaces_a_study_is_shown_while_it_grows_beside_it(growing, monkeypatch):
    Clock(monkeypatch)
    growing.analyze()
    growing.analyze(64, overwrite=True)
    shown = []
    Follower(growing.folder, [lambda folder, last: shown.append(folder)]).poll()
    assert [load_study(folder).manifest["base"]["samples"] for folder in shown] == [64]
    growing.analyze(overwrite=True)
    Follower(growing.folder, [lambda folder, last: shown.append(folder)]).poll()
    assert shown[1] == growing.folder


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["watch", "none"], "The folder none is no study, or nothing is measured there yet."),
        (["watch", "none", "--out", "a.pdf"], "Expected the page to end in .html, got a.pdf."),
        (["analyze", "--live", "no/a.html"], "a folder that can be written to, got no/a.html."),
    ],
)
def test_refused_in_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
