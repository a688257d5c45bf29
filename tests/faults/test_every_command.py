"""Every command that writes: killed, failed and torn; then the same command mends it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.forks import Forks
from faults.scenarios import SCENARIOS
from faults.shim import built, missing
from faults.trials import KINDS, Laboratory, Trial, drawn

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "it can be tried here")
LONGEST = 2.0  # seconds for which a command may be refused because of a dead one
FEW = 1  # faults of a command that the fast part tries, each at one place
Opened = Callable[[str], Laboratory]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Gives the laboratory of a scenario."""
    folder = tmp_path_factory.mktemp("faults").resolve()
    root = folder / "root"
    root.mkdir()
    forks = Forks(built(folder), root)
    known = dict[str, Laboratory]()

    def laboratory(name: str) -> Laboratory:
        if name not in known:
            place = Path(folder, name.replace(" ", ""))
            place.mkdir()
            known[name] = Laboratory(forks, SCENARIOS[name], place)
        return known[name]

    yield laboratory
    forks.end()


def bad(trial: Trial) -> bool:
    return trial.verdict not in ("held", "named") or trial.refused > LONGEST


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_few_places(opened, name):
    laboratory, chance = opened(name), random.Random(name)
    assert laboratory.unseen == []  # the journal tells everything that was done to the disk
    for kind in chance.sample(KINDS, FEW):
        chosen = drawn(laboratory.places(kind), 1, chance)
        assert [str(trial) for trial in laboratory.trials(kind, chosen) if bad(trial)] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_place(opened, name, kind):
    laboratory = opened(name)
    every = range(laboratory.places(kind))
    assert [str(trial) for trial in laboratory.trials(kind, every) if bad(trial)] == []
