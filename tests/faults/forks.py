"""Command lines in forks of a process that has imported everything."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from faults.shim import NOTHING, Fault

_HERE = Path(__file__).parent
_SOURCES = _HERE.parents[1] / "src"
_PATIENCE = 60.0  # seconds after which a command is taken for hung


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, minus a signal, or None if it hung."""

    code: int | None
    said: str
    errors: str
    counted: int
    fired: int
    operation: str
    seconds: float


class Forks:
    """Runs commands, each as if in a process of its own that has just begun."""

    def __init__(self, shim: Path, root: Path) -> None:
        """Start the process, whose commands work in the folder ``root`` and are watched there."""
        self.root, self._outside = root, Path(tempfile.mkdtemp(prefix="said-", dir=shim.parent))
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        environment = {
            **{key: value for key, value in os.environ.items() if key != "HORMESIS_DATA"},
            "LD_PRELOAD": str(shim),
            "OMP_NUM_THREADS": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MPLCONFIGDIR": str(shim.parent),
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "400",
            "TMPDIR": str(root / "tmp"),  # what is written there and moved counts too
            "PYTHONPATH": os.pathsep.join(
                (str(_SOURCES), str(_HERE.parent), os.environ.get("PYTHONPATH", ""))
            ),
        }
        self._log = (self._outside / "log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            cwd=self._outside,
            text=True,
        )
        self.threads: int = self._answer()["threads"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((self._outside / "log").read_text())
        return json.loads(line)

    def run(
        self,
        words: list[str],
        fault: Fault = NOTHING,
        at: int = -1,
        *,
        journal: Path | None = None,
        quiet: bool = False,
    ) -> Ran:
        """Run a command line, and let something happen to one of its operations.

        Args:
            words: The command line.
            fault: What happens.
            at: To which operation; to none if below 0.
            journal: Where operations are noted.
            quiet: Whether no scores are printed, which takes a third of the time.
        """
        said, errors = self._outside / "said", self._outside / "errors"
        asked = {
            "words": words,
            "root": str(self.root),
            "fault": astuple(fault),
            "at": at,
            "journal": str(journal or ""),
            "said": str(said),
            "errors": str(errors),
            "learnt": str(self._outside / "learnt"),
            "quiet": quiet,
            "seconds": _PATIENCE,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        texts = {
            "said": said.read_text(errors="replace"),
            "errors": errors.read_text(errors="replace"),
        }
        return Ran(**texts, **answer)

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate()
        self._log.close()
