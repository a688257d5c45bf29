"""``python -m hormesis``, which is the same as ``hormesis``."""

import sys

from hormesis.cli import main

if __name__ == "__main__":
    sys.exit(main())
