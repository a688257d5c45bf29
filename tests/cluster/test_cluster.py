"""A Ray cluster of several nodes on this machine: the numbers of one process, whatever is lost."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hormesis as hm
from hormesis.errors import MissingExtraError, ModelError, SettingError, StudyError
from hormesis.measure.ray_pool import _actor_class, _fit, import_ray, pickle_spec, ray_connection
from hormesis.measure.ray_worker import Resources, make_worker, versions
from hormesis.settings.execution import Execution

ray = import_ray()
HERE = Execution(num_workers=1, progress=False)
STORE = 80 << 20  # bytes, the least that Ray takes
RESOURCES = Resources(share=1, cores=1, gpu=False)


@pytest.fixture(scope="module")
def cluster():
    """A head and a node, a core each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_enable_metrics_collection", "0")
        patched.delenv("RAY_ADDRESS", raising=False)
        head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.add_node(num_cpus=1, object_store_memory=STORE)
        try:
            yield made
        finally:
            made.shutdown()


def on(cluster: Any, **options: Any) -> Execution:
    return Execution(engine="ray", address=cluster.address, progress=False, **options)


def analyze(out: Path, execution: Execution, count: int = 160, **options: Any) -> hm.Study:
    """Measure a tiny network; a shard has 32 samples."""
    inputs = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4))
    return hm.analyze(
        network,
        (inputs, torch.arange(count) % 4),
        attack=hm.FGSM(0.1),
        sweep=hm.Sweep(thresholds=3),
        out=out,
        execution=execution,
        **options,
    )


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def test_the_shards_of_a_cluster_are_those_of_one_process(cluster, tmp_path, capfd):
    capfd.readouterr()
    found = analyze(tmp_path / "there", on(cluster))
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    alone = analyze(tmp_path / "here", HERE)
    assert len(shards(tmp_path / "here")) == 5
    assert shards(tmp_path / "there") == shards(tmp_path / "here")
    assert found.scores.equals(alone.scores)
    assert found.manifest["study"] == alone.manifest["study"]
    assert found.manifest["run"]["engine"] == "suffix on ray"
    assert not ray.is_initialized()


class Pair(nn.Module):
    """Takes two inputs by their names, and returns more than logits."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.rest = nn.Embedding(9, 4), nn.Linear(3, 4)

    def forward(self, ids: Tensor, rest: Tensor) -> dict[str, Tensor]:
        hidden = self.words(ids).mean(dim=1) + self.rest(rest)
        return {"hidden": hidden, "logits": hidden.tanh()}


@pytest.mark.slow
def test_structures_and_evaluations_travel(cluster, tmp_path):
    generator = torch.Generator().manual_seed(0)
    inputs = {
        "ids": torch.randint(9, (96, 5), generator=generator),
        "rest": torch.rand(96, 3, generator=generator),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Pair()

    def hits(net: nn.Module, numbers: list[int], stressed: bool) -> Tensor:
        rows = {name: part[numbers] for name, part in inputs.items()}
        return net(**rows)["logits"].argmax(dim=1) + float(stressed)

    labels = torch.arange(96) % 4
    options: dict[str, Any] = {"sweep": hm.Sweep(thresholds=3), "targets": hm.Targets(("rest.*",))}
    data = (("pair", (inputs, labels)), ("function", hm.Evaluation(hits, 96, stressed=True)))
    for name, own in data:
        attack = {"attack": hm.FGSM(0.1)} if name == "pair" else {}
        for place, execution in (("there", on(cluster)), ("here", HERE)):
            out = tmp_path / name / place
            hm.analyze(network, own, out=out, execution=execution, **attack, **options)
        assert shards(tmp_path / name / "there") == shards(tmp_path / name / "here")


def right_after(seconds: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a performance that takes its time; defined here, it travels by value."""

    def right(outputs: Tensor, labels: Tensor) -> Tensor:
        time.sleep(seconds)
        return (outputs.argmax(1) == labels).float()

    return right


@pytest.mark.slow
def test_a_node_that_is_killed_half_way_changes_nothing(cluster, tmp_path, capfd):
    lost = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    out, killed = tmp_path / "there", list[int]()

    def kill() -> None:
        while len(shards(out)) < 3:
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)
        killed.append(len(shards(out)))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    capfd.readouterr()
    found = analyze(out, on(cluster), count=320, metric=right_after(0.02))
    killer.join(timeout=60)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert killed[0] < len(shards(out)) == 10
    alone = analyze(tmp_path / "here", HERE, count=320, metric=right_after(0))
    assert shards(out) == shards(tmp_path / "here")
    assert found.responses.equals(alone.responses)


@pytest.mark.slow
def test_an_error_of_a_worker_is_one_sentence_here(cluster, tmp_path):
    def broken(outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.amax(1) * float("nan")

    with pytest.raises(ModelError, match="of the unfiltered network is NaN or infinite"):
        analyze(tmp_path / "there", on(cluster), metric=broken)


@pytest.mark.slow
def test_a_shard_that_kills_whatever_measures_it_is_named(cluster, tmp_path):
    def deadly(outputs: Tensor, labels: Tensor) -> Tensor:
        os._exit(1)

    with pytest.raises(StudyError, match=r"The shard of samples \d+ to \d+ was lost 4 times"):
        analyze(tmp_path / "there", on(cluster), metric=deadly)


def test_a_task_that_fits_no_node_is_refused(cluster, tmp_path):
    with pytest.raises(StudyError, match=r"No node of the cluster has 1 CPU\(s\) and 0.5 GPU\(s\)"):
        analyze(tmp_path / "there", on(cluster, gpus_per_task=0.5))


def test_no_cluster_at_an_address():
    with (
        pytest.raises(StudyError, match=r"no Ray cluster at 127\.0\.0\.1:1 that can be used"),
        ray_connection(Execution(engine="ray", address="127.0.0.1:1")),
    ):
        pass


def test_ray_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"run `pip install 'hormesis\[ray\]'`"):
        analyze(tmp_path / "out", Execution(engine="ray", progress=False))
    assert not (tmp_path / "out").exists()


def test_a_network_that_cannot_travel_is_refused():
    made: Any = nn.Linear(2, 2)
    made.lock = threading.Lock()
    with pytest.raises(SettingError, match=r"cannot be sent to other machines \(cannot pickle '_t"):
        pickle_spec(made)


def test_another_version_on_a_node_is_refused():
    with pytest.raises(StudyError, match=r"has hormesis .*, the driver 0: install the same v"):
        make_worker(b"", {**versions(), "hormesis": "0"}, RESOURCES)


@pytest.mark.parametrize("content", [b"cno_such_module\nnet\n.", b"chormesis.errors\nno_such\n."])
def test_a_module_that_a_node_lacks_is_named(content):
    with pytest.raises(StudyError, match=r"cannot make the network \(.*no_such.*\): install"):
        make_worker(content, versions(), RESOURCES)


def test_a_node_without_this_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "hormesis.measure.ray_worker", None)
    said = _actor_class()().start([None], RESOURCES)
    assert "cannot import hormesis" in said
    assert said.endswith("install it on all nodes, in the environment that Ray was started in.")


@pytest.mark.parametrize(
    ("resources", "options", "fit"),
    [
        ({"CPU": 4.0}, {}, 4),
        ({"CPU": 4.0}, {"cpus_per_task": 3}, 1),
        ({"CPU": 1.0}, {"cpus_per_task": 0.1}, 10),
        ({"CPU": 4.0}, {"gpus_per_task": 1}, 0),
        ({"CPU": 16.0, "GPU": 2.0}, {"gpus_per_task": 0.25}, 8),
        ({}, {}, 0),
    ],
)
def test_how_many_tasks_fit_a_node(resources, options, fit):
    assert _fit(resources, Execution(engine="ray", **options)) == fit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "ray", "gpus_per_task": 1.5}, "`gpus_per_task` to be a fraction of one or a w"),
        ({"engine": "ray", "gpus_per_task": -1}, "`gpus_per_task` to be a fraction"),
        ({"engine": "ray", "cpus_per_task": 0}, "`cpus_per_task` to be a fraction"),
        ({"engine": "ray", "cpus_per_task": float("nan")}, "`cpus_per_task` to be a fraction"),
        ({"address": "auto"}, "Expected engine 'ray' for an `address`, got 'auto'"),
    ],
)
def test_shares_that_no_task_can_have(options, message):
    with pytest.raises(SettingError, match=message):
        Execution(**options)
