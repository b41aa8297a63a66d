"""Reads what was handed in, ZIP, tar, folder or file, by rules of its own; nothing is unpacked."""

from __future__ import annotations

import io
import re
import stat
import struct
import tarfile
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn, TypeVar

__all__ = [
    "ARCHIVES",
    "MAX_BYTES",
    "SKIPPED",
    "ArchiveRefused",
    "Given",
    "archive_kind",
    "is_archive_name",
    "open_given",
    "with_inner_archives",
]

MAX_BYTES = 200 * 10**6
MAX_FILES = 2000
MAX_RATIO = 200
MAX_SECONDS = 10.0
MAX_NAME = 240
MOST_OF_A_COURSE = 10
"""How many times as much the archive of a whole course may hold."""
_Read = TypeVar("_Read")

_MOST_INNER = 4
_SMALL = 10**6  # below this a high ratio is no bomb: an empty log compresses well
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
SKIPPED = re.compile(
    r"(^|.*?/)(\.git|\.venv|venv|node_modules|site-packages|dist-packages|conda-meta"
    r"|lib/python\d[^/]*)(?=/|$)"
)
"""Folders that are no work of a student's: version control, environments."""

ARCHIVES = {
    "ZIP": (r"\.zip", (b"PK\x03\x04", b"PK\x05\x06")),
    "tar": (r"\.tar|\.tgz|\.tar\.\w+|\.tbz2?|\.txz", ()),
    "gzip": (r"\.gz", (b"\x1f\x8b",)),
    "bzip2": (r"\.bz2", (b"BZh",)),
    "xz": (r"\.xz|\.lzma", (b"\xfd7zXZ\x00",)),
    "RAR": (r"\.rar", (b"Rar!\x1a\x07",)),
    "7z": (r"\.7z", (b"7z\xbc\xaf\x27\x1c",)),
    "Zstandard": (r"\.zst|\.tzst", (b"\x28\xb5\x2f\xfd",)),
    "CAB": (r"\.cab", (b"MSCF",)),
    "ARJ": (r"\.arj", (b"\x60\xea",)),
    "LHA": (r"\.lzh|\.lha", ()),
    "ACE": (r"\.ace", ()),
    "StuffIt": (r"\.sitx?", (b"StuffIt", b"SIT!")),
    "disk image": (r"\.dmg|\.iso", ()),
}
"""Kind of archive to how its names end, as a pattern, and how its bytes may begin."""
_UNFINISHED = re.compile(r"\.(crdownload|part|partial|download)$", re.IGNORECASE)
"""How browsers call a file that they have not downloaded to its end."""
_OPENED = ("ZIP", "tar", "gzip", "bzip2", "xz")


class ArchiveRefused(Exception):
    """A hand-in that is not read; the message says why, in a sentence for its author."""


class Given(NamedTuple):
    """What was handed in, before any of it is looked at."""

    kind: str
    """A kind of `ARCHIVES`, "folder" or "file"."""
    sizes: dict[str, int]
    """Name, with forward slashes and in NFC, to bytes."""
    read: Callable[[str], bytes]
    """The content of a name; raises ArchiveRefused where it is not what the sizes say."""
    skipped: dict[str, int]
    """Folders that were left out, to how many files lie in them."""
    opened: list[str]
    """Archives inside that were opened."""
    unopened: dict[str, str]
    """Archives inside that were not, to why."""
    folders: tuple[str, ...] = ()
    """The folders that an archive lists, in NFC; of a folder none."""


def is_archive_name(name: str) -> bool:
    """Whether a name is that of an archive, of a kind that is opened or not."""
    return any(re.search(f"({ending})$", name, re.IGNORECASE) for ending, _ in ARCHIVES.values())


def archive_kind(name: str, start: bytes) -> str:
    """The kind of an archive by its first bytes, else by its name; empty for what is none.

    Args:
        name: with its ending.
        start: 300 bytes at least, where it has so many.
    """
    if start[257:262] == b"ustar":
        return "tar"
    for kind, (_, starts) in ARCHIVES.items():
        if start.startswith(starts) and starts:
            return kind
    for kind, (ending, _) in ARCHIVES.items():
        if re.search(f"({ending})$", name, re.IGNORECASE):
            return kind
    return ""


def open_given(path: Path, *, times: int = 1) -> Given:
    """What lies at a path: an archive, a folder, or a single file.

    Args:
        path: where it is.
        times: by how much the limits on files and bytes are higher.

    Raises:
        ArchiveRefused: for names that lead elsewhere, links, passwords, sizes that lie, kinds
            that are not opened, and more than 200 MB, 2,000 files, 200 times the packed size, or
            10 seconds of unpacking.
    """
    try:
        if path.is_dir():
            return _folder(path, times)
        if path.stat().st_size > MAX_BYTES * times:
            _refuse(f"it has more than {MAX_BYTES * times // 10**6} MB")
        with path.open("rb") as file:
            start = file.read(300)
        kind = archive_kind(path.name, start)
        # Word files and their like are ZIPs inside.
        if not kind or (path.suffix and not is_archive_name(path.name)):
            data = path.read_bytes()
            name = unicodedata.normalize("NFC", path.name)
            return Given("file", {name: len(data)}, {name: data}.__getitem__, {}, [], {})
        return _archive(path.name, kind, path, times)
    except OSError as error:
        _refuse(f"it cannot be read: {error.strerror or error}")


def with_inner_archives(given: Given) -> Given:
    """What was given together with what lies in archives inside it.

    Beside Python that defines a network's forward they stay closed, and are named: they may hold
    old versions of it.

    Raises:
        ArchiveRefused: as `open_given`, and for a further archive in one inside an archive.
    """
    names = [name for name in given.sizes if is_archive_name(name) and "__MACOSX" not in name]
    beside = any(b"def forward" in given.read(name) for name in given.sizes
                 if names and name.endswith((".py", ".ipynb")))  # fmt: skip
    sizes, opened, unopened = dict(given.sizes), list(given.opened), dict(given.unopened)
    unopened |= {name: "half downloaded" for name in sizes if _UNFINISHED.search(name)}
    contents: dict[str, bytes] = {}
    for name in names[:_MOST_INNER]:
        data = given.read(name)
        kind = archive_kind(name, data[:300])
        if beside or kind not in _OPENED:
            unopened[name] = kind
            continue
        try:
            inner = _archive(name, kind, io.BytesIO(data), 1)
        except ArchiveRefused as error:
            _refuse(f"{error}, in {name[:60]!r} inside it")
        if given.kind != "folder" and not _has_code(inner) and any(map(_is_zip, inner.sizes)):
            _refuse("there is a ZIP in a ZIP in the ZIP")
        folder = re.sub(r"(\.tar)?\.\w+$", "", name)
        for part in inner.sizes:
            contents[f"{folder}/{part}"] = inner.read(part)
            sizes[f"{folder}/{part}"] = len(contents[f"{folder}/{part}"])
            _check_totals(len(sizes), sum(sizes.values()), 1)
        opened.append(name)
    unopened |= {name: archive_kind(name, given.read(name)[:300]) for name in names[_MOST_INNER:]}

    def read(name: str) -> bytes:
        return contents[name] if name in contents else given.read(name)

    return given._replace(sizes=sizes, read=read, opened=opened, unopened=unopened)


def _has_code(given: Given) -> bool:
    """Whether there is Python or a notebook in it."""
    return any(name.endswith((".py", ".ipynb")) for name in given.sizes)


def _is_zip(name: str) -> bool:
    """Whether a name ends as a ZIP's."""
    return name.lower().endswith(".zip")


def _archive(name: str, kind: str, file: Path | io.BytesIO, times: int) -> Given:
    """What lies in an archive of some kind."""
    if kind == "ZIP":
        return _zip(file, times)
    if kind not in _OPENED:
        called = " called .zip" if _is_zip(name) else ""
        _refuse(f"it is a {kind} archive{called}, which is not opened here; expected a ZIP")
    files = _tar(file, kind, times)
    sizes = {name: len(data) for name, data in files[0].items()}
    return Given(kind, sizes, files[0].__getitem__, files[1], [], {}, tuple(files[2]))


def _zip(file: Path | io.BytesIO, times: int) -> Given:
    """What lies in a ZIP."""
    deadline = time.process_time() + MAX_SECONDS
    skipped: dict[str, int] = {}

    def read(name: str) -> bytes:
        return _reading(lambda: _content(archive, entries[name], deadline))

    archive = _reading(lambda: zipfile.ZipFile(file))
    found = []
    for entry in archive.infolist():
        outside = SKIPPED.match(_name(entry))
        if outside:
            skipped[outside.group()] = skipped.get(outside.group(), 0) + 1
        else:
            found.append(entry)
    _check_entries(found, times)
    entries = {
        str(PurePosixPath(_name(entry))): entry
        for entry in found
        if not _name(entry).endswith("/")
    }
    sizes = {name: entry.file_size for name, entry in entries.items()}
    folders = tuple(_name(entry).rstrip("/") for entry in found if _name(entry).endswith("/"))
    return Given("ZIP", sizes, read, skipped, [], {}, folders)


def _reading(read: Callable[[], _Read]) -> _Read:
    """What a function reads from a ZIP; whatever a damaged one makes of it is a refusal."""
    try:
        return read()
    except ArchiveRefused:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, OSError, ValueError) as error:
        _refuse(f"the ZIP is damaged: {error}")
    except (NotImplementedError, RuntimeError, OverflowError) as error:
        _refuse(f"the ZIP cannot be unpacked: {error}")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, deadline: float) -> bytes:
    """Unpack an entry in memory, counting what really comes out."""
    parts, size = [], 0
    with archive.open(entry) as stream:
        while part := stream.read(1 << 20):
            size += len(part)
            if size > entry.file_size:
                _refuse(f"{_shown(entry)} is larger than the ZIP says")
            if time.process_time() > deadline:
                _refuse(f"it takes more than {MAX_SECONDS:.0f} seconds to unpack")
            parts.append(part)
    if size != entry.file_size:
        _refuse(f"{_shown(entry)} is smaller than the ZIP says")
    return b"".join(parts)


def _tar(
    file: Path | io.BytesIO, kind: str, times: int
) -> tuple[dict[str, bytes], dict[str, int], list[str]]:
    """The files of a tar, packed by gzip, bzip2, xz or not at all, what was left out, folders."""
    deadline = time.process_time() + MAX_SECONDS
    files: dict[str, bytes] = {}
    folders: list[str] = []
    skipped: dict[str, int] = {}
    total = 0
    source = io.BytesIO(file.read_bytes()) if isinstance(file, Path) else file
    mode = {"gzip": "r|gz", "bzip2": "r|bz2", "xz": "r|xz"}.get(kind, "r|")
    try:
        with tarfile.open(fileobj=source, mode=mode) as archive:  # type: ignore[call-overload]
            for member in archive:
                name = unicodedata.normalize("NFC", member.name.removeprefix("./"))
                outside = SKIPPED.match(name)
                if outside:
                    skipped[outside.group()] = skipped.get(outside.group(), 0) + 1
                    continue
                if name in ("", "."):
                    continue
                if member.isdir():
                    folders.append(name.rstrip("/"))
                    _check_totals(len(folders), 0, times)
                    continue
                _check_name(name, repr(name[:60]))
                if not member.isfile():
                    _refuse(f"{name[:60]!r} is a link or a device, not a file")
                total += member.size
                _check_totals(len(files) + 1, total, times)
                if time.process_time() > deadline:
                    _refuse(f"it takes more than {MAX_SECONDS:.0f} seconds to unpack")
                stream = archive.extractfile(member)
                files[name] = stream.read() if stream is not None else b""
    except ArchiveRefused:
        raise
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        what = "the tar" if kind == "tar" else f"the {kind} file"
        _refuse(f"{what} is damaged, or no tar: {error}")
    return files, skipped, folders


def _folder(path: Path, times: int) -> Given:
    """What lies in a folder, by names relative to it; links are not followed."""
    found: dict[str, Path] = {}
    sizes: dict[str, int] = {}
    skipped: dict[str, int] = {}
    for file in sorted(path.rglob("*")):
        name = unicodedata.normalize("NFC", file.relative_to(path).as_posix())
        if file.is_symlink() or not file.is_file():
            continue
        outside = SKIPPED.match(name)
        if outside:
            skipped[outside.group()] = skipped.get(outside.group(), 0) + 1
            continue
        if any(parent.is_symlink() for parent in file.parents if parent != path):
            continue
        found[name], sizes[name] = file, file.stat().st_size
        _check_totals(len(sizes), 0, times)
    _check_totals(len(sizes), sum(sizes.values()), times)
    return Given("folder", sizes, lambda name: found[name].read_bytes(), skipped, [], {})


def _check_entries(entries: list[zipfile.ZipInfo], times: int) -> None:
    """Refuse what the table of contents alone gives away."""
    _check_totals(len(entries), sum(entry.file_size for entry in entries), times)
    seen: dict[str, str] = {}
    for entry in entries:
        _check_name(_original(entry), _shown(entry))
        key = _name(entry).rstrip("/").casefold()
        if key in seen and not _name(entry).endswith("/"):
            _refuse(f"{_shown(entry)} and {seen[key]!r} are the same name on some systems")
        seen[key] = _name(entry)
        mode = entry.external_attr >> 16
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
            _refuse(f"{_shown(entry)} is a link or a device, not a file")
        if entry.flag_bits & 0x1:
            _refuse(f"{_shown(entry)} needs a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The others' decoders give out whatever comes of a block at once, a gigabyte of 1 kB.
            kind = {12: "bzip2", 14: "LZMA"}.get(entry.compress_type, "a rare method")
            _refuse(f"{_shown(entry)} is packed by {kind}; expected an ordinary ZIP, by deflate")
        packed = max(entry.compress_size, 1)
        if entry.file_size > _SMALL and entry.file_size / packed > MAX_RATIO:
            _refuse(f"{_shown(entry)} unpacks to {entry.file_size // packed} times its size")
    files = {key for key in seen if not seen[key].endswith("/")}
    for key in seen:
        for parent in PurePosixPath(key).parents:
            if str(parent) in files:
                _refuse(f"{seen[key]!r} lies inside {str(parent)!r}, which is a file")
    _check_overlaps(entries)


def _check_name(name: str, shown: str) -> None:
    """Refuse names that are no plain relative path."""
    if "\0" in name or any(ord(c) < 32 for c in name):
        _refuse(f"{shown} has control characters in its name")
    if "\\" in name:
        # Some programs on Windows write folders so.
        name = name.replace("\\", "/")
        if ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name):
            _refuse(f"{shown} has backslashes in its name that lead elsewhere")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        _refuse(f"{shown} has an absolute path")
    if len(name) > MAX_NAME:
        _refuse(f"{shown} has a name of {len(name)} characters, at most {MAX_NAME}")
    parts = name.rstrip("/").split("/")
    if ".." in parts or "." in parts or "" in parts:
        _refuse(f"{shown} has a path that leads elsewhere")
    for part in parts:
        if _RESERVED.fullmatch(part):
            _refuse(f"{shown} has a name that Windows reserves")
        if part != part.strip() or (part.endswith(".") and part.strip(".")):
            _refuse(f"{shown} has a name that ends or begins with a space or ends with a dot")


def _check_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that share bytes of the archive."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            _refuse(f"{_shown(entry)} overlaps another entry")
        # A local header has 30 bytes and the name at least.
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size


def _check_totals(count: int, total: int, times: int) -> None:
    """Refuse too many files or bytes."""
    if count > MAX_FILES * times:
        _refuse(f"there are more than {MAX_FILES * times} files")
    if total > MAX_BYTES * times:
        _refuse(f"it unpacks to more than {MAX_BYTES * times // 10**6} MB")


def _original(entry: zipfile.ZipInfo) -> str:
    """An entry's name as it was meant: UTF-8 that does not say so is not taken for cp437."""
    name = entry.orig_filename
    if not entry.flag_bits & 0x800 and not name.isascii():
        try:
            return name.encode("cp437").decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            return name
    return name


def _name(entry: zipfile.ZipInfo) -> str:
    """An entry's name with forward slashes, in NFC."""
    return unicodedata.normalize("NFC", _original(entry)).replace("\\", "/")


def _shown(entry: zipfile.ZipInfo) -> str:
    """An entry's name, short and printable."""
    return repr(_original(entry)[:60])


def _refuse(reason: str) -> NoReturn:
    """Refuse."""
    raise ArchiveRefused(reason)
