"""What hostile hand-ins do to the checker: 200 of them, made from a seed, each checked once.

    python benchmarks/check_hostile.py --count 200

Archives, PDFs, notebooks, Python that is hard to read and programs that try to get out or to forge
a verdict. Counted are passes that nobody earned, files written outside, checks that broke or took
longer than they may, and the most memory that the checker's own process held.
"""

from __future__ import annotations

import argparse
import base64
import collections
import io
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import digitspan.part1
from digitspan.check.course_rules import read_rules
from digitspan.check.findings import Report
from digitspan.check.hand_in import check_hand_in
from digitspan.check.sandbox.isolation import Limits, require_level

PART1 = Path(digitspan.part1.__file__).parent
SECONDS = 8.0
"""Of the code of one hand-in."""
LONGEST = 120.0
"""Seconds, after which a check counts as one that does not end; on two idle cores."""

Files = dict[str, bytes]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled, or cut off."""
    copy = bytearray(data)
    for _ in range(rng.choice((1, 3, 20))):
        at = rng.randrange(len(copy))
        kind = rng.randrange(4)
        if kind == 0:
            copy[at] = rng.randrange(256)
        elif kind == 1:
            copy[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
        elif kind == 2:
            copy[at:at] = copy[at : at + rng.randrange(1, 200)]
        else:
            del copy[at : at + rng.randrange(1, 50)]
    return bytes(copy)


def an_archive(rng: random.Random, own: Files) -> tuple[str, bytes]:
    """An archive that lies, leads elsewhere, or grows."""
    name = rng.choice(("../escaped.py", "/tmp/escaped.py", "a/../../escaped.py", "C:\\escaped.py",
                       "..\\escaped.py", "con.py", "a\0b.py", "x" * 5000 + ".py"))  # fmt: skip
    link = zipfile.ZipInfo("part1/lstm.py")
    link.external_attr = 0o120777 << 16
    inner = zipped({"big": b"\0" * 10**7})
    makes: tuple[Callable[[], bytes], ...] = (
        lambda: damaged(zipped(own), rng),
        lambda: zipped({**own, name.replace("\0", "_"): b"import os"}),
        lambda: zipped({"zeros": b"\0" * rng.choice((10**7, 150 * 10**6))}),
        lambda: zipped({f"{n}.zip": inner for n in range(30)}),
        lambda: zipped(own, zipfile.ZIP_BZIP2),
        lambda: zipped(own, zipfile.ZIP_LZMA),
        lambda: zipped({f"f{n}.py": b"x = 1" for n in range(3000)}),
        lambda: zipped({link.filename: b"/etc/passwd"}).replace(
            b"\x00\x00\xa4\x81", b"\0\0\xff\xa1"
        ),
        lambda: zipped(own) + zipped({"part1/lstm.py": b"import os"}),
        lambda: zipped(own)[: rng.randrange(30, 4000)],
        lambda: rng.randbytes(5000),
        lambda: b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 0, 0),
    )
    return "Doe-1234567.zip", rng.choice(makes)()


def a_pdf(rng: random.Random, own: Files) -> tuple[str, bytes]:
    """A PDF that takes long, leads in circles, or is none."""
    pages = rng.choice((1, 40, 2000))
    drawing = zlib.compress(b"(x) Tj 0 0 m 1 1 l S\n" * rng.choice((10, 10**5, 10**6)))
    kids = " ".join(["3 0 R"] * pages)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {rng.choice((pages, 10**9, -1))}>>".encode(),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R"
        + rng.choice((b"", b"/Resources 3 0 R", b"/Parent 3 0 R")) + b">>",
        b"<</Length %d/Filter[%s]>>stream\n" % (
            len(drawing), b"/FlateDecode" * rng.choice((1, 1, 50))) + drawing + b"\nendstream",
    ]  # fmt: skip
    if rng.random() < 0.3:
        objects[1] = b"<</Type/Pages/Kids[2 0 R]/Count 1>>"
    data, starts = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        starts.append(len(data))
        data += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    end = b"xref\n0 5\n0000000000 65535 f \n" + table
    data += end + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(data))
    pdf = damaged(bytes(data), rng) if rng.random() < 0.5 else bytes(data)
    return "Doe-1234567.zip", zipped({"Doe-1234567.pdf": pdf})


def a_notebook(rng: random.Random, own: Files) -> tuple[str, bytes]:
    """A notebook that is no notebook, or is one with much in it."""
    text = own["part1/lstm.py"].decode()
    deep: object = text
    for _ in range(rng.choice((1, 500))):
        deep = [deep]
    cell: dict[str, object] = {"cell_type": "code", "source": deep}
    bad = rng.choice((None, 5, {"cell_type": 7}, cell, {"source": {"a": 1}}, "%%" * 10**5))
    book = {"cells": [cell, bad], "nbformat": rng.choice((4, 3, -1, "x", 10**30))}
    data = json.dumps(book).encode()
    makes = (data, b"[" * 10**5, damaged(data, rng), b"{" + b'"a":{' * 10**5, b"\xff\xfe" + data)
    return "Doe-1234567.zip", zipped({"work.ipynb": rng.choice(makes)})


def a_text(rng: random.Random, own: Files) -> tuple[str, bytes]:
    """Python that is hard to read."""
    texts = (
        "x = " + "(" * 10**5, "x = " + "-" * 10**5 + "1", "x = " + "+".join(["1"] * 10**5),
        "x = 1" + "0" * 10**5, "a" * 10**6, "x = '" + "\\N{DIGIT ONE}" * 10**5 + "'",
        "\n".join(f"def f{n}(): f{n + 1}()" for n in range(10**4)), "# coding: zip\nx = 1",
        "# coding: rot13\nk = 1", "\0" * 1000, "class LSTM: pass\n" * 2 * 10**4,
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 99)), "x = [" * 5000,
        "f'" + "{" * 200 + "'", "match x:\n" + " case 1: pass\n" * 10**4,
    )  # fmt: skip
    text = rng.choice(texts).encode()
    return "Doe-1234567.zip", zipped({"part1/lstm.py": text, "part1/train.py": text})


TRIES = (
    "os._exit(0)", "sys.exit(0)", "while True: pass", "x = bytearray(3 * 10**9)",
    "open('{out}/escaped', 'w').write('x')", "os.kill(os.getppid(), 9)",
    "[os.fork() for _ in range(9)]", "while True: print('x' * 10**5)", "os.closerange(0, 64)",
    "os.write(1, b'\\xff' * 16)", "os.write(1, b'{{\"verdict\": \"pass\"}}' * 99)",
    "import socket; socket.create_connection(('1.1.1.1', 53), 2)",
    "open('/tmp/' + 'f' * 99, 'wb').write(bytes(10**9))", "os.kill(os.getpid(), 11)",
    "import threading as t; [t.Thread(target=time.sleep, args=(99,)).start() for _ in range(200)]",
    "raise ValueError('\\x1b[2J\\u202e' + '=1+1' * 10**6)", "os.setsid(); os.fork()",
    "sys.setrecursionlimit(10**9); f = lambda: f(); f()",
)  # fmt: skip
WRONG = ("c = g * i + c * f", "c = g * i")


def a_program(rng: random.Random, own: Files) -> tuple[str, bytes]:
    """A wrong LSTM that does something else besides, when it is imported, built or called."""
    deed = rng.choice(TRIES).format(out=os.environ["HOSTILE_OUT"])
    text = own["part1/lstm.py"].decode().replace(*WRONG)
    code = base64.b64encode(deed.encode()).decode()
    line = f"import os, sys, time, base64; exec(base64.b64decode('{code}'))"
    place = rng.choice(("import", "forward"))
    if place == "import":
        head, _, rest = text.partition("import torch\n")
        text = f"{head}import torch\n{line}\n{rest}"
    else:
        at = text.index("        ", text.index("def forward"))
        text = f"{text[:at]}        {line}\n{text[at:]}"
    return "Doe-1234567.zip", zipped({**own, "part1/lstm.py": text.encode()})


KINDS = (an_archive, a_pdf, a_notebook, a_text, a_program)


def unearned(kind: str, report: Report) -> bool:
    """Whether something passed that should not have."""
    passed = {name for name, section in report.classes.items() if section.verdict == "pass"}
    if kind == "a_program":
        return "LSTM" in passed
    # What is right may be read although something beside it is damaged.
    return bool(passed) and kind in ("a_pdf", "a_text")


def main() -> None:
    """Check them, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="hand-ins (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="what they are made from (default: 0)")
    parser.add_argument("--isolation", default="auto", help="auto, isolated or limited")
    options = parser.parse_args()
    level, rng = require_level(options.isolation), random.Random(options.seed)
    own = {f"part1/{path.name}": path.read_bytes() for path in PART1.glob("[a-z]*.py")}
    troubles: list[str] = []
    verdicts: collections.Counter[str] = collections.Counter()
    slowest, peak_of = 0.0, "nothing"
    before = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        out.mkdir(mode=0o777)
        os.environ["HOSTILE_OUT"] = str(out)
        for number in range(options.count):
            # Programs cost the most time by far.
            make = rng.choices(KINDS, (5, 4, 3, 3, 3))[0]
            name, data = make(rng, own)
            path = Path(folder, name)
            path.write_bytes(data)
            start = time.perf_counter()
            report = check_hand_in(path, level, Limits(seconds=SECONDS), read_rules(None))
            seconds = time.perf_counter() - start
            slowest = max(slowest, seconds)
            now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if now > peak:
                peak, peak_of = now, f"{make.__name__} {number}"
            if number % 10 == 9:
                told = f"{number + 1} checked, {len(troubles)} troubles, {round(peak / 1024)} MB"
                print(told, file=sys.stderr)
            verdicts.update(section.verdict for section in report.classes.values())
            if unearned(make.__name__, report):
                troubles.append(f"{number}: {make.__name__}: a pass that nobody earned")
            if any(out.iterdir()) or Path("/tmp/escaped.py").exists():
                troubles.append(f"{number}: {make.__name__}: wrote outside")
            if seconds > LONGEST:
                troubles.append(f"{number}: {make.__name__}: took {seconds:.0f} s")
            sections = [*report.classes.values(), report.training, report.package]
            if any("\x1b" in f.message for section in sections for f in section.findings):
                troubles.append(f"{number}: {make.__name__}: an escape sequence gets out")
    print(
        json.dumps(
            {
                "hand_ins": options.count,
                "isolation": level,
                "troubles": troubles,
                "verdicts_of_classes": verdicts,
                "slowest_seconds": round(slowest, 1),
                "peak_MB_of_the_checker": round(peak / 1024),
                "of_these_before_the_first": round(before / 1024),
                "peak_at": peak_of,
                "load_average": os.getloadavg()[0],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
