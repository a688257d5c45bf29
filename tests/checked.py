"""Jaxtyping at less cost: the same checks of annotations and shapes, and imports that are cached.

Jaxtyping checks the arguments of each call twice, and in between binds them to their names, which
it needs for the shapes of arrays alone. Where a function has no array among its annotations, it is
left to beartype by itself.
"""

import os
from collections.abc import Callable
from importlib.util import cache_from_source
from types import FunctionType
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, _import_hook

_PLAIN = BeartypeConf(violation_type=TypeCheckError)
_usual = jaxtyping.jaxtyped
_apart = _import_hook._optimized_cache_from_source


def at_less_cost() -> None:
    """Let what is imported from now on be checked so."""
    jaxtyping.jaxtyped = _jaxtyped
    _import_hook._optimized_cache_from_source = _compiled


def _jaxtyped(checked: Any = None, *, typechecker: Any) -> Any:
    if checked is None:
        return lambda one: _jaxtyped(one, typechecker=typechecker)
    if isinstance(checked, FunctionType) and not _has_arrays(checked):
        return beartype(conf=_PLAIN)(checked)
    return _usual(checked, typechecker=typechecker)


def _has_arrays(function: Callable[..., Any]) -> bool:
    return any(_is_array(hint) for hint in function.__annotations__.values())


def _is_array(hint: Any) -> bool:
    if isinstance(hint, str) or (isinstance(hint, type) and issubclass(hint, AbstractArray)):
        return True  # what is spelled out only later may be one
    parts = hint if isinstance(hint, list | tuple) else get_args(hint)
    return any(_is_array(part) for part in parts)


def _compiled(typechecker: str, path: str, debug_override: bool | None = None) -> str:
    """Return where the compiled form of a file lies: apart for ours, which is checked.

    Jaxtyping looks there for all that our modules import, too, so that torch and scipy would be
    compiled anew in every run: half of the time of a collection.
    """
    if f"{os.sep}hormesis{os.sep}" in path:
        return _apart(typechecker, path, debug_override)
    return cache_from_source(path, debug_override)
