"""``hormesis`` and ``python -m hormesis``: signals are caught before anything long is imported."""

import os
import sys

try:
    from hormesis.cli.exits import run_and_report
except KeyboardInterrupt:
    os.write(2, b"hormesis: interrupted; run the same command again to go on.\n")
    os._exit(130)


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    return run_and_report(_run, own_process=True)


def _run() -> int:
    from hormesis.cli.app import run  # what reads the command line takes a while to import

    return run(None)


if __name__ == "__main__":
    sys.exit(main())
