"""The page's scripts: as short as functions have to be, and nothing in them that nobody calls."""

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from hormesis.report.html.page import SCRIPTS

ROOT = Path(__file__).parents[2]
TEMPLATES = files("hormesis.report.html") / "templates"
WHERE = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
LINTER = shutil.which("oxlint", path=WHERE)

pytestmark = pytest.mark.skipif(LINTER is None, reason="needs oxlint, of the extra `dev`")


def linted(*words: str) -> str:
    made = subprocess.run([str(LINTER), *words], capture_output=True, text=True, check=False)
    return made.stdout if made.returncode else ""


def test_functions_are_short_and_correct():
    assert linted("--config", str(ROOT / ".oxlintrc.json"), str(TEMPLATES)) == ""


def test_every_function_is_called_and_every_name_is_known(tmp_path):
    """As a page has them: together, in their order."""
    texts = [(TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    whole = tmp_path / "page.js"
    whole.write_text("(() => {\n" + "\n".join(texts) + "\n})();\n", encoding="utf-8")
    rules = {"no-unused-vars": "error", "no-undef": "error"}
    environment = {"browser": True, "es2024": True}
    asked = {"categories": {"correctness": "off"}, "env": environment, "rules": rules}
    (tmp_path / "rules.json").write_text(json.dumps(asked), encoding="utf-8")
    assert linted("--config", str(tmp_path / "rules.json"), str(whole)) == ""
