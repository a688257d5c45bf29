"""Objects that users name as ``package.module:attribute``; their errors are quoted."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hormesis.errors import HormesisError, SettingError, did_you_mean

HUGGING_FACE = "hf:"  # before a folder of a language model, or its name in the local cache
_SPEC = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*)")


def is_factory(spec: str) -> bool:
    """Return whether ``spec`` has the form ``package.module:attribute``.

    Example:
        >>> is_factory("mypackage.nets:build"), is_factory("resnet18")
        (True, False)
    """
    return _SPEC.fullmatch(spec) is not None


def is_code(setting: str, name: str) -> bool:
    """Return whether the value of ``setting`` names the user's own code.

    Example:
        >>> is_code("model", "my.nets:build"), is_code("model", "timm:vit_tiny_patch16_224")
        (True, False)
    """
    if setting == "model" and name.startswith(("timm:", HUGGING_FACE)):
        return False
    if setting in ("data", "stressed") and Path(name).expanduser().is_dir():
        return False
    return is_factory(name)


def load_factory(spec: str, noun: str) -> Any:  # noqa: ANN401  (whatever the user wrote there)
    """Return the attribute that ``spec`` names, imported with the current directory on the path.

    Args:
        spec: ``package.module:attribute``.
        noun: What it is called in messages, for example ``"model"``.

    Raises:
        SettingError: If the form is another one, the module or the attribute does not exist, or the
            module's own code fails; the message quotes its error.

    Example:
        >>> load_factory("math:sqrt", "function")(9)
        3.0
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise SettingError(f"Expected a {noun} as `package.module:attribute`, got {spec!r}.")
    module = _load_module(match["module"], spec, noun)
    attribute = match["attribute"]
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        hint = did_you_mean(attribute, names)
        raise SettingError(
            f"The module {match['module']!r} has no {attribute!r}, named by the {noun} {spec!r}."
            f"{hint}"
        )
    return getattr(module, attribute)


def call_factory(spec: str, noun: str) -> Any:  # noqa: ANN401  (whatever the user returns)
    """Return the object that ``spec`` names, or its result if it can be called without arguments.

    Args:
        spec: ``package.module:attribute``.
        noun: What it is called in messages, for example ``"data set"``.

    Raises:
        SettingError: As ``load_factory`` does, and if the call fails; the message quotes its error.

    Example:
        >>> call_factory("platform:python_implementation", "name") in ("CPython", "PyPy")
        True
    """
    value = load_factory(spec, noun)
    if not callable(value):
        return value
    with users_code(spec, noun):
        return value()


@contextmanager
def users_code(spec: str, noun: str) -> Iterator[None]:
    """Run a block of a user's code with its folder on the path, and quote its errors.

    The current directory comes first on ``sys.path`` within the block, as ``python -m`` has it.

    Args:
        spec: ``package.module:attribute``, for messages.
        noun: What it is called in messages, for example ``"model"``.

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
        raise SettingError(f"The {noun} {spec!r} failed: {_quote(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _load_module(name: str, spec: str, noun: str) -> ModuleType:
    """Import a module; a missing module and a failing one have different errors."""
    with users_code(spec, noun):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module exists, but imports one that does not
            raise SettingError(
                f"There is no module {error.name!r}, named by the {noun} {spec!r}, in the current "
                f"directory or among the installed packages."
            ) from error


def _quote(error: BaseException) -> str:
    """Return an exception with the line that raised it: ``ValueError: no (nets.py, line 3)``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    text = " ".join(str(error).split())
    name = type(error).__name__
    if trace is None or isinstance(error, SyntaxError):  # a SyntaxError names its own line
        return f"{name}: {text}"
    location = f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
    return f"{name}: {text} ({location})"
