"""Does to files all that the harness has to see; run by test_harness.py as a process of its own."""

import os
import shutil
import sys
from pathlib import Path


def by_python(root: Path) -> None:
    (root / "made").mkdir()
    file = root / "made" / "a.txt"
    file.write_text("first")
    with file.open("r+b") as handle:
        handle.seek(2)
        handle.write(b"RST and more")
        handle.truncate(9)
        handle.flush()
        os.fsync(handle.fileno())
    with file.open("a") as handle:
        handle.write("!")
    handle = os.open(root / "made", os.O_RDONLY)
    inner = os.open("b.txt", os.O_WRONLY | os.O_CREAT, dir_fd=handle)
    os.pwrite(inner, b"there", 3)
    os.writev(inner, [b"o", b"v"])
    os.posix_fallocate(inner, 0, 20)
    os.close(inner)
    os.rename("b.txt", "c.txt", src_dir_fd=handle, dst_dir_fd=handle)
    os.link("c.txt", "d.txt", src_dir_fd=handle, dst_dir_fd=handle)
    (root / "made" / "link").symlink_to("c.txt")
    os.fsync(handle)
    os.close(handle)
    shutil.copyfile(file, root / "copied")  # by sendfile
    shutil.copytree(root / "made", root / "again", symlinks=True)
    shutil.rmtree(root / "made")
    (root / "copied").replace(root / "again" / ".." / "moved")
    os.truncate(root / "moved", 3)
    os.mkdir(root / "empty")  # noqa: PTH102
    (root / "empty").rmdir()


def by_libraries(root: Path) -> None:
    import pyarrow
    import pyarrow.parquet
    import torch
    from safetensors.torch import save_file

    values = {"a": torch.arange(6.0)}
    save_file(values, root / "rust.safetensors")
    torch.save(values, root / "torch.pt")
    torch.save(values, str(root / "stream.pt"), _use_new_zipfile_serialization=False)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), str(root / "arrow.parquet"))


if __name__ == "__main__":
    {"python": by_python, "libraries": by_libraries}[sys.argv[1]](Path(sys.argv[2]))
