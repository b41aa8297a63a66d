"""The store keeps what it was given, says what it lost, and shows nothing that is not true.

System calls that fail, who holds it, damage, stores of other versions, power cuts.
"""

import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kept import repeated
from processes import PATH
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.errors import DigitspanError, StoreError, UsageError
from digitspan.study import store as store_module
from digitspan.study.config import StudyConfig
from digitspan.study.plan import plan
from digitspan.study.store import Store, Timing

TESTS = Path(__file__).parents[1]
CONFIG = StudyConfig(lengths=(5, 8, 10), seeds=4)
ROWS = made_up_rows(CONFIG, lambda run: run.length < 10)
TIMES = {key: Timing(1.5 + index, 0.0, "here", 1) for index, key in enumerate(ROWS)}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def filled(folder, *, rows=ROWS):
    """A store with some rows, still open."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store.create(folder)
    store.set_value("config", CONFIG.canonical)
    for key, row in rows.items():
        store.add(row._replace(timing=TIMES[key]))
    return store


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study."""
    folder = tmp_path_factory.mktemp("study")
    filled(folder).close()
    return folder


def run_python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": PATH},
        **options,
    )


# What is kept is what was given ---------------------------------------------------------------


def test_rows_come_back_as_they_were_given(study):
    with Store.open(study) as store:
        assert store.rows() == {key: row._replace(timing=TIMES[key]) for key, row in ROWS.items()}
        assert store.value("config") == CONFIG.canonical
        assert store.damaged == 0


def test_rows_are_sorted_by_key(study):
    with Store.open(study / "study.db") as store:
        assert list(store.rows()) == sorted(ROWS)


def test_row_that_is_given_again_replaces_the_old_one(tmp_path):
    key, row = next(iter(ROWS.items()))
    with filled(tmp_path) as store:
        store.add(row._replace(timing=Timing(9.0, 9.0, "there", 2)))
        rows = store.rows()
        assert (len(rows), store.damaged) == (len(ROWS), 0)
        assert rows[key].timing == Timing(9.0, 9.0, "there", 2)


@pytest.mark.parametrize("value", ["", "'", '"; DROP TABLE runs; --', "日本語 🧠", "x" * 100_000])
def test_any_text_is_kept(value, tmp_path):
    with Store.create(tmp_path) as store:
        store.set_value("note", value)
        assert store.value("note") == value
        assert store.value("other") is None


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_durable_store_waits_for_the_disk(durable, level, tmp_path):
    with Store.create(tmp_path, durable=durable) as store:
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_store_can_be_read_while_it_is_written(tmp_path):
    half = dict(list(ROWS.items())[:12])
    with filled(tmp_path, rows=half) as store, Store.open(tmp_path) as reader:
        assert len(reader.rows()) == 12
        for key in list(ROWS)[12:]:
            store.add(ROWS[key]._replace(timing=TIMES[key]))
            with Store.open(tmp_path) as another:
                assert key in another.rows()
                assert another.damaged == 0
        assert len(reader.rows()) == len(ROWS)


@LINUX
def test_store_is_read_where_nothing_can_be_written(study, tmp_path):
    shutil.copytree(study, tmp_path / "study")
    for path in (tmp_path / "study" / "study.db", tmp_path / "study"):
        path.chmod(0o555)
    try:
        with Store.open(tmp_path / "study") as store:
            assert len(store.rows()) == len(ROWS)
    finally:
        (tmp_path / "study").chmod(0o755)
    assert sorted(os.listdir(tmp_path / "study")) == sorted(os.listdir(study))


# What is not ours --------------------------------------------------------------------------------


def with_pragma(folder, **pragmas):
    folder.mkdir(exist_ok=True)
    shutil.copy(pragmas.pop("source"), folder / "study.db")
    connection = sqlite3.connect(folder / "study.db")
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
    connection.close()
    return folder


def first_edition(folder):
    """A store as the first edition laid it out: a run that it ended early, and no role."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "study.db")
    connection.executescript(
        """
        PRAGMA application_id = 0x64737061; PRAGMA user_version = 1;
        CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL, sha256 TEXT NOT NULL);
        CREATE TABLE runs (key TEXT PRIMARY KEY, config TEXT NOT NULL, result TEXT NOT NULL,
            curve TEXT NOT NULL, timing TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID;
        """
    )
    (row,) = list(ROWS.values())[:1]
    texts = [row.record.config.key, row.record.config.canonical, '{"end_state": "plateau"}', "[]"]
    texts.append(json.dumps(row.timing._asdict()))
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", (*texts, digest))
    connection.commit()
    connection.close()
    return folder


def refusals(folder):
    """What is said by whoever reads a store and by whoever writes to it."""
    for open_store in (Store.open, Store.create):
        with pytest.raises(StoreError, match=r".") as caught:
            open_store(folder)
        assert caught.value.exit_status == 2
        assert "\n" not in str(caught.value)
        yield str(caught.value)


def test_store_of_a_newer_version_is_refused_and_left_alone(study, tmp_path):
    folder = with_pragma(tmp_path / "new", source=study / "study.db", user_version=3)
    before = (folder / "study.db").read_bytes()
    for message in refusals(folder):
        assert "was written by a newer version of digitspan (its layout is 3, this" in message
        assert message.endswith("install the newer one to read it")
    assert (folder / "study.db").read_bytes() == before


def test_store_of_the_first_edition_is_refused_and_left_alone(tmp_path):
    """Its early stops are unknowns: none of them may be counted as a failure again."""
    made = first_edition(tmp_path / "old")
    before = (made / "study.db").read_bytes()
    for message in refusals(made):
        assert "is a study of digitspan's first edition, which ended runs before" in message
        assert message.endswith("run the study again with another --out")
    assert (made / "study.db").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("show", "OLD"),
        ("export", "OLD"),
        ("compare", "OLD"),
        ("look", "OLD"),
        ("look", "OLD:000000000000"),
        ("hold", "OLD"),
        ("merge", "OLD", "--out", "NEW"),
        ("handin", "OLD", "--surname", "Muster", "--matriculation", "01234567", "--out", "NEW"),
        ("study", "--cells", "rnn", "--lengths", "5", "--train-steps", "500", "--out", "OLD"),
    ],
    ids=" ".join,
)
def test_a_store_of_the_first_edition_is_one_sentence_in_every_command(words, tmp_path, capsys):
    places = {"OLD": first_edition(tmp_path / "old"), "NEW": tmp_path / "new"}
    before = (places["OLD"] / "study.db").read_bytes()
    call = [str(places.get(word, word)).replace("OLD", str(places["OLD"])) for word in words]
    status, out, err = shown(call, capsys)
    assert (status, out, len(err.splitlines())) == (2, "", 1), (out, err)
    assert "is a study of digitspan's first edition" in err
    assert (places["OLD"] / "study.db").read_bytes() == before
    assert not list(places["NEW"].glob("*")), "half written"


def test_role_of_a_run_is_kept_and_is_no_less_safe_than_its_result(tmp_path):
    roles = ["design", "figure", "fixed-rate", "control"]
    rows = [row._replace(role=role) for row, role in zip(ROWS.values(), roles, strict=False)]
    with Store.create(tmp_path) as store:
        for row in rows:
            store.add(row)
        assert [row.role for row in store.rows().values()] == [
            row.role for row in sorted(rows, key=lambda row: row.record.config.key)
        ]
        store._connection.execute("UPDATE runs SET role = 'design' WHERE role = 'figure'")
        assert (len(store.rows()), store.damaged) == (3, 1)


def test_store_of_this_layout_is_opened(study, tmp_path):
    folder = with_pragma(tmp_path / "same", source=study / "study.db", user_version=2)
    with Store.open(folder) as store:
        assert len(store.rows()) == len(ROWS)


def test_database_of_another_program_is_refused_and_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    before = (tmp_path / "study.db").read_bytes()
    for message in refusals(tmp_path):
        assert message.endswith("is not a study of digitspan but a database of another program")
    assert (tmp_path / "study.db").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"x" * 5000, b"SQLite format 3\0" + b"\0" * 5000, b"key,cell"]
)
def test_file_that_is_no_database_is_refused_and_left_alone(content, tmp_path):
    (tmp_path / "study.db").write_bytes(content)
    for message in refusals(tmp_path):
        assert "is not a study of digitspan" in message
    assert (tmp_path / "study.db").read_bytes() == content
    assert os.listdir(tmp_path) == ["study.db"]


def test_store_that_was_not_begun_yet_says_so(tmp_path):
    (tmp_path / "study.db").touch()
    with pytest.raises(StoreError, match="is empty: its study was not begun yet"):
        Store.open(tmp_path)
    with Store.create(tmp_path) as store:  # as after a kill at the very beginning
        assert store.rows() == {}


@pytest.mark.parametrize("name", ["nowhere", "n" * 300, "a/b/c", "📁"])
def test_study_that_is_not_there_is_a_sentence(name, tmp_path):
    with pytest.raises(UsageError, match=r"no study at '.*': expected a folder with study.db"):
        Store.open(tmp_path / name)


def test_row_of_an_unknown_shape_is_left_out_and_counted(tmp_path):
    # Whole, but written by a version that knows more settings than this one.
    with filled(tmp_path) as store:
        key = min(ROWS)
        query = store._connection.execute("SELECT * FROM runs WHERE key = ?", (key,))
        columns = query.fetchone()
        config = json.loads(columns[1]) | {"brand_new": 1}
        changed = (key, json.dumps(config), *columns[2:6])
        store._connection.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*changed, store_module._digest(*changed)),
        )
        rows = store.rows()
        assert (len(rows), store.damaged) == (len(ROWS) - 1, 1)


# Who holds it ------------------------------------------------------------------------------------


@LINUX
@repeated(4, 100)
def test_of_eight_processes_one_works_and_seven_are_refused(times, tmp_path):
    # Every time on a fresh store, which one of them makes.
    done = run_python(TESTS / "crowd.py", tmp_path, 8, times)
    assert done.returncode == 0, done.stderr
    for outcomes in json.loads(done.stdout):
        working = [pid for pid, said in outcomes if said == "works"]
        assert len(working) == 1, outcomes
        for pid, said in outcomes:
            if pid != working[0]:
                assert f"is being run by process {working[0]} since 2" in said, said
                assert "; wait for it to end, stop it, or choose another --out" in said
    print(f"{times} x 8 processes: one works, seven are refused")


@LINUX
@repeated(10, 50)
def test_lock_dies_with_its_holder(times, tmp_path):
    done = run_python(TESTS / "crowd.py", tmp_path, 1, times)
    assert done.returncode == 0, done.stderr
    assert [value for _, value in json.loads(done.stdout)] == ["kept"] * times
    print(f"{times} holders killed: the next one works at once")


def test_held_store_is_refused_in_the_same_process_too(tmp_path):
    with Store.create(tmp_path):
        with pytest.raises(StoreError, match=f"is being run by process {os.getpid()} since"):
            Store.create(tmp_path)
        with Store.open(tmp_path) as reader:  # whoever reads is not refused
            assert reader.rows() == {}
    Store.create(tmp_path).close()


def test_store_that_is_discarded_leaves_nothing_but_rows(tmp_path):
    store = Store.create(tmp_path)
    store.set_value("config", "asked for")
    store.discard()
    assert os.listdir(tmp_path) == []
    filled(tmp_path).close()
    (tmp_path / ".lock").unlink()
    before = (tmp_path / "study.db").read_bytes()
    Store.create(tmp_path).discard()
    assert os.listdir(tmp_path) == ["study.db"]
    assert (tmp_path / "study.db").read_bytes() == before
    new = tmp_path / "new"
    new.mkdir()
    filled(new).discard()
    with Store.open(new) as store:
        assert store.rows()


def test_what_lies_in_the_place_of_a_store_that_was_moved_is_not_discarded(tmp_path):
    store = Store.create(tmp_path)
    (tmp_path / "study.db").rename(tmp_path / "moved.db")
    (tmp_path / "study.db").write_bytes(b"somebody else's")
    store.discard()
    assert (tmp_path / "study.db").read_bytes() == b"somebody else's"


def test_holder_of_the_past_is_not_named(tmp_path):
    Store.create(tmp_path).close()
    assert (tmp_path / ".lock").read_text() == ""


@LINUX
def test_holder_that_was_killed_is_not_named_for_the_one_that_holds_it_now(tmp_path):
    # The lock's file still names the one that was killed; the present holder is about to write.
    import fcntl

    (tmp_path / ".lock").write_text("process 1 since yesterday")
    with (tmp_path / ".lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writing = threading.Timer(0.03, (tmp_path / ".lock").write_text, ["process 2 since now"])
        writing.start()
        with pytest.raises(StoreError, match="is being run by process 2 since now;"):
            Store.create(tmp_path)
        writing.join()


def test_store_that_another_program_writes_to_is_a_sentence(tmp_path, monkeypatch):
    filled(tmp_path).close()
    monkeypatch.setattr(
        store_module.sqlite3, "connect", lambda *a, c=sqlite3.connect, **k: c(*a, timeout=0.1, **k)
    )
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.create(tmp_path) as store:
        with pytest.raises(StoreError, match=r"another program holds .*; close it and call again"):
            store.set_value("a", "b")
    other.close()


def test_lock_that_cannot_be_had_is_a_sentence(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DigitspanError, match=r"^cannot lock .*\.lock \(Is a directory\)"):
        Store.create(tmp_path)


# Calls that fail ---------------------------------------------------------------------------------


class FailingConnection:
    """A connection whose k-th statement fails, before or after it is done; or all from there."""

    def __init__(self, connection, k, *, forever, after):
        self.connection, self.left = connection, k
        self.forever, self.after = forever, after

    def execute(self, *arguments):
        return self.call(self.connection.execute, *arguments)

    def executescript(self, *arguments):
        return self.call(self.connection.executescript, *arguments)

    def call(self, statement, *arguments):
        self.left -= 1
        failing = self.left == 0 or (self.left < 0 and self.forever)
        if failing and not self.after:
            self.fail()
        result = statement(*arguments)
        if failing:
            self.fail()
        return result

    def fail(self):
        message = "disk I/O error"
        raise sqlite3.OperationalError(message)

    def __getattr__(self, name):
        return getattr(self.connection, name)


@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_no_acknowledged_row_is_lost_whatever_statement_fails(
    forever, after, tmp_path, monkeypatch
):
    some, connect = dict(list(ROWS.items())[:4]), store_module._connect
    for k in range(1, 200):
        folder, kept, failing, said = tmp_path / str(k), [], [], "disk I/O error"

        def faulty(*arguments, k=k, failing=failing):
            failing.append(FailingConnection(connect(*arguments), k, forever=forever, after=after))
            return failing[-1]

        folder.mkdir()
        monkeypatch.setattr(store_module, "_connect", faulty)
        try:
            with Store.create(folder) as store:
                store.set_value("config", CONFIG.canonical)
                store.recount(store.rows())
                for key, row in some.items():
                    store.add(row._replace(timing=TIMES[key]))
                    kept.append(key)
        except DigitspanError as error:
            said = str(error)
        assert "disk I/O error" in said
        assert "\n" not in said
        monkeypatch.setattr(store_module, "_connect", connect)
        with Store.create(folder) as store:
            rows = store.rows()
            assert store.damaged == 0
            assert set(kept) <= set(rows) <= set(some)
            for key, row in rows.items():
                assert row == ROWS[key]._replace(timing=TIMES[key])
            assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if failing[0].left > 0:
            break
    assert failing[0].left > 0, "it never came to its end"
    assert k > 20
    print(f"{k - 1} statements, forever={forever}, after={after}: 0 lost")


STRACE = pytest.mark.skipif(
    shutil.which("strace") is None
    or subprocess.run(
        ["strace", "-o", os.devnull, "-e", "inject=fsync:error=EIO", "true"], capture_output=True
    ).returncode != 0,
    reason="no strace here, or it may not trace",
)  # fmt: skip

CALLS = {
    "openat": "EIO",
    "pwrite64": "EIO",
    "fsync": "EIO",
    "fdatasync": "EIO",
    "ftruncate": "EIO",
    "flock": "EIO",
    "pread64": "EIO",
    "write": "ENOSPC",
    "unlink": "EIO",
}
"""System calls that the store makes, and how they fail. SQLite renames nothing."""


def traced(folder, *inject, count=5):
    """store_writer.py with failing system calls where they concern the store's files."""
    paths = [folder / f"study.db{end}" for end in ("", "-wal", "-shm")] + [folder / ".lock"]
    watched = [word for path in paths for word in ("-P", str(path))]
    log = folder.parent / f"{folder.name}.trace"
    done = subprocess.run(
        ["strace", "-o", str(log), *watched, *inject,
         sys.executable, str(TESTS / "store_writer.py"), str(folder), str(count)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": PATH},
    )  # fmt: skip
    return done, log.read_text()


def assert_nothing_lost(done, log, folder):
    """One sentence, and all rows that were acknowledged."""
    kept = re.findall("kept (.*)", done.stdout)
    assert "Traceback" not in done.stderr, done.stderr
    if "INJECTED" in log and done.returncode:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        # What cannot be read may look like damage, which is refused with 2.
        assert done.returncode == 1 or ("pread64" in log and done.returncode == 2), done.stderr
    else:
        assert (done.returncode, len(kept)) == (0, 5), done.stderr
    if not (folder / "study.db").exists():
        assert kept == []
        return
    with Store.create(folder) as store:
        rows = store.rows()
        assert store.damaged == 0
        assert set(kept) <= set(rows)
        for row in rows.values():
            assert row.record == made_up_record(row.record.config, solved=True)
        assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@STRACE
@pytest.mark.parametrize(
    ("call", "moments"),
    [
        ("pwrite64", "middle"),
        *(pytest.param(call, "all", marks=pytest.mark.slow) for call in CALLS),
    ],
)
def test_no_acknowledged_row_is_lost_whatever_system_call_fails(call, moments, tmp_path):
    (tmp_path / "counted").mkdir()
    done, log = traced(tmp_path / "counted", "-e", f"trace={call}")
    assert done.returncode == 0, done.stderr
    count = len(re.findall(rf"^{call}\(", log, flags=re.MULTILINE))
    tried = range(1, count + 1) if moments == "all" else [count // 2 + 1]
    for k in tried:
        for when in (f"{k}", f"{k}+"):
            folder = tmp_path / when
            folder.mkdir()
            done, log = traced(folder, "-e", f"inject={call}:error={CALLS[call]}:when={when}")
            assert_nothing_lost(done, log, folder)
    print(f"{call}: {count} calls, each failing once and from there on: 0 lost")


# Damage ------------------------------------------------------------------------------------------


def mutated(data, chance):
    """Bytes with a flip, a cut, a hole, a stretch of noise, or two pages exchanged."""
    data, kind = bytearray(data), chance.randrange(8)
    place = chance.randrange(len(data))
    if kind < 3:
        data[place] ^= 1 << chance.randrange(8)
    elif kind == 3:
        data[place] = chance.randrange(256)
    elif kind == 4:
        del data[place:]
    elif kind == 5:
        data[place : place + chance.randrange(1, 5000)] = b""
    elif kind == 6:
        size = min(chance.randrange(1, 200), len(data) - place)
        data[place : place + size] = chance.randbytes(size)
    else:
        one, other = (4096 * chance.randrange(max(1, len(data) // 4096)) for _ in range(2))
        page = data[one : one + 4096]
        data[one : one + 4096] = data[other : other + 4096]
        data[other : other + 4096] = page
    return bytes(data)


def shown(words, capsys):
    """The exit status of a command, what it printed, and what it said."""
    capsys.readouterr()
    status = main(words)
    output = capsys.readouterr()
    return status, output.out, output.err


def uncounted(text):
    """The lines of an export without the column that a store with damaged settings cannot have."""
    rows = list(csv.reader(io.StringIO(text)))
    drop = rows[0].index("counted") if rows and "counted" in rows[0] else None
    return [",".join(row if drop is None else row[:drop] + row[drop + 1 :]) for row in rows]


@repeated(150, 1000)
@pytest.mark.parametrize("damaged", ["study.db", "study.db-wal", "both"])
def test_damaged_store_shows_no_wrong_row_and_counts_those_left_out(
    damaged, times, tmp_path, capsys
):
    chance, source, copy = random.Random(times), tmp_path / "source", tmp_path / "copy"
    store = filled(source)
    if damaged == "study.db":
        store.close()  # moves all rows from the log to the file
    elif damaged == "both":
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for key in list(ROWS)[:6]:  # the last ones written are in the log
            store.add(ROWS[key]._replace(timing=TIMES[key]))
    whole = {path.name: path.read_bytes() for path in source.glob("study.db*")}
    whole.pop("study.db-shm", None)
    _, expected, _ = shown(["export", str(source), "--with-timing"], capsys)
    lines, order = uncounted(expected), list(ROWS)
    assert len(lines) == 1 + len(ROWS)
    refused = left_out = untouched = rolled_back = 0
    for number in range(times):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        target = chance.choice(list(whole)) if damaged == "both" else damaged
        for name, data in whole.items():
            (copy / name).write_bytes(mutated(data, chance) if name == target else data)
        status, out, err = shown(["export", str(copy), "--with-timing"], capsys)
        got = uncounted(out)
        assert set(got) <= set(lines), f"mutation {number} showed a wrong row"
        if status:
            assert (status, len(err.splitlines())) == (2, 1), err
            refused += 1
        elif len(got) == len(lines):
            untouched += 1
        elif re.search(r"^\d+ damaged rows? (was|were) left out$", err, flags=re.MULTILINE):
            left_out += 1
        else:
            # SQLite's log ends where its checksum fails: the rows before that are all there.
            assert target == "study.db-wal", f"mutation {number} lost rows without a word"
            keys = {line.split(",")[0] for line in got[1:]}
            assert keys == set(order[: len(keys)]) or damaged == "both"
            rolled_back += 1
        if number % 10 == 0:
            status, out, err = shown(["show", str(copy), "--no-figures"], capsys)
            assert status in {0, 2}
            assert "Traceback" not in err
    store.close()
    print(
        f"{times} mutations of {damaged}: 0 wrong rows; {untouched} without effect, {left_out} "
        f"with rows left out and counted, {rolled_back} to an earlier state, {refused} refused"
    )
    assert left_out + rolled_back + refused > times / 10


def test_rows_whose_hash_fails_are_left_out_and_counted(tmp_path, capsys):
    with filled(tmp_path) as store:
        key = min(ROWS)
        store._connection.execute(
            "UPDATE runs SET result = replace(result, '0.1', '0.9') WHERE key = ?", (key,)
        )
    ((_, out, err), (status, shown_out, _)) = (
        shown(["export", str(tmp_path)], capsys),
        shown(["show", str(tmp_path), "--no-figures"], capsys),
    )
    assert "1 damaged" in err
    assert len(out.splitlines()) == len(ROWS)
    assert key not in out
    assert status == 0
    assert shown_out


def test_rows_that_vanished_are_counted(tmp_path):
    # As a flipped bit in a page's header does it: SQLite sees fewer rows and finds nothing wrong.
    with filled(tmp_path) as store:
        store._connection.execute("DELETE FROM runs WHERE key < '8'")
        rows = store.rows()
        assert 0 < len(rows) < len(ROWS)
        assert store.damaged == len(ROWS) - len(rows)
        store.recount(rows)
        store.rows()
        assert store.damaged == 0


# Power cuts --------------------------------------------------------------------------------------


@repeated(50, 200)
def test_copy_of_the_store_with_any_part_of_its_log_is_a_study_as_it_was(times, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    order = list(ROWS)
    with filled(source) as store:
        log = (source / "study.db-wal").read_bytes()
        chance = random.Random(0)
        cuts = [0, len(log), *(chance.randrange(len(log)) for _ in range(times - 2))]
        sizes = set()
        for cut in cuts:
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            shutil.copy(source / "study.db", copy / "study.db")
            if cut:
                (copy / "study.db-wal").write_bytes(log[:cut])
            with Store.create(copy) as cut_store:
                rows = cut_store.rows()
                assert cut_store.damaged == 0
                assert set(rows) == set(order[: len(rows)]), "not the rows of any moment"
                for key, row in rows.items():
                    assert row == ROWS[key]._replace(timing=TIMES[key])
                check = cut_store._connection.execute("PRAGMA integrity_check").fetchone()
                assert check == ("ok",)
            sizes.add(len(rows))
        store.rows()
    assert sizes >= {0, len(ROWS)}
    assert len(sizes) > 10
    print(f"{len(cuts)} cuts: all open, {len(sizes)} different states, all rows valid")


def test_plan_of_the_config_is_what_is_stored():
    assert {job.config.key for job in plan(CONFIG, {})} == set(ROWS)
