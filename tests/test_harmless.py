"""The guard of the suite itself: it refuses before anything is done, also to root."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import harmless

# No test could write there even without the guard: there is no such folder.
HERE = Path("/no-such-folder")
ELSEWHERE = HERE / "no-such-file"


@pytest.fixture(autouse=True)
def _told():
    yield
    harmless.found.clear()


@pytest.mark.parametrize(
    "harm",
    [
        lambda: os.remove("/dev/no-such-device"),
        lambda: Path("/dev/full").unlink(),
        lambda: Path("/dev/full").rename("/dev/no-such-device"),
        lambda: os.replace(ELSEWHERE, ELSEWHERE),
        lambda: shutil.rmtree(ELSEWHERE, ignore_errors=True),
        lambda: ELSEWHERE.rmdir(),
        lambda: ELSEWHERE.mkdir(),
        lambda: ELSEWHERE.write_text("harm"),
        lambda: ELSEWHERE.open("a"),
        lambda: os.open(ELSEWHERE, os.O_CREAT | os.O_RDWR),
        lambda: ELSEWHERE.symlink_to("/dev/null"),
        lambda: os.chmod("/dev/no-such-device", 0),
        lambda: tempfile.mkdtemp(dir=HERE),
    ],
)
def test_what_is_elsewhere_is_neither_written_nor_deleted(harm):
    with pytest.raises(harmless.Harm, match="would harm what is not its own"):
        harm()
    assert len(harmless.found) == 1
    assert Path("/dev/full").is_char_device()
    assert not ELSEWHERE.exists()


def test_a_name_in_an_open_folder_is_found_too():
    above = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(harmless.Harm, match=r"os\.remove of /no-such-file"):
            os.remove("no-such-file", dir_fd=above)
    finally:
        os.close(above)


def test_a_link_is_followed_where_it_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to(ELSEWHERE)
    with pytest.raises(harmless.Harm, match="open of /no-such-folder/no-such-file"):
        (tmp_path / "link").write_text("harm")
    (tmp_path / "link").unlink()  # which is the test's own


def test_what_is_a_tests_own_may_be_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("mine")
    Path("a").rename("b")
    Path("b").unlink()
    with open("/dev/null", "w") as nowhere:
        nowhere.write("nothing")
    assert harmless.found == []


def careless():
    try:
        ELSEWHERE.unlink(missing_ok=True)
    except Exception:
        pytest.fail("it was caught")


def test_the_refusal_passes_what_catches_errors():
    with pytest.raises(harmless.Harm, match="would harm"):
        careless()
