"""Studies changed by a forger: one value, or some bytes, of one file, under checksums that fit."""

import copy
import json
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import safetensors.numpy

from hormesis.storage.shards import check

KINDS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 70, 10**6, 2**31, 2**53, 2**63, -(2**63) - 1, 10**400),
    *(0.5, -0.5, 1.5, -0.0, 1e-300, 1e29, 1e300, -1e308, float("nan"), float("inf")),
    *("", "x", "0", "nan", "auto", "certain", "global", "channel", "magnitude", "random", "$x_{"),
    *("../../x", "a:b", "x" * 10_000, "\ud800", "\x00\x1b[2J", "\u202ex", "a\nb\tc", "é" * 300),
    *([], [0], [1, 0], [None], ["x"], [[0, 1]], [1e300, -1e300], list(range(200)), ["x"] * 500),
    *({}, {"x": 1}, {"": None}, {"samples": 2}, {"epsilon": 0.1}),
    *(json.loads("[" * 60 + "]" * 60), json.loads('{"a":' * 60 + "1" + "}" * 60)),
)
DEEP = ("[" * 5000 + "]" * 5000, '{"a":' * 900 + "1" + "}" * 900, "9" * 5000, "1e999", "-Infinity")


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value, at any depth."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else ()
    parts = enumerate(value) if isinstance(value, list) else parts
    for key, part in parts:
        yield from paths_of(part, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a place."""
    for key in path:
        value = value[key]
    return value


def replaced(valid: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Return a copy with another value at a place."""
    found = copy.deepcopy(valid)
    at(found, path[:-1])[path[-1]] = by
    return found


def spelled(value: Any) -> bytes:
    """Return JSON as Python writes it, which knows NaN and lone surrogates."""
    return json.dumps(value, indent=2).encode("utf-8", "surrogatepass")


def write_sealed(study: Path, said: dict[str, Any]) -> None:
    """Write a manifest under a checksum that fits."""
    bare = {key: value for key, value in said.items() if key != "sha256"}
    try:
        seal = sha256(spelled(bare)).hexdigest()
        (study / "manifest.json").write_bytes(spelled({**bare, "sha256": seal}) + b"\n")
    except RecursionError:
        (study / "manifest.json").write_bytes(spelled(bare))


def said_by(study: Path) -> dict[str, Any]:
    """Return what the manifest of a study says."""
    return json.loads((study / "manifest.json").read_text())


def resealed(study: Path, name: str) -> None:
    """Give the manifest the checksum of a table that was changed."""
    said = said_by(study)
    said["tables"][name] = sha256((study / name).read_bytes()).hexdigest()
    write_sealed(study, said)


def damaged(valid: bytes, chance: Random) -> bytes:
    """Return a file with some faults: bits, cuts, zeros, copies, lengths."""
    found = bytearray(valid)
    for _ in range(chance.randint(1, 3)):
        size = max(len(found), 1)
        place = chance.choice((chance.randrange(size), min(size - 1, chance.randrange(64))))
        end = place + chance.choice((1, 8, 64, size))
        how = chance.choice(("bit", "cut", "zeros", "drop", "twice", "length", "bytes"))
        if how == "bit" and found:
            found[place] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del found[place:]
        elif how == "zeros":
            found[place:end] = bytes(len(found[place:end]))
        elif how == "drop":
            del found[place:end]
        elif how == "twice":
            found[place:place] = found[place:end]
        elif how == "length":
            packed = struct.pack("<Q", chance.choice((0, 1, 2**31, 2**40, 2**62, 2**64 - 1)))
            found[place : place + 8] = packed
        else:
            found[place:end] = chance.randbytes(chance.randrange(16))
    return bytes(found)


def forge_manifest(study: Path, chance: Random) -> str:
    """Replace one value, sometimes two."""
    said, where = said_by(study), []
    for _ in range(chance.choice((1, 1, 1, 2))):
        path = chance.choice([*paths_of(said)])
        other = at(said, chance.choice([*paths_of(said)]))
        by = chance.choice((chance.choice(KINDS), other))
        if chance.random() < 0.1:
            parent = at(said, path[:-1])
            del parent[path[-1]]
        else:
            said = replaced(said, path, copy.deepcopy(by))
        where.append(f"{path} = {str(by)[:60]!r}")
    write_sealed(study, said)
    return "; ".join(where)


def forge_deep(study: Path, chance: Random) -> str:
    """Put what a parser chokes on in the place of a value."""
    said = said_by(study)
    path = chance.choice([*paths_of(said)])
    text = spelled(replaced(said, path, "@@")).decode()
    deep = chance.choice(DEEP)
    (study / "manifest.json").write_text(text.replace('"@@"', deep))
    return f"{path} = {deep[:20]}"


def forge_table(study: Path, chance: Random) -> str:
    """Change values, columns or rows of a table."""
    path = chance.choice(sorted(study.glob("*.parquet")))
    table = pd.read_parquet(path)
    name = chance.choice([*table.columns])
    how = chance.choice(("cell", "column", "type", "drop", "rows", "none", "twice", "swap"))
    by = chance.choice(KINDS)
    if how == "cell" and len(table):
        values = table[name].tolist()
        values[chance.randrange(len(values))] = by
        table[name] = pd.Series(values, dtype=object)
    elif how == "column":
        table[name] = pd.Series([by] * len(table), dtype=object)
    elif how == "type":
        kind = chance.choice(("float64", "int8", "uint64", "str", "bool", "Int64", "category"))
        table[name] = table[name].astype(kind, errors="ignore")
    elif how == "drop":
        table = table.drop(columns=name)
    elif how == "rows":
        table = table.sample(frac=chance.random(), random_state=chance.randrange(99))
    elif how == "twice":
        table = pd.concat([table, table], ignore_index=True)
    elif how == "swap":
        table[name] = table[chance.choice([*table.columns])]
    else:
        table = table.iloc[:0]
    try:
        table.to_parquet(path, index=False)
    except (pa.ArrowException, OverflowError, ValueError):  # which no table can hold
        return ""
    resealed(study, path.name)
    return f"{path.name}: {how} {name} {str(by)[:60]!r}"


def forge_shard(study: Path, chance: Random) -> str:
    """Change the claims or the arrays of a shard."""
    path = chance.choice(sorted((study / "outcomes").glob("*.safetensors")))
    content = path.read_bytes()
    said, arrays = dict(check(content)), safetensors.numpy.load(content)
    where = chance.choice(("claim", "shape", "values", "type", "drop"))
    name = chance.choice([*(said if where == "claim" else arrays)])
    if where == "claim":
        said[name] = chance.choice(("-1", "0", "1", "9" * 30, "x", "", "true", "false", "1e9", "7"))
    elif where == "shape":
        shape = [chance.choice((0, 1, 2, 9, 70, 300)) for _ in range(chance.randint(0, 3))]
        arrays[name] = np.ones(shape, arrays[name].dtype)
    elif where == "values" and arrays[name].dtype == np.uint8:
        values = np.unpackbits(arrays[name], axis=-1, count=int(said["samples"]))
        by = chance.choice((np.nan, np.inf, -1.0, 1e38, 0.5))
        for one in ("base_clean", "base_adversarial", "clean", "adversarial"):
            bits = np.unpackbits(arrays[one], axis=-1, count=int(said["samples"]))
            arrays[one] = bits.astype(np.float32)
        arrays[name] = np.full(values.shape, by, np.float32)
        said["binary"] = "false"
    elif where == "type":
        kind = chance.choice(("bool", "uint8", "float32", "float64", "int64", "float16"))
        arrays[name] = arrays[name].astype(kind)
    else:
        del arrays[name]
    path.write_bytes(sealed_shard(arrays, said))
    return f"{path.name}: {where} {name}"


def sealed_shard(arrays: dict[str, np.ndarray], said: dict[str, Any]) -> bytes:
    """Return a shard with the checksum of what it holds."""
    plain = safetensors.numpy.save(arrays)
    end = 8 + int.from_bytes(plain[:8], "little")
    header, body = json.loads(plain[8:end]), plain[end:]
    bare = json.dumps({"__metadata__": said, **header}, separators=(",", ":")).encode()
    sealed = {**said, "sha256": sha256(bare + body).hexdigest()}
    text = json.dumps({"__metadata__": sealed, **header}, separators=(",", ":"))
    return len(text).to_bytes(8, "little") + text.encode() + body


def forge_lock(study: Path, chance: Random) -> str:
    """Leave a lock that says something odd."""
    said: dict[str, Any] = {"token": "a", "host": "b", "pid": 4711, "machine": "c", "since": 1e9}
    path = chance.choice([*paths_of(said)])
    by = chance.choice(KINDS)
    (study / ".lock").write_bytes(spelled(replaced(said, path, by)))
    return f".lock: {path} = {str(by)[:60]!r}"


def forge_bytes(study: Path, chance: Random) -> str:
    """Damage the bytes of any file; half of the tables get a checksum that fits."""
    path = chance.choice(sorted(one for one in study.rglob("*") if one.is_file()))
    path.write_bytes(damaged(path.read_bytes(), chance))
    if path.suffix == ".parquet" and chance.random() < 0.5:
        resealed(study, path.name)
    return f"{path.name}: bytes"


FORGERS: tuple[Callable[[Path, Random], str], ...] = (
    *(forge_manifest, forge_manifest, forge_manifest, forge_table, forge_table),
    *(forge_shard, forge_bytes, forge_bytes, forge_lock, forge_deep),
)


def forge(study: Path, chance: Random) -> str:
    """Change a study in one of all ways, and say in which."""
    return chance.choice(FORGERS)(study, chance)
