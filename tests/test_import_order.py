"""The architecture, read from the source: one direction, small files, and no torch after the study.

``ORDER`` is the way of the data. A module may import from those before it and from its own folder,
never from those behind it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hormesis

ORDER = [
    "printable",  # these four: what is in force before anything else is imported
    "troubles",
    "signals",
    "exits",
    "errors",
    "settings",
    "confirmation",  # what can be asked of it
    "inputs",  # network, data
    "stress",  # targets, filters, attack
    "engine",  # cells, measured
    "storage",  # the folder on disk
    "analysis",  # responses, scores, classes
    "estimate",  # of a study that is not finished
    "study_files",  # manifest and tables, read
    "study",
    "studies",  # of several epochs
    "retraining",  # the folder of a retraining
    "comparable",  # whether studies may be compared
    "comparison",
    "report",
    "manifest",
    "reusing",  # what another study has measured
    "measuring",  # an engine, and how much it measures at a time
    "remote",  # what the processes of a cluster do
    "joining",  # the head of a cluster, asked before it is joined
    "cluster",
    "growing",  # the missing shards, measured
    "request",  # what was asked, and laid out from it
    "remeasuring",  # some samples of a study, in another way
    "cross_check",  # noise and perturbed inputs of other networks
    "confirm",  # claims put to the test
    "pipeline",  # the main path, from Python
    "training",
    "named",  # the main path, by names
    "epochs",  # the main path, for every checkpoint of a training
    "trusted",  # what a configuration may say
    "confirm_options",
    "epoch_options",
    "live_options",
    "run_options",
    "options",
    "nameable",
    "given",
    "refusals",
    "commands",
    "cli",
    "__main__",
]
# A study shows itself: what draws it stands behind it, and is imported when it is asked for.
BACKWARDS = {
    "study": {"report.shown", "report.notebook"},
    "studies": {"report.shown", "report.notebook"},
}
# What must be there where no network can run; and what the command line needs to say hello.
FREE_OF_TORCH = [
    "printable",
    "troubles",
    "signals",
    "exits",
    "errors",
    "settings",
    "confirmation",
    "storage",
    "analysis",
    "estimate",
    "study_files",
    "study",
    "studies",
    "retraining",
    "comparable",
    "comparison",
    "report",
    "trusted",
    "confirm_options",
    "epoch_options",
    "live_options",
    "run_options",
    "options",
    "given",
    "refusals",
    "commands",
    "cli",
    "__main__",
    "stress.adversaries",
    "training.recipe",
    "training.runs",
    "training.arms",
    "training.selection",
    "training.shares",
    "training.case",
]
HEAVY = {"torch", "torchvision", "foolbox", "lightning", "pytorch_lightning", "timm", "sklearn"}
MOST_LINES_OF_A_FILE = 400
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


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, *, within_functions: bool) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported, and on request what its functions hold."""
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            continue
        yield child
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if within_functions or not function:
            yield from statements(child, within_functions=within_functions)


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


def forwards(module: str) -> set[str]:
    """Return our modules that one imports, at whatever time, without the exceptions."""
    names = own(imported(module, within_functions=True))
    allowed = BACKWARDS.get(module, set())
    assert allowed <= names, f"{module} does not need all of {allowed}"
    assert not allowed & own(imported(module, within_functions=False))
    return names - allowed


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


def test_every_module_has_its_place_in_the_order():
    places = {module.partition(".")[0] for module in MODULES if module}
    assert places == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_no_module_imports_one_that_stands_behind_it(module):
    for name in forwards(module):
        if name.partition(".")[0] != module.partition(".")[0]:
            assert step(name) < step(module), f"{module} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path, module))
        if module not in finished:
            for name in forwards(module):
                visit(name, (*path, module))
            finished.add(module)

    for module in MODULES:
        visit(module, ())
    assert finished >= set(MODULES)


@pytest.mark.parametrize("module", free_of_torch())
def test_torch_stays_out_of_what_reads_and_reports(module):
    for name in loaded_with(module):
        heavy = {part.partition(".")[0] for part in imported(name, within_functions=False)} & HEAVY
        assert not heavy, f"{module} imports {heavy} through {name}"


def test_torch_stays_out_of_the_process_too():
    names = [f"hormesis.{name}".rstrip(".") for name in free_of_torch() if name != "__main__"]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_small(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("module", MODULES)
def test_functions_fit_on_a_screen(module):
    for node in ast.walk(parsed(MODULES[module])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            described = ast.get_docstring(node) is not None
            first, last = node.body[0], node.body[-1]
            docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
            lines = (last.end_lineno or 0) - node.lineno + 1 - docstring
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("module", MODULES)
def test_annotations_stay_values(module):
    # As text, the suite could not check them.
    for node in ast.walk(parsed(MODULES[module])):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__"


def test_public_names_are_where_the_package_says():
    assert set(hormesis._HOMES) == set(hormesis.__all__) == set(dir(hormesis))
    for name in hormesis.__all__:
        assert getattr(hormesis, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'hormesis' has no attribute 'analise'"):
        hormesis.analise  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_no_module_has_the_name_of_a_public_one():
    # Importing hormesis.analyze, were it a module, would put it in the place of the function.
    assert not {name.partition(".")[0] for name in MODULES} & set(hormesis.__all__)
