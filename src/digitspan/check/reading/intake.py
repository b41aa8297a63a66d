"""What was given, entry by entry: which are hand-ins, and whose; what is none is told, and why.

Nobody may be missing without a word: whatever lies in a folder or an archive of a whole course
becomes a hand-in or is named with the reason why it is none.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from digitspan.check.plain import plain
from digitspan.check.reading.hand_ins import READER, READING, copied, file_list
from digitspan.check.reading.who import Student, folded, numbers_of, student_of
from digitspan.check.sandbox.child.reader.archive import is_archive_name
from digitspan.check.sandbox.process import (
    ChildLost,
    ChildProcess,
    ChildRefused,
    new_folder,
    remove,
)
from digitspan.errors import UsageError
from digitspan.files import read_text

__all__ = ["Entry", "Intake", "LeftOut", "Who", "read_pattern", "read_roster", "take_in"]

_NO_KIND = "it is neither an archive nor a folder, Python, a notebook or a PDF"
_MOST_FILES = 200_000
_SYSTEM = re.compile(
    r"\.(_.*|DS_Store|git.*|hg.*|svn|venv|env|idea|vscode|vs|ipynb_checkpoints|\w*_?cache(__)?"
    r"|Trash.*|Spotlight.*|fseventsd|TemporaryItems|directory|keep|python-version|~lock.*)"
    r"|__MACOSX|__pycache__|Thumbs\.db|desktop\.ini|Icon\r?",
    re.IGNORECASE,
)
_CODE = (".py", ".ipynb")
_TEXT = (".doc", ".docx", ".odt", ".pages", ".rtf", ".txt")
"""Texts that are no hand-in, and yet all that some students hand in."""
_SHEET_FILE = re.compile(r"rnn|lstm", re.IGNORECASE)

_MOODLE = r"(?P<student>[^/]+?_\d+)_assignsubmission_(?:file|onlinetext)[_/]?"
_CANVAS = r"(?P<student>[^\W\d_][^\W_]*(?:-[^\W_]+)*(?:_LATE)?_\d{2,})_\d{2,}_"
_BLACKBOARD = r".+?_(?P<student>[^\W_]+)_attempt_[\d-]+[_.]"
_ILIAS = r"(?P<student>[^\W\d_][^_/]*(?:_[^\W\d_][^_/]*)+)_[^_/]+_\d{3,9}$"
_PLATFORM = re.compile(
    f"(?:{_MOODLE})|(?:{_CANVAS.replace('student', 'canvas')})"
    f"|(?:{_BLACKBOARD.replace('student', 'board')})|(?:{_ILIAS.replace('student', 'ilias')})"
)
"""How learning platforms name what is handed in: Moodle, Canvas, Blackboard, ILIAS's folders.

The numbers are the platform's own, not the students'.
"""
_DEEPEST = 3
"""So many archives, each with nothing but the next one in it, are opened to find a course."""

_PART_WORDS = frozenset(
    "part parts task tasks assignment exercise exercises ex sheet question problem q lab hw "
    "homework uebung übung aufgabe abgabe blatt teil week code codes src source sources python py "
    "notebook notebooks nb report reports fig figs figure figures plot plots result results model "
    "models data dataset datasets util utils lib tests test docs doc images image img checkpoint "
    "checkpoints logs log runs run old backup bak copy archive solution solutions template "
    "templates skeleton draft deprecated rnn lstm vanilla recurrent network networks nn gru torch "
    "pytorch final version v new my the and of pycache config configs scripts script tools handin "
    "hand in ins submission submissions upload venv env dl deep learning training train eval "
    "main output outputs out experiments bonus extra optional analysis summary".split()
)
"""Words of which names of the parts of a hand-in are made; a student is called otherwise."""
_OF_COURSE = re.compile(
    r"(week|sheet|exercise|assignment|hw|homework|lab|uebung|übung|abgabe|submission|hand.?in)",
    re.IGNORECASE,
)
"""Words by which the parts of a course are called, in which archives are hand-ins."""


class Entry(NamedTuple):
    """One hand-in among what was given."""

    name: str
    """As it was given; inside an archive, with the archive's name before it."""
    path: Path
    """Where its files are."""
    student: Student | None
    """Whose it is, as far as names, pattern or roster say."""


class LeftOut(NamedTuple):
    """Something that was given and is no hand-in."""

    name: str
    reason: str


class Intake(NamedTuple):
    """All that was given."""

    entries: list[Entry]
    left_out: list[LeftOut]
    missing: list[Student]
    """Those of the roster of whom there is nothing."""

    def lines(self) -> list[str]:
        """What was found, in a line, and below it what is no hand-in, with the reason."""
        found = len(self.entries) + len(self.left_out)
        hand_ins = "1 hand-in" if len(self.entries) == 1 else f"{len(self.entries)} hand-ins"
        first = f"{found} found: {hand_ins}, {len(self.left_out)} not understood"
        lines = [first + (f"; {len(self.missing)} of the roster missing" if self.missing else "")]
        lines += [f"  not understood: {plain(e.name)} ({e.reason})" for e in self.left_out]
        lines += [f"  missing: {plain(str(student))}" for student in self.missing]
        return lines


class Who(NamedTuple):
    """What the course says about who is who."""

    pattern: re.Pattern[str] | None = None
    roster: tuple[Student, ...] = ()


class _Node:
    """A file or folder of what was given, by its name alone."""

    def __init__(self, name: str, place: str, *, folder: bool, link: bool = False) -> None:
        self.name = unicodedata.normalize("NFC", name)
        self.aside = "a link, which is not followed" if link else ""
        """Why it is named alone, and nothing in it looked at; empty where that is not so."""
        if name.startswith("."):
            self.aside = "its name begins with a dot, as those of hidden files do"
        self.place = place
        """Its path, relative to the root."""
        self.folder = folder and not self.aside
        self.inside: dict[str, _Node] = {}

    @property
    def parts(self) -> list[_Node]:
        """What lies in it, without what systems leave behind."""
        nodes = [self.inside[name] for name in sorted(self.inside)]
        return [node for node in nodes if not _SYSTEM.fullmatch(node.name)]

    @property
    def archive(self) -> bool:
        """Whether it is an archive, of a kind that is opened or not."""
        return not self.folder and not self.aside and is_archive_name(self.name)

    @property
    def code(self) -> bool:
        """Whether it is Python or a notebook."""
        return not self.folder and not self.aside and self.name.lower().endswith(_CODE)

    @property
    def work(self) -> bool:
        """Whether it is something that is handed in, not a plot or a log."""
        return self.code or self.pdf or self.archive

    @property
    def pdf(self) -> bool:
        """Whether it is a PDF."""
        return not self.folder and not self.aside and self.name.lower().endswith(".pdf")

    def files(self) -> Iterator[_Node]:
        """All files in it."""
        for node in self.parts:
            if node.folder:
                yield from node.files()
            elif not node.aside:
                yield node

    def holds_work(self) -> bool:
        """Whether there is Python, a notebook, a PDF or an archive anywhere in it."""
        return any(node.work for node in self.files())


def read_pattern(text: str) -> re.Pattern[str]:
    """The value of --pattern: a regular expression with a group called student.

    Raises:
        ValueError: where it is none; the message says what was expected.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        message = f"must be a regular expression; got {text[:80]!r}: {error}"
        raise ValueError(message) from error
    if "student" not in pattern.groupindex:
        message = f"must have a group (?P<student>...), as in '(?P<student>[^_]+)_'; got {text!r}"
        raise ValueError(message)
    return pattern


def read_roster(path: Path | None) -> tuple[Student, ...]:
    """The students of a course, one a line: surname and matriculation number, in any order.

    Cells are separated by commas, semicolons or tabs; the first cell with no digit is the
    surname, the first with five digits the number. A line without a number is a heading where
    others have one.

    Raises:
        UsageError: where the file cannot be read, or has no student.
    """
    if path is None:
        return ()
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        message = f"--roster must be a text file; {str(path)[:200]!r}: {error}"
        raise UsageError(message) from error
    students = []
    for line in lines:
        cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)]
        names = [cell for cell in cells if cell and not any(c.isdigit() for c in cell)]
        numbers = [cell for cell in cells if re.fullmatch(r"[A-Za-z]{0,2}\d{4,12}", cell)]
        if names:
            name = unicodedata.normalize("NFC", names[0])
            students.append(Student(name, numbers[0] if numbers else ""))
    if any(student.number for student in students):
        students = [student for student in students if student.number]
    if not students:
        message = (
            f"--roster must name students, one a line, such as Adler,1000001; there is none in "
            f"{str(path)[:200]!r}"
        )
        raise UsageError(message)
    return tuple(students)


@contextlib.contextmanager
def take_in(paths: list[Path], level: str, who: Who | None = None) -> Iterator[Intake]:
    """List all that was given; what was unpacked for it is removed in the end.

    Args:
        paths: archives, folders, files.
        level: how far the child that opens archives is shut in.
        who: what the course says about who is who.

    Raises:
        UsageError: where a path is not there, or nothing in them is a hand-in.
    """
    who = who or Who()
    work = _Work(level, who, new_folder("course-"))
    try:
        for path in paths:
            work.add(path)
        if not work.entries:
            reason = work.left_out[0].reason if work.left_out else "there are none in it"
            message = (
                f"PATH must hold hand-ins: a ZIP, Python files or notebooks; got "
                f"{plain(str(paths[0]), 200)!r}: {reason}"
            )
            raise UsageError(message)
        entries = list({entry.path: entry for entry in work.entries}.values())
        missing = [s for s in who.roster if not any(entry.student == s for entry in entries)]
        yield Intake(entries, work.left_out, missing)
    finally:
        remove(work.folder)


class _Work:
    """What is known of all that was given so far."""

    def __init__(self, level: str, who: Who, folder: Path) -> None:
        self.level, self.who, self.folder = level, who, folder
        self.entries: list[Entry] = []
        self.left_out: list[LeftOut] = []
        self._made = 0

    def add(self, path: Path) -> None:
        """Take in one path of the command line."""
        if not path.exists():
            message = f"PATH must be a ZIP or a folder; there is no {plain(str(path), 200)!r}"
            raise UsageError(message)
        if path.is_dir():
            self._divide(_node_of(path), path, str(path))
        elif is_archive_name(path.name):
            self._archive(_Node(path.name, path.name, folder=False), path, str(path), None)
        elif path.name.lower().endswith((*_CODE, ".pdf")):
            self.entries.append(Entry(str(path), path, student_of(path.name, strict=False)))
        else:
            self.left_out.append(LeftOut(str(path), _NO_KIND))

    def _divide(self, node: _Node, root: Path, shown: str) -> None:
        """Take in a folder: one hand-in, or many."""
        if self.who.pattern is not None or self.who.roster:
            self._by_course(node, root, shown)
        elif any(_platform(part.name) for part in node.parts if part.work and not part.folder):
            self._by_platform(node, root, shown)
        elif not _is_many(_inmost(node)):
            self._one(node, root, shown)
        else:
            inmost = _inmost(node)
            while node is not inmost:
                inner = next(part for part in node.parts if _counts(part))
                for part in node.parts:
                    if part is not inner:
                        self._part(part, node, root, shown)
                node, shown = inner, f"{shown}/{inner.name}"
            for part in node.parts:
                self._part(part, node, root, shown)

    def _one(self, node: _Node, root: Path, shown: str) -> None:
        """Take in a folder that is one hand-in."""
        work = [part for part in node.parts if _counts(part)]
        if len(work) == 1 and work[0].archive:
            self._archive(work[0], root / work[0].place, f"{shown}/{work[0].name}", None)
            for part in node.parts:
                own = student_of(part.name) == student_of(work[0].name) is not None
                if not (part.folder or part is work[0] or own):
                    self.left_out.append(LeftOut(f"{shown}/{part.name}", part.aside or _NO_KIND))
        elif len(work) == 1 and work[0].folder and (student := _student(work[0].name)):
            self._folder(work[0], root, f"{shown}/{work[0].name}", student)
        elif work:
            path = root / node.place
            self.entries.append(Entry(shown, path, student_of(_base(path), strict=False)))

    def _part(self, part: _Node, beside: _Node, root: Path, shown: str) -> None:
        """Take in one entry of a course's folder."""
        name, path = f"{shown}/{part.name}", root / part.place
        student = _student_among(part, beside)
        is_part = student is None and _is_part(part.name)
        if part.aside:
            self.left_out.append(LeftOut(name, part.aside))
        elif part.folder and is_part and (_is_course(part) or _students_in(part)):
            self._divide(part, root, name)
        elif part.folder and "_onlinetext" in part.name and _has_files(part, beside):
            reason = "a text beside the files of the same student"
            self.left_out.append(LeftOut(name, reason))
        elif part.folder and is_part and part.holds_work():
            reason = "it is called like a part of a hand-in, not after a student"
            self.left_out.append(LeftOut(name, reason))
        elif part.folder and not part.parts:
            self.entries.append(Entry(name, path, student))
        elif part.folder and student is None and _is_many(part):
            self._divide(part, root, name)
        elif part.folder:
            self._folder(part, root, name, student)
        elif part.archive:
            self._with_loose(part, beside, root, name, student)
        elif student is not None:
            self._loose(part, beside, root, name, student)
        elif part.code:
            what = "notebook" if part.name.endswith(".ipynb") else "script"
            self.left_out.append(LeftOut(name, f"a {what} that is called after no student"))
        elif part.pdf:
            self.left_out.append(LeftOut(name, "a PDF that is called after no student"))
        else:
            self.left_out.append(LeftOut(name, _NO_KIND))

    def _loose(self, part: _Node, beside: _Node, root: Path, name: str, student: Student) -> None:
        """Take in the loose files of a student, with the first of them, unless with an archive."""
        same = [node for node in beside.parts
                if not (node.folder or node.aside)
                and _student_among(node, beside) == student]  # fmt: skip
        if any(node.archive for node in same) or part is not same[0]:
            return
        path = root / part.place
        if len(same) > 1:
            path = self._gathered([(node, _without(student, node.name)) for node in same], root)
        self.entries.append(Entry(name, path, student))

    def _folder(self, part: _Node, root: Path, name: str, student: Student | None) -> None:
        """Take in a student's folder: what is in it, or the one archive that is in it."""
        work = [node for node in part.files() if node.work]
        if len(work) == 1 and work[0].archive:
            only = work[0]
            inside = only.place.removeprefix(f"{part.place}/")
            self._archive(only, root / only.place, f"{name}/{inside}", student)
            for file in part.files():
                other = _of_text(file)
                if other is not None and student is not None and not other.is_like(student):
                    inside = file.place.removeprefix(f"{part.place}/")
                    reason = f"it lies in the folder of {student}"
                    self.left_out.append(LeftOut(f"{name}/{inside}", reason))
        else:
            self.entries.append(Entry(name, root / part.place, student))

    def _with_loose(
        self, part: _Node, beside: _Node, root: Path, name: str, student: Student | None
    ) -> None:
        """Take in an archive, with the files of the same student that lie beside it."""
        loose = [node for node in beside.parts
                 if student is not None and not node.folder and not node.archive
                 and not node.aside and _student_among(node, beside) == student]  # fmt: skip
        if not loose:
            self._archive(part, root / part.place, name, student)
            return
        path = self._gathered([(node, node.name) for node in (part, *loose)], root)
        self.entries.append(Entry(name, path, student))

    def _archive(self, node: _Node, path: Path, name: str, student: Student | None) -> None:
        """Take in an archive: a student's, or that of a whole course, which is unpacked."""
        student = student or self._on_roster(node.name) or _student(node.name)
        if student is not None and not student.number:
            student = student_of(node.name) or student  # which has the number
        if student is None and (course := self._unpack(path, name)) is not None:
            folder, shown = course
            self._divide(_node_of(folder), folder, shown)
            return
        self.entries.append(Entry(name, path, student))

    def _unpack(self, path: Path, shown: str, depth: int = 1) -> tuple[Path, str] | None:
        """Unpack the archive of a whole course, or the one in it; None where it is a student's.

        Args:
            path: the archive.
            shown: its name, as it is told.
            depth: which it is, of one in the other.

        Returns:
            The folder, and what it is called.
        """
        folder = self.folder / f"archive-{self._made}"
        self._made += 1
        inner = ""
        with copied(path) as (copy, _, problem):
            if problem:
                return None  # reading it as a hand-in says why
            try:
                with ChildProcess(copy, self.level, READING, READER) as child:
                    question = {"do": "open", "only": path.name, "course": True}
                    header, data = child.ask(question)
                    names = [name for name, _, _ in file_list(data)]
                    node = _node_from(names)
                    empty = _empty_folders(header.get("folders"), names)
                    for name in empty:
                        _put(node, name.split("/"), folder=True)
                    by_course = self.who.pattern is not None or bool(self.who.roster)
                    known = by_course and any(map(self._of_course, names))
                    if not known and not _is_many(_inmost(node)):
                        work = [file.place for file in node.files() if file.work]
                        if len(work) != 1 or not is_archive_name(work[0]) or depth == _DEEPEST:
                            return None
                        inner = work[0]
                    for name in empty if not inner else ():
                        (folder / name).mkdir(parents=True, exist_ok=True)
                    for place, name in enumerate(names):
                        if inner and unicodedata.normalize("NFC", name) != inner:
                            continue
                        _, content = child.ask({"do": "content", "file": place})
                        target = folder / name
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(content)
            except (ChildRefused, ChildLost, OSError, ValueError):
                shutil.rmtree(folder, ignore_errors=True)
                return None
        if inner:
            return self._unpack(folder / inner, f"{shown}/{inner}", depth + 1)
        return folder, shown

    def _by_platform(self, node: _Node, root: Path, shown: str) -> None:
        """Take in a flat folder of a learning platform: its files begin with a student's name."""
        groups: dict[str, list[tuple[_Node, str]]] = {}
        for part in node.parts:
            found = None if part.folder or part.aside else _platform(part.name)
            if found is None:
                self._part(part, node, root, shown)
                continue
            key = next(value for value in found.groupdict().values() if value)
            groups.setdefault(key, []).append((part, part.name[found.end() :] or part.name))
        for key, files in groups.items():
            student = next((s for part, _ in files if (s := student_of(part.name))), None)
            student = student or Student(_surname(key), "")
            self._group(key, files, list(node.files()), root, shown, student)

    def _by_course(self, node: _Node, root: Path, shown: str) -> None:
        """Take in a folder in which pattern or roster say whose each file is."""
        groups: dict[Student, list[tuple[_Node, str]]] = {}
        nobodys: dict[str, None] = {}
        for file in node.files():
            inside = file.place.removeprefix(f"{node.place}/") if node.place else file.place
            found = self._of_course(inside)
            if found is None:
                nobodys.setdefault(inside.split("/")[0])
            else:
                student, rest = found
                groups.setdefault(student, []).append((file, rest))
        for folder in node.parts:
            if folder.folder and not any(folder.files()):
                found = self._of_course(f"{folder.name}/")
                if found is None:
                    nobodys.setdefault(folder.name)
                elif found[0] not in groups:
                    path = root / folder.place
                    self.entries.append(Entry(f"{shown}/{folder.name}", path, found[0]))
        everything = list(node.files())
        for student, files in groups.items():
            self._group(str(student), files, everything, root, shown, student)
        option = "--pattern" if self.who.pattern is not None else "--roster"
        for part in node.parts:
            if part.aside:
                self._part(part, node, root, shown)
        for name in nobodys:
            self.left_out.append(LeftOut(f"{shown}/{name}", f"{option} finds no student in it"))

    def _of_course(self, place: str) -> tuple[Student, str] | None:
        """Whose a file is, and its name without that."""
        place = unicodedata.normalize("NFC", place)
        if self.who.pattern is not None:
            found = self.who.pattern.match(place) or self.who.pattern.search(place)
            if found is None or not found["student"]:
                return None
            whole = student_of(found["student"], strict=False)
            rest = place[found.end() :].lstrip("/_- ") if found.start() == 0 else place
            named = self._on_roster(found["student"]) if self.who.roster else None
            return named or whole or Student(found["student"], ""), rest or place.split("/")[-1]
        student = self._on_roster(place)
        return (student, place.partition("/")[2] or place) if student is not None else None

    def _on_roster(self, text: str) -> Student | None:
        """The student of the roster whose number stands in a path, or else whose surname does.

        The surname stands there as whole words, the longest counts, and no other number of a
        student's form with it.
        """
        numbers = {number.lstrip("0") for number in numbers_of(text)}
        digits = {s: re.sub(r"\D", "", s.number).lstrip("0") for s in self.who.roster}
        for student, own in digits.items():
            if own and own in numbers:
                return student
        lengths = {len(own) for own in digits.values() if own}
        for part in text.split("/"):
            named = student_of(part, strict=False)
            other = re.sub(r"\D", "", named.number).lstrip("0") if named else ""
            words = _runs_of_words(part)
            known = [(folded(s.surname), s) for s, own in digits.items()
                     if not (own and len(other) in lengths)]  # fmt: skip
            found = [pair for pair in known if pair[0] in words]
            longest = max((name for name, _ in found), key=len, default="")
            # "van der Berg" is no Berg; where two names stand there, a person has to say.
            found = [pair for pair in found if pair[0] == longest or pair[0] not in longest]
            if found:
                return found[0][1] if len(found) == 1 else None
        return None

    def _group(
        self,
        key: str,
        files: list[tuple[_Node, str]],
        everything: list[_Node],
        root: Path,
        shown: str,
        student: Student,
    ) -> None:
        """Take in the files of one student: where they lie, or together in a folder of their own.

        Args:
            key: what they are called by.
            files: each with its name without what says whose it is.
            everything: all files, of other students too.
            root: where they lie.
            shown: the name of that.
            student: whose they are.
        """
        common = os.path.commonpath([os.path.dirname(node.place) for node, _ in files])
        first = files[0][0]
        alone = sum(node.place.startswith(f"{common}/") for node in everything) == len(files)
        if len(files) == 1 and (first.archive or not common):
            self.entries.append(Entry(f"{shown}/{first.place}", root / first.place, student))
        elif common and alone:
            self.entries.append(Entry(f"{shown}/{common}", root / common, student))
        else:
            self.entries.append(Entry(f"{shown}/{key}", self._gathered(files, root), student))

    def _gathered(self, files: Iterable[tuple[_Node, str]], root: Path) -> Path:
        """A folder with copies of files under names of their own."""
        folder = self.folder / f"files-{self._made}"
        self._made += 1
        for node, name in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                shutil.copyfile(root / node.place, target, follow_symlinks=False)
        return folder


def _without(student: Student, name: str) -> str:
    """The name of a file without the student's."""
    return re.sub(rf"^.*?{re.escape(student.number)}[-_ ]*(?=[^.])", "", name) or name


def _is_many(node: _Node) -> bool:
    """Whether a folder holds hand-ins of several students, by the names in it alone."""
    parts = node.parts
    own = [part for part in parts if part.code]
    course_file = any(_is_part(part.name) or _SHEET_FILE.search(part.name) for part in own)
    holders = [part for part in parts if part.archive or part.folder]
    students = {_key(s) for part in holders if (s := _student_among(part, node))}
    loose = {_key(s) for part in parts
             if (part.code or part.pdf) and (s := _student_among(part, node))}  # fmt: skip
    in_parts = [part for part in holders if part.folder and _is_part(part.name)]
    if course_file:  # beside which runs and copies are called by numbers, too
        in_parts = [part for part in in_parts if any(inner.archive for inner in part.parts)]
    if any(map(_is_course, in_parts)):
        return True
    others = [p for p in holders
              if not _is_part(p.name) and _student(p.name) is None and _counts(p)]  # fmt: skip
    if len(students | loose) > 1 or (students and others):
        return True
    if not own and len(students.union(*map(_students_in, in_parts))) > 1:
        return True
    texts = {_key(s) for part in parts if (s := _of_text(part))}
    if not own and len(students | loose | texts) > 1:
        return True
    if own:
        several = len([part for part in others if part.archive]) > 1
        return several or bool(students and not course_file)
    if students:
        return False
    if loose or any(_is_part(part.name) and _counts(part) for part in holders if part.folder):
        return len([part for part in others if part.archive or _is_whole(part)]) > 1
    return len(others) > 1


def _students_in(part: _Node) -> set[str]:
    """Whose the archives and folders in a folder such as week1 are.

    A number alone may be that of a step or a seed, where nothing that is handed in lies in it.
    """
    found = set()
    for inner in part.parts:
        student = _student_among(inner, part) if inner.archive or inner.folder else None
        if student is not None and (_counts(inner) or student.surname != student.number):
            found.add(_key(student))
        elif inner.archive and _OF_COURSE.match(part.name) and not _is_part(inner.name):
            found.add(folded(inner.name))
    return found


def _of_text(node: _Node) -> Student | None:
    """Whose a Word file or the like is, where it is called as a hand-in must be."""
    if node.folder or node.aside or not node.name.lower().endswith(_TEXT):
        return None
    student = student_of(node.name)
    return None if student is None or _is_part(student.surname) else student


def _is_course(node: _Node) -> bool:
    """Whether a folder such as week1 holds hand-ins of several students, or several whole ones."""
    loose = {_key(s) for part in node.parts if not part.folder and (s := _student(part.name))}
    students = _students_in(node) | loose
    whole = [part for part in node.parts
             if part.folder and not _is_part(part.name) and _is_whole(part)]  # fmt: skip
    return len(students) > 1 or len(whole) > 1


def _has_files(text: _Node, beside: _Node) -> bool:
    """Whether what is handed in with a platform's text lies beside it."""
    files = text.name.replace("_onlinetext", "_file").rstrip("_")
    return any(part is not text and part.name.startswith(files) for part in beside.parts)


def _key(student: Student) -> str:
    """What two names of one student have in common."""
    return folded(student.number or student.surname)


def _counts(node: _Node) -> bool:
    """Whether something can be a hand-in or a part of one."""
    return node.work or (node.folder and node.holds_work())


def _is_whole(node: _Node) -> bool:
    """Whether a folder looks like all of a hand-in, not like a part of one."""
    names = [file.name.lower() for file in node.files()]
    kinds = ("rnn" in " ".join(n for n in names if n.endswith(".py") and "lstm" not in n),
             any("lstm" in name and name.endswith(".py") for name in names))  # fmt: skip
    return all(kinds) or any(file.archive or file.pdf for file in node.files())


def _is_part(name: str) -> bool:
    """Whether a name is made of the words that parts of a hand-in are called by."""
    stem = re.sub(r"(?<=[^\W\d_])\.\w+$", "", name)
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem))
    if not words:
        return not re.search(r"\d{3}", name)
    return all(word.lower() in _PART_WORDS for word in words)


def _student(name: str) -> Student | None:
    """The student that a name is of without doubt: a number stands in it, or a platform's mark."""
    found = _platform(name)
    if found is not None:
        inner = student_of(name) if found.end() < len(name) else None
        key = next((value for value in found.groupdict().values() if value), "")
        return inner or Student(_surname(key), "")
    student = student_of(name, strict=False)
    if student is not None:
        return None if _is_part(student.surname) else student
    numbers = numbers_of(name)
    words = re.findall(r"[^\W\d_]+", name.rsplit(".", 1)[0] if "." in name else name)
    return Student(numbers[0], numbers[0]) if numbers and not words else None


def _student_among(part: _Node, beside: _Node) -> Student | None:
    """The student that an entry of a folder is of, by its name and by those beside it.

    Hand-1000001 may be a part of a hand-in or of Ms Hand: she is one where others beside her are
    called after students with as long a number.
    """
    found = _student(part.name)
    alike = student_of(part.name) if found is None else None
    if alike is None:
        return found
    others = {_key(s): len(s.number) for node in beside.parts if (s := _student(node.name))}
    enough = 1 if part.archive else 2
    return alike if list(others.values()).count(len(alike.number)) >= enough else None


def _platform(name: str) -> re.Match[str] | None:
    """How a learning platform's name begins; a plot such as lstm_20_128_loss.png is none."""
    found = _PLATFORM.match(name)
    words = found and (found["canvas"] or found["ilias"])
    return None if words and _is_part(words) else found


def _runs_of_words(name: str) -> set[str]:
    """The words of a name, and up to four in a row as one."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return {folded("".join(words[i:j])) for i in range(len(words)) for j in range(i + 1, i + 5)}


def _surname(key: str) -> str:
    """The name of a student out of what a platform calls them."""
    return re.sub(r"(_LATE)?(_\d+)+$", "", key).replace("_", " ")


def _inmost(node: _Node) -> _Node:
    """The folder that is meant where there is but one folder in another."""
    parts = [part for part in node.parts if _counts(part)]
    while len(parts) == 1 and parts[0].folder and _student(parts[0].name) is None:
        node = parts[0]
        parts = [part for part in node.parts if _counts(part)]
    return node


def _node_of(folder: Path) -> _Node:
    """A folder with all that lies in it; links are left aside."""
    root = _Node(_base(folder), "", folder=True)
    nodes = {folder: root}
    count = 0
    for where, folders, names in os.walk(folder):
        node = nodes[Path(where)]
        for name in (*folders, *names):
            path = Path(where, name)
            count += 1
            if count > _MOST_FILES:
                got = plain(str(folder), 200)
                message = f"PATH must hold at most {_MOST_FILES:,} files; got {got!r}"
                raise UsageError(message)
            place = path.relative_to(folder).as_posix()
            nodes[path] = node.inside[name] = _Node(
                name, place, folder=name in folders, link=path.is_symlink()
            )
    return root


def _node_from(names: list[str]) -> _Node:
    """A folder out of the names of its files."""
    root = _Node("", "", folder=True)
    for name in names:
        _put(root, name.split("/"), folder=False)
    return root


def _put(node: _Node, words: list[str], *, folder: bool) -> None:
    """Put a file or an empty folder below a node, with the folders that it lies in."""
    for depth, word in enumerate(words):
        place = "/".join(words[: depth + 1])
        inner = _Node(word, place, folder=folder or depth + 1 < len(words))
        node = node.inside.setdefault(word, inner)


def _empty_folders(listed: object, names: list[str]) -> list[str]:
    """The folders with nothing in them out of what the child tells."""
    folders = [f for f in listed if isinstance(f, str)] if isinstance(listed, list) else []
    paths = [PurePosixPath(folder) for folder in folders]
    held = {str(parent) for name in names for parent in (*PurePosixPath(name).parents, name)}
    return [str(path) for path in paths
            if path.parts and not path.is_absolute() and ".." not in path.parts
            and str(path) not in held]  # fmt: skip


def _base(path: Path) -> str:
    """The last name of a path, of `.` too."""
    return path.name or path.resolve().name
