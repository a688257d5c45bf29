import hashlib
import http.server
import io
import threading
import zipfile
from dataclasses import replace

import pytest

from hormesis.data.download import Archive, download
from hormesis.errors import DataError

CONTENTS = {"set/a.txt": b"alpha", "set/in/b.bin": bytes(range(256)) * 400}


def zipped(contents):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Server:
    """A web server with one file, that can cut connections and ignore ranges."""

    def __init__(self, body):
        self.body, self.cuts, self.ranges, self.status = body, 0, True, 200
        self.cut_at, self.wrong_start, self.requests = len(body) // 2, False, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, format, *args):
                pass

        self.http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.requests.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        rest = self.body[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(rest)))
        if start:
            claimed = start + 1 if self.wrong_start else start
            handler.send_header("Content-Range", f"bytes {claimed}-/{len(self.body)}")
        handler.end_headers()
        if self.cuts:
            self.cuts -= 1
            rest = rest[: self.cut_at]
        handler.wfile.write(rest)

    def archive(self):
        return Archive(
            url=f"http://127.0.0.1:{self.http.server_port}/set.zip",
            md5=hashlib.md5(self.body).hexdigest(),
            size=len(self.body),
            folder="set",
            unpacked=1_000_000,
        )

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(body=None):
        servers.append(Server(zipped(CONTENTS) if body is None else body))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def check_in_place(folder, root):
    assert folder == root / "set"
    for name, content in CONTENTS.items():
        assert (root / name).read_bytes() == content
    assert [path.name for path in root.iterdir()] == ["set"]  # no .zip, .part or scratch folder


def test_the_folder_appears_whole_and_nothing_else_does(serve, tmp_path):
    server, root, seen = serve(), tmp_path / "new" / "root", []
    folder = download(server.archive(), root, progress=lambda *step: seen.append(step))
    check_in_place(folder, root)
    size, unpacked = len(server.body), sum(map(len, CONTENTS.values()))
    assert (size, size) in seen
    assert seen[-1] == (unpacked, unpacked)
    assert server.requests == [None]


def test_a_cut_connection_is_resumed_where_it_broke(serve, tmp_path):
    server = serve()
    server.cuts = 1
    check_in_place(download(server.archive(), tmp_path, pause=0.0), tmp_path)
    assert server.requests == [None, f"bytes={server.cut_at}-"]


def test_a_later_call_goes_on_with_the_part_that_is_there(serve, tmp_path):
    server = serve()
    (tmp_path / "set.zip.part").write_bytes(server.body[:100])
    seen = []
    folder = download(server.archive(), tmp_path, progress=lambda *step: seen.append(step))
    check_in_place(folder, tmp_path)
    assert server.requests == ["bytes=100-"]
    assert seen[0][0] > 100


def test_a_complete_part_is_not_asked_for_again(serve, tmp_path):
    server = serve()
    (tmp_path / "set.zip.part").write_bytes(server.body)
    check_in_place(download(server.archive(), tmp_path), tmp_path)
    assert server.requests == []


def test_an_archive_that_is_there_is_used(serve, tmp_path):
    server = serve()
    (tmp_path / "set.zip").write_bytes(server.body)
    check_in_place(download(server.archive(), tmp_path), tmp_path)
    assert server.requests == []


def test_a_server_that_ignores_ranges_starts_over(serve, tmp_path):
    server = serve()
    server.cuts, server.ranges = 1, False
    check_in_place(download(server.archive(), tmp_path, pause=0.0), tmp_path)
    assert len(server.requests) == 2


def test_a_server_that_sends_another_range_is_not_believed(serve, tmp_path):
    server = serve()
    server.wrong_start = True
    (tmp_path / "set.zip.part").write_bytes(server.body[:100])
    check_in_place(download(server.archive(), tmp_path, pause=0.0), tmp_path)
    assert server.requests == ["bytes=100-", None]


def test_after_five_attempts_without_a_byte_the_part_is_kept(serve, tmp_path):
    server = serve()
    server.cuts, server.cut_at = 100, 0
    (tmp_path / "set.zip.part").write_bytes(server.body[:100])
    with pytest.raises(DataError, match=r"stopped at 100 of [\d,]+ bytes.*Run it again"):
        download(server.archive(), tmp_path, pause=0.0)
    assert len(server.requests) == 6  # the first finds 100 bytes, which counts as progress
    assert (tmp_path / "set.zip.part").read_bytes() == server.body[:100]


def test_a_server_that_cannot_be_reached_is_named(serve, tmp_path):
    server = serve()
    archive = replace(server.archive(), url="http://127.0.0.1:1/set.zip")
    with pytest.raises(DataError, match=r"127.0.0.1:1/set.zip stopped at 0 of .*refused"):
        download(archive, tmp_path, pause=0.0)


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (503, 5)])
def test_an_error_of_the_server_is_told_and_only_a_passing_one_tried_again(
    serve, tmp_path, status, asked
):
    server = serve()
    server.status = status
    with pytest.raises(DataError, match=f"HTTP Error {status}"):
        download(server.archive(), tmp_path, pause=0.0)
    assert len(server.requests) == asked


def test_a_wrong_checksum_is_refused_and_the_file_deleted(serve, tmp_path):
    server = serve()
    archive = replace(server.archive(), md5="0" * 32)
    with pytest.raises(DataError, match=r"checksum \(MD5\) 0{32} .* It was deleted"):
        download(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_user_s_own_archive_with_a_wrong_checksum_is_kept(serve, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"other")
    with pytest.raises(DataError, match="Delete it, or replace it"):
        download(serve().archive(), tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == b"other"


def test_more_bytes_than_declared_are_not_written(serve, tmp_path):
    archive = replace(serve().archive(), size=100)
    with pytest.raises(DataError, match="longer than the 100 bytes expected"):
        download(archive, tmp_path)


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "set/../../x",
        "/etc/x",
        "other/x",
        "set\\..\\x",
        "set/C:x",
        link("set/link"),
        "set2/x",
    ],
)
def test_a_member_outside_the_folder_unpacks_nothing(serve, tmp_path, name):
    root = tmp_path / "root"
    with pytest.raises(DataError, match="no plain file in 'set'; nothing was unpacked"):
        download(serve(zipped({"set/a": b"1", name: b"2"})).archive(), root)
    assert [path.name for path in root.iterdir()] == ["set.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_an_archive_that_unpacks_to_too_much_is_refused(serve, tmp_path):
    archive = replace(serve().archive(), unpacked=100)
    with pytest.raises(DataError, match="at most 100 bytes; none was unpacked"):
        download(archive, tmp_path)


@pytest.mark.parametrize("damage", ["not a zip", "flipped byte"])
def test_a_damaged_archive_leaves_no_folder(serve, tmp_path, damage):
    body = bytearray(zipped(CONTENTS)) if damage == "flipped byte" else bytearray(b"x" * 500)
    body[body.find(b"alpha") if damage == "flipped byte" else 0] ^= 1
    with pytest.raises(DataError, match=r"is damaged: .* Delete it"):
        download(serve(bytes(body)).archive(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_a_place_that_cannot_be_written_is_named(serve, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Could not put .*set.zip into '.*file'"):
        download(serve().archive(), tmp_path / "file")


def test_a_folder_in_the_way_is_not_overwritten(serve, tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="move it away"):
        download(serve().archive(), tmp_path)
