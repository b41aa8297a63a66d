"""A course of forty students, in every layout that a tutor's folder has: made for a look at it.

python tests/check/course_folder.py FOLDER
digitspan check FOLDER
"""

import inspect
import io
import json
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import digitspan.part1.lstm

__all__ = ["STUDENTS", "make_course"]

SURNAMES = (
    "Adler Böhm Conrad Dorn Ebert Figueiredo Groß Hahn Ivanova Jung Kaya Lang Müller Nowak "
    "O’Brien Parthasarathy Quast Richter Şahin Tanaka Ulrich Vogel Weiß Xu Yılmaz Zhang Arnold "
    "Brandt Codrescu Diaz Engel Fuchs Gomez Huber Isaksen Jansen Koch Lopez Meier Novák"
).split()
STUDENTS = tuple(f"{name}-{1000001 + n}" for n, name in enumerate(SURNAMES))
FAULTS = (
    ("h = torch.tanh(c) * o", "h = c * o"),
    ("c = g * i + c * f", "c = g * i"),
    ("        return p\n", "        return torch.softmax(p, 1)\n"),
)


def part1(fault=None):
    """The sheet's own code, with a fault in the LSTM or without."""
    folder = Path(inspect.getfile(digitspan.part1.lstm)).parent
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("[a-z]*.py")}
    if fault is not None:
        old, new = FAULTS[fault]
        assert old in files["lstm.py"]
        files["lstm.py"] = files["lstm.py"].replace(old, new)
    return {f"part1/{name}": text for name, text in files.items()}


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tarred(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return data.getvalue()


def notebook(files):
    cells = [{"cell_type": "code", "source": text} for _, text in sorted(files.items())]
    cells.insert(0, {"cell_type": "code", "source": "%matplotlib inline\ngpu = !nvidia-smi"})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


PDF = b"%PDF-1.4\n%%EOF\n"


def layout(number, student):
    """The files that one student's entry consists of, by their names in the course's folder."""
    fault = number % 4 - 1 if number % 4 else None
    code = part1(fault)
    own = {**code, f"{student}.pdf": PDF}
    surname = student.partition("-")[0]
    two = {name.rpartition("/")[2]: code[name] for name in code if "lstm" in name or "rnn" in name}
    layouts = (
        {f"{student}.zip": zipped(own)},
        {f"{student} (1).zip": zipped(own)},
        {f"{unicodedata.normalize('NFD', student)}.zip": zipped(own)},
        {f"{student}/{name}": content for name, content in own.items()},
        {f"{surname}_{student[-7:]}/{name}": content for name, content in two.items()},
        {f"{student}.tar.gz": tarred(own)},
        {f"{student}/abgabe.zip": zipped(own)},
        {f"{student}.ipynb": notebook(two)},
        {f"{student}.zip": zipped({f"{student}.zip": zipped(own)})},
        {f"{student}.rar": b"Rar!\x1a\x07\x00xxxx"},
        {f"{student}.7z": b"7z\xbc\xaf\x27\x1c\x00\x04"},
        {f"{student}.pdf": PDF},
        {f"{student}/": b""},
        {f"{student}/report.pdf": PDF},
        {f"{surname} Kim_{300 + number}_assignsubmission_file/{student}.zip": zipped(own)},
        {f"{student}.zip": zipped({**own, "env/lib/python3.9/site-packages/x.py": ""})},
        {f"{student}.zip": zipped({**code, "Somebody-7654321.pdf": PDF})},
        {f"{student}.zip": zipped(own)[:-200]},
        {f"{student}/work.ipynb": notebook(two)[:1500]},
        {f"{student}.docx": b"PK\x03\x04 no archive"},
    )
    return layouts[number % len(layouts)]


def make_course(folder, students=STUDENTS):
    """Write the folder; returns the students' names."""
    strays = {"points.py": b"print(1)\n", "list.csv": b"a,b\n", "solution/lstm.py": b"x = 1\n"}
    entries = [strays, *(layout(number, student) for number, student in enumerate(students))]
    for files in entries:
        for name, content in files.items():
            path = folder / name
            if name.endswith("/"):
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(students)


if __name__ == "__main__":
    make_course(Path(sys.argv[1]))
