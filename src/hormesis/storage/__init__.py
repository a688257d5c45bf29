"""The study on disk: a plain folder that grows shard by shard and is never half-written.

    outcomes.py   what was measured, in memory
    shards.py     one shard as a file: packed, sealed with a checksum, and read back
    store.py      where shards lie, a folder or memory, and which of them are whole
    files.py      the manifest and the tables
    lock.py       one process at a time
    health.py     what is there, missing or damaged
    ownership.py  the marker that proves a folder ours
    removal.py    deleting what is ours, and nothing else
    places.py     where a study may lie, and how it is begun
    replacement.py  how a new one takes the place of an old one

Nothing here is pickled, and nothing needs torch.
"""

from hormesis.storage.files import (
    CELLS,
    CONFIRMATION,
    FORMAT,
    MANIFEST,
    OUTCOMES,
    REMOVALS,
    RESPONSES,
    SAMPLES,
    TARGETS,
    read_manifest,
    read_table,
    write_manifest,
    write_tables,
)
from hormesis.storage.folders import (
    begun,
    check_free,
    check_kind,
    is_study,
    opened,
    place_of_study,
    tidy,
)
from hormesis.storage.lock import LOCK, holder_of, locked, read_holder, spelled_holder
from hormesis.storage.outcomes import StoredOutcomes, joined, only_of, part_of
from hormesis.storage.ownership import NEXT
from hormesis.storage.replacement import (
    check_beside,
    discard,
    growing,
    recover,
    standing,
    successor,
    swap,
)
from hormesis.storage.shards import Shard, pack, unpack
from hormesis.storage.store import (
    FolderStore,
    MemoryStore,
    Span,
    Store,
    fault,
    merged,
    read_blocks,
    read_spans,
    strangers,
    whole_shards,
)
from hormesis.storage.verify import Health, examined, spelled_seconds

__all__ = [
    "CELLS",
    "CONFIRMATION",
    "FORMAT",
    "LOCK",
    "MANIFEST",
    "NEXT",
    "OUTCOMES",
    "REMOVALS",
    "RESPONSES",
    "SAMPLES",
    "TARGETS",
    "FolderStore",
    "Health",
    "MemoryStore",
    "Shard",
    "Span",
    "Store",
    "StoredOutcomes",
    "begun",
    "check_beside",
    "check_free",
    "check_kind",
    "discard",
    "examined",
    "fault",
    "growing",
    "holder_of",
    "is_study",
    "joined",
    "locked",
    "merged",
    "only_of",
    "opened",
    "pack",
    "part_of",
    "place_of_study",
    "read_blocks",
    "read_holder",
    "read_manifest",
    "read_spans",
    "read_table",
    "recover",
    "spelled_holder",
    "spelled_seconds",
    "standing",
    "strangers",
    "successor",
    "swap",
    "tidy",
    "unpack",
    "whole_shards",
    "write_manifest",
    "write_tables",
]
