"""The files of a release hold what they should, and what they hold can be imported.

``make build`` runs it on what ``python -m build`` has made: the wheel was built from the sdist.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

TEMPLATES = "hormesis/report/html/templates/"
BESIDE = (
    *("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md"),
    *("CONTRIBUTING.md", "SECURITY.md", "Makefile", "mkdocs.yml", "pyproject.toml"),
    *("docs/index.md", "docs/site.py", "tests/conftest.py", "tests/packaged.py"),
    *("examples/notebook.ipynb", "benchmarks/RESULTS.md", "src/hormesis/py.typed"),
)
LARGEST = 8 * 2**20  # bytes of a file


def one(folder: Path, pattern: str) -> Path:
    """Return the only file of a kind."""
    (found,) = folder.glob(pattern)
    assert found.stat().st_size < LARGEST, found
    return found


def check_wheel(wheel: Path, source: Path) -> None:
    """Check that a wheel holds the package, all of it, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
        (about,) = (name for name in held if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(archive.read(about))
    information = about.removesuffix("METADATA")
    package = {
        f"hormesis/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in held if not name.startswith(information)}
    assert inside == package, inside ^ package
    assert "hormesis/py.typed" in inside
    for kind in (".js", ".css", ".html"):
        assert any(name.startswith(TEMPLATES) and name.endswith(kind) for name in inside), kind
    assert f"{information}licenses/LICENSE" in held
    assert f"{information}entry_points.txt" in held
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Description-Content-Type"] == "text/markdown"


def check_sdist(sdist: Path) -> None:
    """Check that an sdist holds what the project is built, tested and documented from."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in BESIDE if name not in held]
    assert not missing, missing
    hidden = {name for name in held if name.startswith((".", "build/", "dist/", "studies/"))}
    assert hidden <= {".gitignore"}, hidden


def check_import(wheel: Path) -> None:
    """Check that the package runs from the wheel alone, without what it is built from."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        code = "import hormesis; print(hormesis.__file__, len(dir(hormesis)))"
        said = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={"PYTHONPATH": folder},
            check=True,
            capture_output=True,
            text=True,
        )
    assert said.stdout.startswith(str(Path(folder) / "hormesis")), said.stdout


def main(folder: Path) -> None:
    """Check the wheel and the sdist in a folder."""
    wheel, sdist = one(folder, "*.whl"), one(folder, "*.tar.gz")
    check_wheel(wheel, Path(__file__).parents[1] / "src" / "hormesis")
    check_sdist(sdist)
    check_import(wheel)
    sys.stdout.write(f"{wheel.name} and {sdist.name} hold what they should.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
