"""What a disk may hold after a power cut, by the journal of everything that was done to files.

A model of the disk replays the journal. Of every file and every folder it knows two states: as
programs see it, and as it was when it was last synced. POSIX promises nothing about what was not
synced, so that a cut may leave either, or something in between:

    nothing  what was not synced is lost: content, and names
    names    names are there, the content behind them is not: a rename that came before its data
    half     names are there, and the first half of what was not synced
    zeros    names are there, and files have their lengths, but are zeros where they were not synced
    content  content is there, names that were not synced are not: a rename that came too late
    mixed    of every folder the earlier of its changes, of every file any of the above, at random

One thing is taken for granted that POSIX does not say, but all journalling file systems do: a
rename happens as a whole, in both folders or in neither.
"""

import random
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

_HEAD = struct.Struct("=IIIIQqQ")
_TRUNCATES = 0o1000
_EXCHANGES = 2
POLICIES = ("nothing", "names", "half", "zeros", "content", "mixed")


@dataclass(frozen=True)
class Record:
    """One operation that changed or synced something."""

    op: str
    flags: int
    first: str
    second: str
    file: int
    offset: int
    data: bytes


def read(path: Path) -> list[Record]:
    """Return the operations that a journal holds, in their order."""
    content, place, found = path.read_bytes(), 0, []
    while place < len(content):
        op, flags, first, second, file, offset, size = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        parts = []
        for length in (first, second, size):
            parts.append(content[place : place + length])
            place += length
        one, other = (part.decode(errors="surrogateescape") for part in parts[:2])
        found.append(Record(chr(op), flags, one, other, file, offset, parts[2]))
    return found


@dataclass(eq=False)
class File:
    """Content as programs see it, and as it was synced last."""

    content: bytearray = field(default_factory=bytearray)
    safe: bytes = b""

    def after(self, how: str) -> bytes:
        """Return what a power cut leaves of it."""
        content, safe = bytes(self.content), self.safe
        if content == safe or how == "content":
            return content
        if how == "half":
            same = next(
                (at for at, (a, b) in enumerate(zip(content, safe, strict=False)) if a != b),
                min(len(content), len(safe)),
            )
            middle = same + (len(content) - same) // 2
            return content[:middle] + safe[middle:]
        if how == "zeros":
            return safe[: len(content)] + bytes(max(0, len(content) - len(safe)))
        return safe


@dataclass(eq=False)
class Link:
    """A symbolic link."""

    to: str


@dataclass(eq=False)
class Folder:
    """Names as programs see them, as they were synced last, and the changes in between."""

    names: dict[str, "Node"] = field(default_factory=dict)
    safe: dict[str, "Node"] = field(default_factory=dict)
    pending: list[tuple[int, dict[str, "Node | None"]]] = field(default_factory=list)

    def after(self, changes: int) -> dict[str, "Node"]:
        """Return the names that are there after so many of the changes."""
        names: dict[str, Node] = dict(self.safe)
        for _, change in self.pending[:changes]:
            for name, node in change.items():
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        return names

    def sync(self) -> None:
        self.safe, self.pending = dict(self.names), []


Node = File | Folder | Link
Tree = dict[str, bytes | str | None]
"""Files, links and folders (None) by their paths."""


class Disk:
    """A folder and all that is in it."""

    def __init__(self, root: Path) -> None:
        """Take the folder as it is, all of it synced."""
        self.root = _loaded(root)
        self._files: dict[int, File] = {}
        self._steps = 0

    def apply(self, record: Record) -> None:
        """Do what was done."""
        self._steps += 1
        op = record.op
        if op == "o":
            self._open(record)
        elif op in "wat":
            self._write(record)
        elif op in "sS":
            self._sync(record)
        else:
            self._set(self._renamed(record))

    def _renamed(self, record: Record) -> "dict[str, Node | None]":
        """Return the names that an operation changes, and what they stand for then."""
        if record.op == "m":
            return {record.first: Folder()}
        if record.op == "y":
            return {record.first: Link(record.data.decode())}
        if record.op in "ud":
            return {record.first: None}
        if record.op == "l":
            return {record.second: self._found(record.first)}
        assert record.op == "r", record
        moved, there = self._found(record.first), self._maybe(record.second)
        return {record.first: there if record.flags & _EXCHANGES else None, record.second: moved}

    def _open(self, record: Record) -> None:
        node = self._maybe(record.first)
        if node is None:
            node = File()
            self._set({record.first: node})
        assert isinstance(node, File), record
        if record.flags & _TRUNCATES:
            node.content.clear()
        self._files[record.file] = node

    def _write(self, record: Record) -> None:
        node = self._file(record)
        size = len(node.content)
        if record.op == "t":
            del node.content[record.offset :]
        if record.op in "ta":
            node.content.extend(bytes(max(0, record.offset - len(node.content))))
            return
        node.content.extend(bytes(max(0, record.offset - size)))
        node.content[record.offset : record.offset + len(record.data)] = record.data

    def _sync(self, record: Record) -> None:
        one = self._maybe(record.first)
        if not isinstance(one, Folder):  # whose number may be that of a file that is gone
            one = self._files.get(record.file) or self._found(record.first)
        for node in _every(self.root) if record.op == "S" else [one]:
            if isinstance(node, Folder):
                node.sync()
            elif isinstance(node, File):
                node.safe = bytes(node.content)

    def _file(self, record: Record) -> File:
        node = self._files.get(record.file) or self._found(record.first)
        assert isinstance(node, File), record
        return node

    def _set(self, changes: dict[str, Node | None]) -> None:
        """Change names, in one or two folders at once."""
        by_folder: dict[int, tuple[Folder, dict[str, Node | None]]] = {}
        for path, node in changes.items():
            if path == "/":  # outside of what is watched
                continue
            above, _, name = path.rpartition("/")
            folder = self._found(above)
            assert isinstance(folder, Folder), path
            by_folder.setdefault(id(folder), (folder, {}))[1][name] = node
        for folder, change in by_folder.values():
            folder.pending.append((self._steps, change))
            for name, node in change.items():
                if node is None:
                    del folder.names[name]
                else:
                    folder.names[name] = node

    def _maybe(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in path.split("/") if path else ():
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node

    def _found(self, path: str) -> Node:
        node = self._maybe(path)
        assert node is not None, path
        return node

    def tree(self) -> Tree:
        """Return what programs see."""
        return _tree(self.root, {}, lambda _: "content", all_names=True)

    def after_a_cut(self, policy: str, chance: random.Random) -> Tree:
        """Return what a power cut at this moment may leave."""
        if policy == "mixed":
            cuts = self._drawn_cuts(chance)
            return _tree(self.root, cuts, lambda _: chance.choice(POLICIES[:-1]))
        return _tree(
            self.root, {}, lambda _: policy, all_names=policy not in ("nothing", "content")
        )

    def _drawn_cuts(self, chance: random.Random) -> dict[int, int]:
        """Return how many changes of each folder are there, renames between two in both or none."""
        folders = {id(node): node for node in _every(self.root) if isinstance(node, Folder)}
        cuts = {key: chance.randint(0, len(one.pending)) for key, one in folders.items()}
        while True:
            lost = {step for key, one in folders.items() for step, _ in one.pending[cuts[key] :]}
            moved = False
            for key, one in folders.items():
                kept = [step for step, _ in one.pending[: cuts[key]]]
                first = next((at for at, step in enumerate(kept) if step in lost), None)
                if first is not None:
                    cuts[key], moved = first, True
            if not moved:
                return cuts


def _every(root: Folder) -> Iterator[Node]:
    """Yield all that is, was or may be in a folder, each once."""
    seen = set[int]()
    left: list[Node] = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, Folder):
            pending = [one for _, change in node.pending for one in change.values() if one]
            left.extend([*node.names.values(), *node.safe.values(), *pending])


def _tree(
    root: Folder, cuts: dict[int, int], how: Callable[[File], str], *, all_names: bool = False
) -> Tree:
    found: Tree = {}

    def walk(folder: Folder, path: str) -> None:
        changes = cuts.get(id(folder), len(folder.pending) if all_names else 0)
        for name, node in sorted(folder.after(changes).items()):
            if isinstance(node, Folder):
                found[path + name] = None
                walk(node, f"{path}{name}/")
            else:
                found[path + name] = node.to if isinstance(node, Link) else node.after(how(node))

    walk(root, "")
    return found


def _loaded(path: Path) -> Folder:
    names: dict[str, Node] = {}
    for one in path.iterdir():
        if one.is_symlink():
            names[one.name] = Link(str(one.readlink()))
        elif one.is_dir():
            names[one.name] = _loaded(one)
        else:
            content = one.read_bytes()
            names[one.name] = File(bytearray(content), content)
    return Folder(names, dict(names))


def tree_of(root: Path) -> Tree:
    """Return what a folder holds."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def write(tree: Tree, root: Path) -> None:
    """Make a folder hold this and nothing else."""
    for one in root.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
    for name, content in tree.items():
        if content is None:
            (root / name).mkdir()
        elif isinstance(content, str):
            (root / name).symlink_to(content)
        else:
            (root / name).write_bytes(content)


def sealed(tree: Tree) -> str:
    """Return what tells two trees apart."""
    seal = sha256()
    for name, content in sorted(tree.items()):
        said = content if isinstance(content, bytes) else repr(content).encode()
        seal.update(
            f"{name}\0{type(content).__name__}\0{len(said)}\0".encode("utf-8", "surrogateescape")
        )
        seal.update(said)
    return seal.hexdigest()


def torn(start: Path, records: list[Record], seed: int) -> Iterator[tuple[int, str, Tree]]:
    """Yield what a power cut may leave, after each operation, every different state once.

    Args:
        start: A folder that holds what was there before, all of it on the disk.
        records: The operations.
        seed: Of what is drawn.
    """
    disk, chance, seen = Disk(start), random.Random(seed), set[str]()
    for place, record in enumerate([None, *records]):
        if record is not None:
            disk.apply(record)
        for policy in POLICIES:
            tree = disk.after_a_cut(policy, chance)
            seal = sealed(tree)
            if seal not in seen:
                seen.add(seal)
                yield place, policy, tree
