"""The architecture, read from the source: one direction, small files, and no torch after the study.

``ORDER`` is the way of the data. A module may import from the rooms before it and from its own,
never from those behind it, at whatever time and for whatever purpose. There are no exceptions.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

import pytest

import hormesis

ORDER = [
    "errors",
    "settings",  # what can be asked
    "data",  # labelled samples
    "models",  # networks
    "stress",  # targets, filters, attacks, metrics
    "language",  # texts, tokens and their embeddings
    "rl",  # environments and policies
    "engine",  # cells, measured
    "storage",  # the folder on disk
    "analysis",  # responses, scores, intervals, classes
    "results",  # folders, read back
    "training",
    "measure",  # a request becomes a finished study
    "testing",  # suites for filters, attacks and metrics of others
    "report",  # views, then pages, plots and text
    "cli",
    "__main__",
]
# Where no network can run; and what the command line needs to say hello.
FREE_OF_TORCH = [
    "errors",
    "settings",
    "storage",
    "analysis",
    "results",
    "report",
    "cli.app",
    "cli.command_table",
    "cli.config_security",
    "cli.exits",
    "cli.flags",
    "cli.messages",
    "cli.options",
    "cli.os_errors",
    "cli.parser",
    "cli.signals",
    "cli.values",
    *(
        f"cli.commands.{name}"
        for name in ("show", "export", "compare", "plot", "report", "status", "verify", "watch")
    ),
    "__main__",
    "stress.filters",
    "stress.aggregates",
    "stress.guessing",
    "engine.progress",
    "training.config",
    "training.controls_config",
    "training.arms",
    "training.selection",
    "training.trainable_masks",
    "training.retraining_plan",
]
HEAVY = {
    *("torch", "torchvision", "foolbox", "lightning", "pytorch_lightning", "timm", "sklearn"),
    *("transformers", "tokenizers", "lm_eval"),
    *("gymnasium", "stable_baselines3", "mujoco"),
}
MOST_ROOMS = 16
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_MEDIAN_FILE = 150
# Interfaces: every command module, and every engine, is used through a function of the same name.
INTERFACES = {"main", "measure", "parser", "run"}
VAGUE = {"common", "core", "helpers", "misc", "utils"}
MOST_LINES_OF_A_FUNCTION = 60

SOURCE = Path(hormesis.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the name of a module below the package; empty for the package itself."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(node: ast.AST, *, within_functions: bool) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported; on request all that a reader sees in it."""
    for child in ast.iter_child_nodes(node):
        for_checkers = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if for_checkers and not within_functions:
            continue
        yield child
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if within_functions or not function:
            yield from statements(child, within_functions=within_functions)


@cache
def imported(module: str, *, within_functions: bool) -> set[str]:
    """Return full names of what a module imports."""
    names = set()
    for node in statements(parsed(MODULES[module]), within_functions=within_functions):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            home = node.module or ""
            for alias in node.names:
                within = f"{home}.{alias.name}"
                is_module = within.removeprefix("hormesis.") in MODULES
                names.add(within if is_module else home)
    return names


def own(names: set[str]) -> set[str]:
    return {name.removeprefix("hormesis.") for name in names if name.startswith("hormesis.")}


def imports(module: str) -> set[str]:
    """Return our modules that one imports, at whatever time."""
    return own(imported(module, within_functions=True))


def step(module: str) -> int:
    return ORDER.index(module.partition(".")[0])


def loaded_with(module: str) -> set[str]:
    """Return our modules that run when one is imported, itself and its packages included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name:
            waiting.append(name.rpartition(".")[0])
        waiting.extend(own(imported(name, within_functions=False)))
    return found


def free_of_torch() -> list[str]:
    return [
        name
        for name in MODULES
        if any(name == free or name.startswith(f"{free}.") for free in ["", *FREE_OF_TORCH])
    ]


def test_the_rooms_are_those_of_the_order():
    rooms = {module.partition(".")[0] for module in MODULES if module}
    assert rooms == set(ORDER)
    assert len(ORDER) == len(set(ORDER)) <= MOST_ROOMS + 1  # __main__ is the door
    assert not {part for module in MODULES for part in module.split(".")} & VAGUE


def test_no_module_imports_one_of_a_room_behind_its_own():
    upwards = [
        f"{module} imports {name}"
        for module in MODULES
        if module
        for name in imports(module)
        if step(name) > step(module)
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle():
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path, module))
        if module not in finished:
            for name in imports(module):
                visit(name, (*path, module))
            finished.add(module)

    for module in MODULES:
        visit(module, ())
    assert finished >= set(MODULES)


def test_torch_stays_out_of_what_reads_and_reports():
    heavy = [
        f"{module} imports {part} through {name}"
        for module in free_of_torch()
        for name in loaded_with(module)
        for part in imported(name, within_functions=False)
        if part.partition(".")[0] in HEAVY
    ]
    assert heavy == []


def test_torch_stays_out_of_the_process_too():
    names = [f"hormesis.{name}".rstrip(".") for name in free_of_torch() if name != "__main__"]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_files_stay_small():
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FILE} == {}
    assert median(lines.values()) <= MOST_LINES_OF_A_MEDIAN_FILE


def test_functions_fit_on_a_screen():
    long = {}
    for module, path in MODULES.items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
                described = ast.get_docstring(node) is not None
                first, last = node.body[0], node.body[-1]
                docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
                lines = (last.end_lineno or 0) - node.lineno + 1 - docstring
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long[f"{module}.{node.name}"] = lines
    assert long == {}


def test_annotations_stay_values():
    # As text, the suite could not check them.
    assert [name for name in MODULES if "__future__" in imported(name, within_functions=True)] == []


def test_public_names_are_where_the_package_says():
    assert set(hormesis._HOMES) == set(hormesis.__all__) == set(dir(hormesis))
    for name in hormesis.__all__:
        assert getattr(hormesis, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="module 'hormesis' has no attribute 'analise'"):
        hormesis.analise  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_no_module_has_the_name_of_a_public_one():
    # Importing hormesis.analyze, were it a module, would put it in the place of the function.
    taken = {name.partition(".")[0] for name in MODULES} & set(hormesis.__all__)
    # A package that is public itself is the same thing, whoever imports it.
    assert {name for name in taken if hormesis._HOMES[name] != f"{name}:*"} == set()


def test_no_two_public_things_share_a_name():
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in parsed(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                homes.setdefault(node.name, []).append(module)
    twice = {name: modules for name, modules in homes.items() if len(modules) > 1}
    assert {name: twice[name] for name in twice.keys() - INTERFACES} == {}
