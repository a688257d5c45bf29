"""What a Ray cluster costs and brings: ``python -m benchmarks.cluster``.

One node a process, on this machine. The time between two results of one process, less the time
that it measured, is what a shard costs besides: samples there, bytes back, and their place in the
loop of the driver. Busy is the share of the time in which the processes measured: of N of them, a
cluster has N times that share of one. What the driver does with a shard is timed on its own, on one
of ResNet-50's.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, no_type_check

import numpy as np
import torch

from benchmarks.sweep import about_machine
from hormesis.analysis.stopping import Stopping
from hormesis.data.samples import Samples, samples_from
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Plan, make_plan
from hormesis.engine.shards import ShardTask, shard_edges
from hormesis.engine.tables import cell_table
from hormesis.measure import ray_pool
from hormesis.measure.shard_worker import ShardWorker, make_measurer
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import build_model
from hormesis.settings.attacks import FGSM
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import Shard, pack, unpack
from hormesis.storage.store import FolderStore
from hormesis.stress.metrics import accuracy
from hormesis.stress.targets import find_targets

RESULTS = Path(__file__).with_name("CLUSTER.md")
NETWORK, SHARD, SHARDS, THRESHOLDS = "resnet18", 64, 8, 2
HEADER = """\
# On a cluster

`python -m benchmarks.cluster`

{machine} Load of the machine when this was measured: {load:.1f}.

{network}, {shard} samples of 32x32 a shard, {removals} removals; Ray {ray}, one node a process, all
on this machine.

"""


def main() -> None:
    """Measure, print and write the table."""
    import ray

    text, runs = "", []
    for nodes in (1, 2):
        network, samples = build_model(NETWORK, classes=10, channels=3, seed=0), _samples()
        with evaluation_mode(network):
            plan, worker = _prepared(network, samples)
            runs.append(_swept(network, worker, nodes))
        if not text:
            text = HEADER.format(
                machine=about_machine(),
                load=os.getloadavg()[0],
                network=NETWORK,
                shard=SHARD,
                removals=len(plan.removals),
                ray=ray.__version__,
            )
    text += _scaling(*runs) + _driver()
    print(text)  # noqa: T201
    old = RESULTS.read_text() if RESULTS.exists() else ""
    plan_on_paper = old[old.index("\n## A plan") :] if "\n## A plan" in old else ""
    RESULTS.write_text(text.rstrip() + "\n" + plan_on_paper)


def _samples() -> Samples:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(SHARD * SHARDS, 3, 32, 32, generator=generator)
    return samples_from((inputs, torch.arange(len(inputs)) % 10))


def _prepared(network: torch.nn.Module, samples: Samples) -> tuple[Plan, ShardWorker]:
    sweep, execution = Sweep(thresholds=THRESHOLDS), Execution(num_workers=1)
    targets = find_targets(network, samples.inputs[:2], Targets())
    plan = make_plan(network, targets, sweep)
    spec = MeasurementSpec(accuracy, FGSM(8 / 255), adaptive=False, bounds=(0.0, 1.0), seed=0)
    measurer = make_measurer(network, samples, plan.removals, spec, execution, SHARD)
    return plan, ShardWorker(measurer, "0" * 32)


def _swept(
    network: torch.nn.Module, worker: ShardWorker, nodes: int
) -> tuple[list[float], list[float], float]:
    """Return when results came, how long each was measured, and how long the first took."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": 256 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(1, nodes):
        made.add_node(num_cpus=1, object_store_memory=256 << 20)
    execution = Execution(engine="ray", address=made.address)
    every = np.ones(len(worker.measurer.removals), dtype=bool)
    tasks = [ShardTask(place * SHARD, (place + 1) * SHARD, every) for place in range(SHARDS)]
    usual = ray_pool._actor_class
    ray_pool._actor_class = lambda: _timed(usual())  # pyright: ignore[reportPrivateUsage]
    came, took = list[float](), list[float]()
    try:
        with ray_pool.ray_connection(execution):
            pool = ray_pool.make_pool(network, worker, execution, SHARD)
            started = time.monotonic()
            for _, content in pool.sweep(worker, tasks):
                came.append(time.monotonic() - started)
                took.append(np.frombuffer(content[:8]).item())
    finally:
        ray_pool._actor_class = usual
        made.shutdown()
    return came, took, came[0] - took[0]


def _timed(kind: type) -> type:
    @no_type_check
    class Timed(kind):
        def measure(self, task: Any, inputs: Any, labels: Any) -> bytes:  # noqa: ANN401
            import time

            import numpy as np

            started = time.monotonic()
            content = self.measure_part(self.worker, task, inputs, labels)
            return np.float64(time.monotonic() - started).tobytes() + content

    return Timed


def _scaling(one: tuple[Any, ...], two: tuple[Any, ...]) -> str:
    """Return the table of both runs."""
    rows = [
        "| processes | shards a minute, at work | seconds of a shard | besides | busy | start |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for nodes, (came, took, start) in ((1, one), (2, two)):
        rate = 60 * (len(came) - nodes) / (came[-1] - came[nodes - 1])
        besides = "-"
        if nodes == 1:  # with several, results of one are not told from those of others
            gaps = [
                late - early - measured
                for early, late, measured in zip(came, came[1:], took[1:], strict=False)
            ]
            besides = f"{1000 * statistics.median(gaps):.0f} ms"
            besides += f" ({statistics.median(gaps) / statistics.median(took):.2%})"
        busy = sum(took[nodes:]) / (nodes * (came[-1] - came[nodes - 1]))
        rows.append(
            f"| {nodes} | {rate:.1f} | {statistics.median(took):.1f} | {besides} | {busy:.0%} "
            f"| {start:.0f} s |"
        )
    return "\n".join(rows) + "\n\n"


def _driver() -> str:
    """Return what the driver does with a shard of ResNet-50 on 256 samples."""
    network = build_model("resnet50", classes=10, channels=3, seed=0)
    few = torch.rand(2, 3, 32, 32)
    with evaluation_mode(network):
        plan = make_plan(network, find_targets(network, few, Targets()), Sweep())
    count, samples = len(plan.removals), shard_edges(10_000, (3, 32, 32))[1]
    drawn = np.random.default_rng(0).random((2, count, samples)) < 0.5
    base = np.ones(samples, np.float32)
    outcomes = StoredOutcomes(
        base, base, *drawn.astype(np.float32), changed=np.ones(count, dtype=bool)
    )
    content = pack(Shard(0, outcomes, "0" * 32, "0" * 64))
    stopping = Stopping(cell_table(plan), Scoring(), None, 10_000, True)
    with TemporaryDirectory() as folder:
        (Path(folder) / "outcomes").mkdir()
        store = FolderStore(Path(folder))
        written = _median(lambda: store.put(0, content))
    counted = _median(lambda: stopping.update(unpack("x", content).outcomes))
    return (
        f"A shard of ResNet-50 has {count:,} removals on {samples} samples in "
        f"{len(content) / 2**20:.1f} MiB: the driver writes it in {1000 * written:.0f} ms and "
        f"counts it in {1000 * counted:.0f} ms. Its samples take {samples * 12 / 1024:.0f} MiB.\n"
    )


def _median(act: Callable[[], object]) -> float:
    seconds = []
    for _ in range(9):
        started = time.monotonic()
        act()
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
