"""What a public project keeps in order beside its code: workflows, templates, what they name."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [ROOT / ".github" / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_do_little_and_name_what_there_is(path: Path) -> None:
    flow = read(path)
    assert flow["permissions"] in ({}, {"contents": "read"})
    assert "concurrency" in flow
    assert all("timeout-minutes" in job for job in flow["jobs"].values())
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert [name for name in used if not re.search(r"@(v\d+|release/v\d+)$", name)] == []
    said = "\n".join(step.get("run", "") for step in steps(path))
    for name in re.findall(r"\btests/[\w/]+(?:\.py)?", said):
        assert (ROOT / name).exists(), name
    targets = {*re.findall(r"\bmake (\w+)", said)}
    for job in flow["jobs"].values():
        targets |= {*job.get("strategy", {}).get("matrix", {}).get("target", [])}
    assert [name for name in targets if f"\n{name}:" not in MAKEFILE] == []


def test_every_python_that_is_promised_is_tried_on_both_systems() -> None:
    listed = [
        each.rpartition(" :: ")[2]
        for each in PROJECT["classifiers"]
        if re.search(r"Python :: 3\.\d+$", each)
    ]
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    for system in ("linux", "macos"):
        assert jobs[system]["strategy"]["matrix"]["python"] == listed
    (oldest,) = jobs["linux"]["strategy"]["matrix"]["include"]
    assert oldest["resolution"] == "lowest-direct"
    assert PROJECT["requires-python"] == f">={oldest['python']}" == f">={listed[0]}"


def test_every_dependency_has_a_lower_bound() -> None:
    extras = PROJECT["optional-dependencies"].values()
    named = [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]
    assert [each for each in named if ">=" not in each and not each.startswith("hormesis[")] == []


def test_only_the_job_that_publishes_may_say_who_it_is() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == {"name": "pypi"}
    assert not any("run" in step for step in jobs["publish"]["steps"])
    assert jobs["build"]["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_ask_each_thing_once(path: Path) -> None:
    form = read(path)
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert form["name"]
    assert form["description"]
    assert len({part["id"] for part in asked}) == len(asked)
    assert len({part["attributes"]["label"] for part in asked}) == len(asked)
    assert any(part.get("validations", {}).get("required") for part in asked)


@pytest.mark.parametrize("folder", ["benchmarks", "reproduction"])
def test_scripts_import_what_there_is(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    for path in sorted((ROOT / folder).glob("*.py")):
        importlib.import_module(f"{folder}.{path.stem}")
