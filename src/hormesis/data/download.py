"""Download of an archive: resumed, checked, and unpacked into a folder."""

import hashlib
import http.client
import shutil
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from hormesis.data.readers import Progress
from hormesis.errors import DataError

CHUNK = 1 << 18
ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a byte
MOST_FILES = 1_000_000


@dataclass(frozen=True)
class Archive:
    """A zip file with one folder in it.

    Args:
        url: Where it is.
        md5: Its checksum, in hexadecimal digits.
        size: Its length in bytes.
        folder: The one folder in it, and the name of the unpacked folder.
        unpacked: Largest allowed size of its files, in bytes.
    """

    url: str
    md5: str
    size: int
    folder: str
    unpacked: int


def download(
    archive: Archive, root: Path, *, progress: Progress | None = None, pause: float = 1.0
) -> Path:
    """Download, check and unpack an archive, and return its folder in ``root``.

    An interrupted download leaves a ``.part`` file, which the next call resumes. The folder appears
    complete or not at all; the zip file is deleted afterwards.

    Args:
        archive: What to download.
        root: The folder to put it in; made if it is missing.
        progress: Called with bytes downloaded, then bytes unpacked, and the total.
        pause: Seconds before a broken connection is retried; doubled at each failure in a row.

    Raises:
        DataError: If the server, the checksum, the archive's contents or the disk prevent it.
    """
    file = root / f"{archive.folder}.zip"
    part = file.with_name(file.name + ".part")
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _receive_all(archive, part, progress, pause)
            _check_sum(archive, part)
            part.replace(file)
        else:
            _check_sum(archive, file)
        folder = _unpack(archive, file, root, progress)
        file.unlink()
    except OSError as error:
        raise DataError(
            f"Could not put {archive.url} into '{root}': {error}. Run it again to go on from there."
        ) from error
    return folder


def _receive_all(archive: Archive, part: Path, progress: Progress | None, pause: float) -> None:
    """Fill ``part``, resuming whenever the connection breaks."""
    best = failures = 0
    while _length(part) < archive.size:
        problem = _receive(archive, part, progress)
        if _length(part) > best:
            best, failures = _length(part), 0
            continue
        failures += 1
        if failures == ATTEMPTS:
            raise DataError(
                f"The download of {archive.url} stopped at {_length(part):,} of {archive.size:,} "
                f"bytes: {problem}. Run it again to go on from there."
            )
        time.sleep(pause * 2 ** (failures - 1))


def _receive(archive: Archive, part: Path, progress: Progress | None) -> str:
    """Make one request for the bytes missing in ``part``; return why it ended."""
    start = _length(part)
    wanted = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(archive.url, headers=wanted)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            _copy(response, archive, part, start, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < 500:
            raise DataError(f"The server of {archive.url} answered: {error}.") from error
        return str(error)
    except urllib.error.URLError as error:
        return str(error.reason)
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        return str(error) or type(error).__name__
    return "the connection was closed early"


def _copy(
    response: http.client.HTTPResponse,
    archive: Archive,
    part: Path,
    start: int,
    progress: Progress | None,
) -> None:
    """Append a response to ``part``, or overwrite it if the server sends everything again."""
    sent = response.headers.get("Content-Range", "")
    resumed = response.status == 206 and sent.startswith(f"bytes {start}-")
    done = start if resumed else 0
    if response.status == 206 and not resumed:
        part.unlink(missing_ok=True)
        raise ConnectionError(f"the server sent {sent!r} instead of what follows byte {start}")
    with part.open("ab" if resumed else "wb") as file:
        while chunk := response.read(CHUNK):
            done += len(chunk)
            if done > archive.size:
                raise DataError(
                    f"{archive.url} is longer than the {archive.size:,} bytes expected."
                )
            file.write(chunk)
            if progress:
                progress(done, archive.size)


def _length(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _check_sum(archive: Archive, file: Path) -> None:
    """Refuse a file with another checksum, and delete it if it is our own partial file."""
    with file.open("rb") as stream:
        checksum = hashlib.file_digest(
            stream, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()
    if checksum == archive.md5:
        return
    if file.suffix == ".part":
        file.unlink()
        remedy = "It was deleted; try again, or fetch the archive from a place you trust"
    else:
        remedy = "Delete it, or replace it by the original"
    raise DataError(
        f"Expected the checksum (MD5) {archive.md5} for '{file}', got {checksum}. {remedy}."
    )


def _unpack(archive: Archive, file: Path, root: Path, progress: Progress | None) -> Path:
    """Unpack into a temporary folder within ``root``, then move the folder into place."""
    target = root / archive.folder
    if target.exists():
        raise DataError(f"Expected no '{target}' before unpacking; move it away.")
    try:
        with (
            zipfile.ZipFile(file) as source,
            TemporaryDirectory(prefix=f".{archive.folder}-", dir=root) as scratch,
        ):
            members = _members(archive, source, root)
            total = sum(member.file_size for member in members)
            done = 0
            for member in members:
                source.extract(member, scratch)
                done += member.file_size
                if progress:
                    progress(done, total)
            (Path(scratch) / archive.folder).rename(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(f"The archive '{file}' is damaged: {error}. Delete it.") from error
    return target


def _members(archive: Archive, source: zipfile.ZipFile, root: Path) -> list[zipfile.ZipInfo]:
    """Return the members of a zip file; refuse any that leave its folder or fill the disk."""
    members = source.infolist()
    for member in members:
        path = PurePosixPath(member.filename)
        inside = path.parts[:1] == (archive.folder,) and ".." not in path.parts
        link = stat.S_ISLNK(member.external_attr >> 16)
        if not inside or link or "\\" in member.filename or ":" in member.filename:
            raise DataError(
                f"The archive {archive.url} holds {member.filename!r}, which is no plain file in "
                f"{archive.folder!r}; nothing was unpacked."
            )
    total = sum(member.file_size for member in members)
    if total > archive.unpacked or len(members) > MOST_FILES or not members:
        raise DataError(
            f"The archive {archive.url} holds {len(members):,} files of {total:,} bytes, expected "
            f"1 to {MOST_FILES:,} files of at most {archive.unpacked:,} bytes; none was unpacked."
        )
    free = shutil.disk_usage(root).free
    if total > free:
        raise DataError(f"'{root}' has {free:,} bytes free, but {total:,} are needed.")
    return members
