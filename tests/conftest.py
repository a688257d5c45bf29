"""How Hypothesis searches in this suite, and what no test may do."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

import checked
import harmless

# No deadline: a busy machine must not fail a test that is right.
settings.register_profile("suite", deadline=None, max_examples=25)
settings.load_profile("suite")

checked.at_less_cost()

# As from a terminal, also where the suite runs in the background: the processes that it starts
# would ignore what it ignores.
signal.signal(signal.SIGINT, signal.default_int_handler)
for ended in ("SIGHUP", "SIGTERM", "SIGQUIT"):
    if hasattr(signal, ended):
        signal.signal(getattr(signal, ended), signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Spare every collection of garbage the objects of all that is imported: it takes 0.4 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let tests do as they like in their own folder, where temporary files go too."""
    base = tmp_path_factory.getbasetemp()
    harmless.roots.append(os.path.realpath(base))
    # Pytest itself removes there what its earlier runs have left.
    harmless.roots.append(os.path.realpath(base.parent if "pytest-" in base.name else base))
    tempfile.tempdir = str(tmp_path_factory.mktemp("t"))
    sys.addaudithook(harmless.watch)
    yield
    harmless.over.set()


@pytest.fixture(autouse=True, scope="session")
def _spared() -> Iterator[None]:
    from spared import spared  # here, as it imports PyTorch, which collecting alone need not

    with spared():
        yield


@pytest.fixture(autouse=True)
def _harmless() -> Iterator[None]:
    """Fail a test that tried to harm, also where what it called has swallowed the refusal."""
    harmless.found.clear()
    yield
    assert harmless.found == []
