"""Objects that users name as ``package.module:attribute``, their errors quoted."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hormesis.errors import HormesisError, SettingError, did_you_mean

_SPEC = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*)")


def is_factory(spec: str) -> bool:
    """Return whether ``spec`` has the form ``package.module:attribute``.

    Example:
        >>> is_factory("mypackage.nets:build"), is_factory("resnet18")
        (True, False)
    """
    return _SPEC.fullmatch(spec) is not None


def is_code(setting: str, name: str) -> bool:
    """Return whether a name that is given for ``setting`` stands for code of the user's.

    Example:
        >>> is_code("model", "my.nets:build"), is_code("model", "timm:vit_tiny_patch16_224")
        (True, False)
    """
    if setting == "model" and name.startswith("timm:"):
        return False
    return is_factory(name) and not (setting == "data" and Path(name).expanduser().is_dir())


def load_factory(spec: str, what: str) -> Any:  # noqa: ANN401  (whatever the user wrote there)
    """Return the attribute that ``spec`` names, imported with the current directory on the path.

    Args:
        spec: ``package.module:attribute``.
        what: What it stands for in messages, for example ``"model"``.

    Raises:
        SettingError: If the form is another one, the module or the attribute does not exist, or the
            module's own code fails; the message quotes its error.

    Example:
        >>> load_factory("math:sqrt", "function")(9)
        3.0
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise SettingError(f"Expected a {what} as `package.module:attribute`, got {spec!r}.")
    module = _load_module(match["module"], spec, what)
    attribute = match["attribute"]
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        hint = did_you_mean(attribute, names)
        raise SettingError(
            f"The module {match['module']!r} has no {attribute!r}, named by the {what} {spec!r}."
            f"{hint}"
        )
    return getattr(module, attribute)


def call_factory(spec: str, what: str) -> Any:  # noqa: ANN401  (whatever the user returns)
    """Return what ``spec`` names, called without arguments if it can be called.

    Args:
        spec: ``package.module:attribute``.
        what: What it stands for in messages, for example ``"data set"``.

    Raises:
        SettingError: As ``load_factory`` does, and if the call fails; the message quotes its error.

    Example:
        >>> call_factory("platform:python_implementation", "name") in ("CPython", "PyPy")
        True
    """
    found = load_factory(spec, what)
    if not callable(found):
        return found
    with users_code(spec, what):
        return found()


@contextmanager
def users_code(spec: str, what: str) -> Iterator[None]:
    """Run a block of a user's code: its folder on the path, its errors quoted.

    The current directory comes first on ``sys.path`` within the block, as ``python -m`` has it.

    Args:
        spec: ``package.module:attribute``, for messages.
        what: What it stands for in messages, for example ``"model"``.

    Raises:
        SettingError: For any exception in the block; it names the file and line, and the exception
            stays as its cause. Errors of this package pass unchanged.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    except HormesisError:
        raise
    except (Exception, SystemExit) as error:  # anything may come out of code that is not ours
        raise SettingError(f"The {what} {spec!r} failed: {_quote(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _load_module(name: str, spec: str, what: str) -> ModuleType:
    """Import a module, telling one that does not exist from one that fails."""
    with users_code(spec, what):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, but imports another that is not
            raise SettingError(
                f"There is no module {error.name!r}, named by the {what} {spec!r}, in the current "
                f"directory or among the installed packages."
            ) from error


def _quote(error: BaseException) -> str:
    """Return an exception with the place that raised it: ``ValueError: no (nets.py, line 3)``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    text = " ".join(str(error).split())
    name = type(error).__name__
    if trace is None or isinstance(error, SyntaxError):  # a SyntaxError names its own place
        return f"{name}: {text}"
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
    return f"{name}: {text} ({place})"
