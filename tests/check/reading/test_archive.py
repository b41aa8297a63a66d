"""Archives are read by rules of our own: what is hostile is refused with its reason."""

import io
import stat
import struct
import zipfile

import pytest

from digitspan.check.reading.archive import ArchiveRefused, read_archive, read_folder
from digitspan.check.reading.hand_ins import read_hand_in


def zipped(tmp_path, *entries, compression=zipfile.ZIP_DEFLATED):
    """A ZIP of (name or ZipInfo, content) entries."""
    path = tmp_path / "hand-in.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def info(name, mode=0):
    entry = zipfile.ZipInfo("x")
    entry.filename = name
    entry.external_attr = mode << 16
    return entry


NAMES = {
    "../evil.py": "leads elsewhere",
    "a/../../evil.py": "leads elsewhere",
    "a/./b.py": "leads elsewhere",
    "a//b.py": "leads elsewhere",
    "..": "leads elsewhere",
    "/etc/passwd": "absolute path",
    "//server/share": "absolute path",
    "C:/windows/x.py": "absolute path",
    "c:x.py": "absolute path",
    "..\\..\\evil.py": "backslash",
    "\\\\server\\x": "backslash",
    "a\x01b.py": "control characters",
    "a\nb.py": "control characters",
    "CON": "Windows reserves",
    "a/nul.txt": "Windows reserves",
    "aux.py": "Windows reserves",
    "COM1/x.py": "Windows reserves",
    "lpt9.log": "Windows reserves",
    "prn": "Windows reserves",
    "a /x.py": "space",
    " a.py": "space",
    "a./x.py": "dot",
    "x" * 300 + ".py": "characters, at most",
    "/".join(["deep"] * 60) + ".py": "characters, at most",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
def test_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ArchiveRefused, match=NAMES[name]):
        read_archive(zipped(tmp_path, (info(name), "x = 1")))


def test_name_with_a_nul_is_refused(tmp_path):
    path = zipped(tmp_path, ("abcdef.py", "x = 1"))
    path.write_bytes(path.read_bytes().replace(b"abcdef.py", b"abc\0ef.py"))
    with pytest.raises(ArchiveRefused, match="control characters"):
        read_archive(path)


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]
)
def test_link_or_device_is_refused(tmp_path, mode):
    with pytest.raises(ArchiveRefused, match="link or a device"):
        read_archive(zipped(tmp_path, (info("link.py", mode | 0o777), "/etc/passwd")))


@pytest.mark.parametrize("pair", [("A.py", "a.py"), ("ß/x.py", "SS/x.py"), ("x.py", "x.py")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_one_on_some_systems_are_refused(tmp_path, pair):
    with pytest.raises(ArchiveRefused, match="same name"):
        read_archive(zipped(tmp_path, *((name, "") for name in pair)))


def test_file_that_is_a_folder_too_is_refused(tmp_path):
    with pytest.raises(ArchiveRefused, match="which is a file"):
        read_archive(zipped(tmp_path, ("a", "x"), ("a/b.py", "y")))


def test_too_many_files_are_refused(tmp_path):
    with pytest.raises(ArchiveRefused, match="more than 2000 files"):
        read_archive(zipped(tmp_path, *((f"{i}.py", "") for i in range(2001))))


def test_bomb_is_refused(tmp_path):
    with pytest.raises(ArchiveRefused, match="times its size"):
        read_archive(zipped(tmp_path, ("zeros.bin", bytes(20_000_000))))


def test_declared_size_beyond_the_limit_is_refused(tmp_path):
    path = zipped(tmp_path, ("a.bin", b"abc"))
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 3_000_000_000)
    path.write_bytes(data)
    with pytest.raises(ArchiveRefused, match="more than 200 MB"):
        read_archive(path)


@pytest.mark.parametrize("size", [1, 50])
def test_size_that_lies_is_refused(tmp_path, size):
    path = zipped(tmp_path, ("a.bin", b"x" * 10), compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, size)
    path.write_bytes(data)
    with pytest.raises(ArchiveRefused, match=r"than the ZIP says|damaged"):
        read_archive(path)


def test_overlapping_entries_are_refused(tmp_path):
    path = zipped(tmp_path, ("a.py", "x = 1"), ("b.py", "y = 2"))
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<I", data, second + 42, 0)  # b.py begins where a.py begins
    path.write_bytes(data)
    with pytest.raises(ArchiveRefused, match="overlaps"):
        read_archive(path)


def test_password_is_refused(tmp_path):
    path = zipped(tmp_path, ("a.py", "x = 1"))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at] |= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveRefused, match="password"):
        read_archive(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x05\x06" + bytes(10), b"no zip at all" * 100]
)
def test_what_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveRefused, match="damaged"):
        read_archive(path)


def test_every_cut_and_flip_is_refused_or_read(tmp_path):
    path = zipped(tmp_path, ("part1/lstm.py", "x = 1\n" * 50), ("a.pdf", b"%PDF" * 9))
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 3):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            path.write_bytes(data)
            try:
                read_archive(path)
            except ArchiveRefused:
                refused += 1
    assert refused > 100


def test_zip_inside_a_zip_is_not_opened(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("../x.py", "")
    files = read_archive(zipped(tmp_path, ("a/inner.zip", inner.getvalue())))
    assert list(files) == ["a/inner.zip"]


def test_honest_zip_is_read(tmp_path):
    files = read_archive(
        zipped(tmp_path, ("a b/part1/lstm.py", "x"), ("a b/é.pdf", b"y"), ("d/", b""))
    )
    assert files == {"a b/part1/lstm.py": b"x", "a b/é.pdf": b"y"}


def test_links_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.py").write_text("secret")
    (tmp_path / "in" / "a.py").write_text("x")
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    assert read_folder(tmp_path / "in") == {"a.py": b"x"}


def test_folders_written_with_backslashes_are_folders(tmp_path):
    path = zipped(tmp_path, (info("part1\\lstm.py"), "x = 1"), (info("part1\\a\\"), ""))
    assert read_archive(path) == {"part1/lstm.py": b"x = 1"}


def zip_of(*entries):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return data.getvalue()


def test_code_in_a_zip_in_the_zip_is_read(tmp_path):
    inner = zip_of(("part1/lstm.py", "x = 1"))
    hand_in = read_hand_in(zipped(tmp_path, ("a/code.zip", inner), ("report.pdf", "x")))
    assert [source.name for source in hand_in.sources] == ["a/code/part1/lstm.py"]


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (zip_of(("../lstm.py", "x = 1")), "leads elsewhere, in 'code.zip' inside it"),
        (b"PK", "damaged"),
        (zip_of(("deeper.zip", zip_of(("lstm.py", "x = 1")))), "a ZIP in a ZIP in the ZIP"),
    ],
)
def test_zip_in_the_zip_is_refused_by_the_same_rules(tmp_path, inner, reason):
    hand_in = read_hand_in(zipped(tmp_path, ("code.zip", inner)))
    assert reason in hand_in.refused
    assert hand_in.files == {}
