"""Archives are read by rules of our own: what is hostile is refused with its reason."""

import io
import stat
import struct
import tarfile
import unicodedata
import zipfile

import pytest
from check.given import read_here
from check.reader import read_archive

from digitspan.check.package import check_package
from digitspan.check.sandbox.child.reader.archive import ArchiveRefused


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


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_method_that_unpacks_without_bound_is_refused(tmp_path, method):
    with pytest.raises(ArchiveRefused, match="expected an ordinary ZIP"):
        read_archive(zipped(tmp_path, ("a.py", "x = 1"), compression=method))


def tarred(tmp_path, name, *members):
    """A tar of (TarInfo, content) members, packed as its name says."""
    path = tmp_path / name
    with tarfile.open(path, f"w:{name.rpartition('.')[2].replace('tar', '')}") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_tar_is_read_by_the_same_rules(tmp_path, name):
    good = tarred(tmp_path, name, (tarfile.TarInfo("./part1/lstm.py"), b"x = 1"))
    assert read_archive(good) == {"part1/lstm.py": b"x = 1"}
    with pytest.raises(ArchiveRefused, match="leads elsewhere"):
        read_archive(tarred(tmp_path, name, (tarfile.TarInfo("../x.py"), b"x")))
    with pytest.raises(ArchiveRefused, match="200 MB"):
        read_archive(tarred(tmp_path, name, *big_members()))
    link = tarfile.TarInfo("x.py")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ArchiveRefused, match="link or a device"):
        read_archive(tarred(tmp_path, name, (link, b"")))


def big_members():
    """A sparse member: a few bytes that say that they are many."""
    member = tarfile.TarInfo("big.bin")
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,1",
                          "GNU.sparse.size": "3000000000"}  # fmt: skip
    yield member, b"x"


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [
        ("a.rar", b"Rar!\x1a\x07\x00xx", "RAR"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\x00", "7z"),
        ("a.zip", b"Rar!\x1a\x07\x01xx", "RAR archive called .zip"),
        ("a.zst", b"\x28\xb5\x2f\xfd", "Zstandard"),
        ("a.lzh", b"xx-lh5-", "LHA"),
    ],
)
def test_archive_of_another_kind_is_named(tmp_path, name, start, kind):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(ArchiveRefused, match=f"{kind}.* not opened here; expected a ZIP"):
        read_archive(tmp_path / name)


def test_archive_that_is_not_opened_inside_is_told(tmp_path):
    hand_in = read_here(zipped(tmp_path, ("code.rar", b"Rar!\x1a\x07\x00xx"), ("a.pdf", "x")))
    assert hand_in.facts.unopened == {"code.rar": "RAR"}


def test_environment_is_left_out_and_counted(tmp_path):
    many = [(f"env38/lib/python3.8/site-packages/p/m{i}.py", "") for i in range(2100)]
    hand_in = read_here(zipped(tmp_path, *many, ("part1/lstm.py", "x = 1")))
    assert [source.name for source in hand_in.sources] == ["part1/lstm.py"]
    assert hand_in.facts.skipped == {"env38/lib/python3.8": 2100}


def test_names_are_read_as_they_were_meant(tmp_path):
    path = zipped(tmp_path, ("B@hm.py", "x = 1"), ("M@@ller.py", "x = 2"))
    data = path.read_bytes().replace(b"B@hm", b"B\x94hm")  # cp437, as Windows writes it
    path.write_bytes(data.replace(b"M@@ller", "Müller".encode()))  # UTF-8 that does not say so
    assert sorted(read_archive(path)) == ["Böhm.py", "Müller.py"]
    decomposed = unicodedata.normalize("NFD", "Müller.py")
    assert list(read_archive(zipped(tmp_path, (decomposed, "x")))) == ["Müller.py"]


def test_links_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.py").write_text("secret")
    (tmp_path / "in" / "a.py").write_text("x")
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    hand_in = read_here(tmp_path / "in")
    assert [source.name for source in hand_in.sources] == ["a.py"]
    assert list(hand_in.files) == ["a.py"]


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
    hand_in = read_here(zipped(tmp_path, ("a/code.zip", inner), ("report.pdf", "x")))
    assert [source.name for source in hand_in.sources] == ["a/code/part1/lstm.py"]


def test_archive_beside_python_is_opened_unless_the_networks_are_there(tmp_path):
    inner = zip_of(("lstm.py", "class LSTM:\n  def forward(self, x): return x"))
    hand_in = read_here(zipped(tmp_path, ("part1.zip", inner), ("dataset.py", "x = 1")))
    assert "part1/lstm.py" in hand_in.files
    assert hand_in.facts.unopened == {}
    forward = "class LSTM:\n  def forward(self, x): return x + 1"
    files = ("lstm.py", forward), ("old.zip", inner), ("b.rar", b"Rar!\x1a\x07")
    hand_in = read_here(zipped(tmp_path, *files))
    assert [source.name for source in hand_in.sources] == ["lstm.py"]
    assert hand_in.facts.unopened == {"old.zip": "ZIP", "b.rar": "RAR"}
    told = check_package(hand_in).findings
    assert [f.severity for f in told if f.code == "archive-left-closed"] == ["remark", "remark"]


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (zip_of(("../lstm.py", "x = 1")), "leads elsewhere, in 'code.zip' inside it"),
        (b"PK", "damaged"),
        (zip_of(("deeper.zip", zip_of(("lstm.py", "x = 1")))), "a ZIP in a ZIP in the ZIP"),
    ],
)
def test_zip_in_the_zip_is_refused_by_the_same_rules(tmp_path, inner, reason):
    with pytest.raises(ArchiveRefused, match=reason):
        read_here(zipped(tmp_path, ("code.zip", inner)))


def test_half_of_a_download_is_named_and_not_opened(tmp_path):
    (tmp_path / "Doe-123456.zip.crdownload").write_bytes(b"PK\x03\x04 half")
    (tmp_path / "Doe-123456.pdf").write_bytes(b"%PDF")
    hand_in = read_here(tmp_path)
    assert hand_in.facts.unopened == {"Doe-123456.zip.crdownload": "half downloaded"}
