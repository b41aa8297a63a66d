"""Files are whole or not there; damage is noticed, and the one before is taken."""

import errno
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitspan.errors import DigitspanError, UsageError
from digitspan.files import (
    read_verified,
    require_writable_folder,
    sha256,
    writable_folder,
    write_verified,
    write_whole,
)


def failing(error_number):
    """A system call that fails."""

    def call(*args, **kwargs):
        raise OSError(error_number, os.strerror(error_number))

    return call


class FullDisk:
    """A file whose writing fails half way."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["mkstemp", "write", "fsync", "chmod", "replace"])
def broken_disk(request, monkeypatch):
    """A disk on which one call fails; what the user is told about it."""
    if request.param == "write":
        original = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *args: FullDisk(original(*args)))
        return "No space left on device"
    if request.param == "mkstemp":
        monkeypatch.setattr("tempfile.mkstemp", failing(errno.EROFS))
        return "Read-only file system"
    monkeypatch.setattr(os, request.param, failing(errno.EIO))
    return "Input/output error"


def test_file_is_written_whole(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for content in (b"first", b"", b"second" * 1000):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["file"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, broken_disk):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(DigitspanError, match=rf"^cannot write .*file \(9 bytes\): {broken_disk}"):
        write_whole(path, b"brand new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_failed_first_write_leaves_nothing(tmp_path, broken_disk):
    with pytest.raises(DigitspanError, match=f"{broken_disk}; nothing of it was left"):
        write_whole(tmp_path / "file", b"brand new")
    assert os.listdir(tmp_path) == []


def test_failed_write_is_the_systems_fault_not_the_callers(tmp_path, broken_disk):
    with pytest.raises(DigitspanError, match="cannot write") as caught:
        write_whole(tmp_path / "file", b"x")
    assert caught.value.exit_status == 1


def test_content_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, f=original, n=name: (calls.append(n), f(*args))[1]
        )
    write_whole(tmp_path / "file", b"x")
    assert calls == ["fsync", "replace"]


def test_file_can_be_read_by_others_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"x")
        assert os.umask(0o027) == 0o027, "the umask was changed"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_long_name_is_written_or_refused_in_a_sentence(tmp_path):
    write_whole(tmp_path / ("n" * 255), b"x")
    with pytest.raises(DigitspanError, match="File name too long"):
        write_whole(tmp_path / ("n" * 256), b"x")


def test_parent_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DigitspanError, match=r"cannot write .*: (File exists|Not a directory)"):
        write_whole(tmp_path / "file" / "below", b"x")


# Files that know whether they are damaged ----------------------------------------------------


@given(st.binary(max_size=200))
def test_what_was_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("verified") / "file"
    write_verified(path, content)
    assert read_verified(path) == (content, False)


def test_nothing_is_read_where_nothing_was_written(tmp_path):
    assert read_verified(tmp_path / "file") == (None, False)


def test_one_before_is_kept(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"second", b"third"):
        write_verified(path, content)
    assert sorted(os.listdir(tmp_path)) == ["file", "file.previous"]
    assert read_verified(path) == (b"third", False)
    path.unlink()
    assert read_verified(path) == (b"second", False)


def damaged_forms(data):
    """Every single flipped bit, every cut, and some longer damage."""
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        yield data[:place]
    yield data + b"\0"
    yield bytes(len(data))
    yield data[::-1]


def test_every_damage_is_noticed_and_the_one_before_is_read(tmp_path):
    path = tmp_path / "file"
    write_verified(path, b"first")
    write_verified(path, b"the second content")
    whole = path.read_bytes()
    count = 0
    for data in damaged_forms(whole):
        path.write_bytes(data)
        assert read_verified(path) == (b"first", True)
        count += 1
    assert count == 2 * len(whole) + 3
    path.write_bytes(whole)
    assert read_verified(path) == (b"the second content", False)


def test_both_damaged_is_nothing(tmp_path):
    path = tmp_path / "file"
    write_verified(path, b"first")
    write_verified(path, b"second")
    for name in ("file", "file.previous"):
        (tmp_path / name).write_bytes(b"junk")
    assert read_verified(path) == (None, True)


def test_failed_verified_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_verified(path, b"first")
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(DigitspanError, match="No space left on device"):
        write_verified(path, b"second")
    assert read_verified(path) == (b"first", False)


def test_failed_verified_write_over_a_damaged_file_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_verified(path, b"first")
    write_verified(path, b"second")
    path.write_bytes(b"junk")
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(DigitspanError, match="No space left on device"):
        write_verified(path, b"third")
    assert read_verified(path)[0] == b"first"


def test_damaged_file_does_not_take_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "file"
    write_verified(path, b"first")
    write_verified(path, b"second")
    path.write_bytes(b"junk")
    write_verified(path, b"third")
    assert read_verified(path) == (b"third", False)
    path.write_bytes(b"junk again")
    assert read_verified(path) == (b"first", True)


def test_failed_move_is_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_verified(path, b"first")
    monkeypatch.setattr(os, "replace", failing(errno.EACCES))
    with pytest.raises(DigitspanError, match="Permission denied"):
        write_verified(path, b"second")
    assert read_verified(path) == (b"first", False)


def test_unreadable_file_counts_as_damaged(tmp_path):
    (tmp_path / "file").mkdir()
    write_verified(tmp_path / "file.previous", b"first")
    assert read_verified(tmp_path / "file") == (b"first", True)


def test_sha256_is_the_standards():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Folders -------------------------------------------------------------------------------------


def test_writable_folder_is_made_and_left_empty(tmp_path):
    folder = tmp_path / "a" / "b"
    require_writable_folder(folder, "--out")
    require_writable_folder(folder, "--out")
    assert os.listdir(folder) == []


def test_folder_for_what_fails_is_not_left_behind_unless_something_is_in_it(tmp_path):
    with pytest.raises(KeyError), writable_folder(tmp_path / "a" / "b", "--out"):
        raise KeyError
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError), writable_folder(tmp_path / "a" / "b", "--out"):
        (tmp_path / "a" / "kept").touch() or (tmp_path / "nowhere").unlink()
    assert os.listdir(tmp_path / "a") == ["kept"]
    with pytest.raises(KeyError), writable_folder(tmp_path / "a", "--out"):
        raise KeyError
    with writable_folder(tmp_path / "c", "--out"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(
        UsageError,
        match=r"^--out must be a folder that can be written; got '.*file': it is a file",
    ) as caught:
        require_writable_folder(tmp_path / "file", "--out")
    assert caught.value.exit_status == 2
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="Not a directory; choose another with --out"):
        require_writable_folder(tmp_path / "file" / "below", "--out")


def test_folder_without_permission_is_refused(tmp_path, monkeypatch):
    # root may write anywhere: the refusal is simulated.
    monkeypatch.setattr("tempfile.NamedTemporaryFile", failing(errno.EACCES))
    with pytest.raises(UsageError, match="Permission denied; choose another with --out"):
        require_writable_folder(tmp_path, "--out")
