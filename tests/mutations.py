"""Files that are nearly right: what finds more faults of a parser than files of random bytes."""

import copy
import json
import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW = 15
MANY = int(os.environ.get("HORMESIS_EXAMPLES", "10000"))
# How many examples a fuzzing test tries: few by default, many in the slow suite.
counts = pytest.mark.parametrize(
    "examples", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
_LENGTHS = (0, 1, 7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((-1, 0, 1, 2, 3, 7, 10**12, -(10**12), 2**63, -(2**63) - 1, 10**400)),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ("", "true", "-1", "1e999", "nan", "../../x", "a:b", "\x00", "\x1b[2J", "\ud800")
    ),
)
VALUES = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def fuzz(strategy: st.SearchStrategy[Any], examples: int, check: Callable[[Any], None]) -> None:
    """Call ``check`` with so many examples."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def run(value: Any) -> None:
        check(value)

    run()


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Return a file with up to four faults: bits, cuts, copies, lengths, foreign bytes."""
    found = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        size = len(found)
        place = draw(st.integers(0, max(size - 1, 0)))
        # Headers lie at either end of a file.
        place = draw(st.sampled_from((place, min(place, 64), max(0, size - 1 - place % 64))))
        end = min(size, place + draw(st.sampled_from((1, 2, 8, 64, size))))
        how = draw(st.sampled_from(("bit", "cut", "drop", "twice", "length", "bytes")))
        if how == "bit" and size:
            found[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del found[place:]
        elif how == "drop":
            del found[place:end]
        elif how == "twice":
            found[place:place] = found[place:end]
        elif how == "length":
            order = draw(st.sampled_from("<>"))
            width, most = draw(st.sampled_from((("H", 2**16), ("I", 2**32), ("Q", 2**64))))
            packed = struct.pack(order + width, draw(st.sampled_from(_LENGTHS)) % most)
            found[place : place + len(packed)] = packed
        elif how == "bytes":
            found[place:end] = draw(st.binary(max_size=16))
    return bytes(found)


@st.composite
def changed(draw: st.DrawFn, valid: Any) -> Any:
    """Return plain values with up to three of them replaced, left out, swapped or renamed."""
    found = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(_paths(found, ()))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        parent, key = _at(found, path[:-1]), path[-1]
        how = draw(st.sampled_from(("replace", "replace", "leave out", "swap", "add")))
        if how == "replace":
            parent[key] = draw(VALUES)
        elif how == "leave out":
            del parent[key]
        elif how == "swap":
            other = draw(st.sampled_from(paths))
            parent[key] = copy.deepcopy(_at(found, other))
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=6))] = draw(VALUES)
    return found


def texts_of(valid: Any) -> st.SearchStrategy[bytes]:
    """Return JSON files near a valid one: other values, and damaged bytes."""
    whole = json.dumps(valid, indent=1).encode()
    return st.one_of(
        changed(valid).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        damaged(whole),
    )


def _paths(value: Any, path: tuple[Any, ...]) -> Any:
    if path:
        yield path
    if isinstance(value, dict):
        for key in list(value):
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for place in range(len(value)):
            yield from _paths(value[place], (*path, place))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
