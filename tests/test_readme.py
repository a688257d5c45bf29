"""The README's examples, as a reader would run them."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from hormesis.cli.app import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        names: dict[str, object] = {}
        exec(compile(example, "README.md", "exec"), names)
    assert (tmp_path / "studies" / "mine" / "manifest.json").is_file()


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith("hormesis ") and "--config" not in line]


@pytest.mark.parametrize("command", commands())
def test_command_is_understood(command: str) -> None:
    assert parse(shlex.split(command)[1:]).command in (
        "analyze",
        "train",
        "retrain",
        "apply",
        "show",
        "export",
        "compare",
        "plot",
        "report",
        "status",
    )


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = set(re.findall(r"^make (\w+)", "\n".join(blocks("")), flags=re.MULTILINE))
    assert asked == {"demo", "test"}
    assert all(f"\n{target}:" in makefile for target in asked)


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
