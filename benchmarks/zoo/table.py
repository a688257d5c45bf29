"""The table of docs/networks.md, read without the libraries that the networks come from."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"
_ROW = re.compile(r"^\| `(?P<name>[^|]+)` \| (?P<library>\w+) \|.*\|$", re.MULTILINE)


def rows_of(page: Path) -> dict[tuple[str, str], str]:
    """Return the rows of the table by name and library; none if there is no page yet."""
    text = page.read_text() if page.exists() else ""
    return {(found["name"], found["library"]): found[0] for found in _ROW.finditer(text)}
