"""The documentation: its examples run, its API is all there is, and its links lead somewhere."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

import hormesis
from hormesis.errors import RECIPES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
NOT_RUN = "<!-- not run"
WITH_TESTS = "extending.md"  # it registers objects and tests them, in a process of its own
_BLOCK = re.compile(r"(^<!-- not run.*?-->\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[tuple[bool, str]]:
    """Return the Python blocks of a page, and whether they are to be run."""
    text = page.read_text(encoding="utf-8")
    return [(not mark, block) for mark, block in _BLOCK.findall(text)]


def run(blocks: list[str], name: str) -> None:
    names: dict[str, object] = {"__name__": "example"}
    with torch.random.fork_rng():
        for block in blocks:
            exec(compile(block, name, "exec"), names)


def test_examples_of_extensions_pass_the_suites(tmp_path):
    blocks = [block for runs, block in examples(ROOT / "docs" / WITH_TESTS) if runs]
    (tmp_path / "test_extending.py").write_text("\n".join(blocks), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 40


WITHOUT_TESTS = [page for page in PAGES if examples(page) and page.name != WITH_TESTS]


@pytest.mark.parametrize("page", WITHOUT_TESTS, ids=lambda p: p.name)
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(mpl.rcParams)
    run([block for runs, block in examples(page) if runs], page.name)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda p: p.name)
def test_examples_use_what_there_is(page):
    for _, block in examples(page):
        compile(block, page.name, "exec")
        for name in re.findall(r"\bhm\.(\w+)", block):
            assert name in hormesis.__all__, name


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)  # results belong to who runs it
    run(["".join(cell["source"]) for cell in cells], "notebook.ipynb")


def test_the_api_page_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: hormesis\.(\w+)$", text, re.MULTILINE)
    assert sorted(shown) == sorted(hormesis.__all__)


def test_the_navigation_leads_to_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^ +- [^:]+: (\w[\w-]*\.md)$", text, re.MULTILINE))
    assert listed == {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_refusals_name_recipes_that_there_are():
    text = (ROOT / RECIPES).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w]+", "-", heading.lower()).strip("-") for heading in headings}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"recipe\(\s*['\"]([\w-]+)", text)}
    assert len(named) > 6
    assert named <= anchors


def test_the_method_links_to_functions_that_the_api_page_shows():
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    method = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    for anchor in re.findall(r"api\.md#([\w.]+)", method):
        home, _, name = anchor.rpartition(".")
        listed = rf"^::: {re.escape(home)}\n    options:\n.*\b{name}\b"
        assert f"::: {anchor}\n" in api or re.search(listed, api, re.MULTILINE), anchor


@pytest.mark.parametrize("name", sorted(hormesis.__all__))
def test_every_public_name_is_told_with_an_example(name):
    said = getattr(hormesis, name).__doc__ or ""
    assert said.strip(), name
    assert doctest.DocTestParser().get_examples(said), name
