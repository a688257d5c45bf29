"""Processes that begin with everything imported, and in which nothing has been computed.

Forks of the test process would not do: PyTorch refuses gradients in a fork of a process that has
computed some.
"""

import multiprocessing
import os
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path


@cache
def processes() -> ForkServerContext:
    """Return what starts such processes; there is one server for the whole suite."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reading", "killed", "pytest"])
    found = os.environ.get("PYTHONPATH")
    # The server looks for modules where Python does, not where pytest has told this process to.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [found])])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        os.environ.update({} if found is None else {"PYTHONPATH": found})
    return context
