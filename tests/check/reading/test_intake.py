"""Everything that was given becomes a hand-in or is named with a reason: nobody is missing."""

import io
import re
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from check.course_folder import make_course

from digitspan.check.package import check_package
from digitspan.check.reading import intake
from digitspan.check.reading.hand_ins import Facts, HandIn
from digitspan.check.reading.intake import Who, read_pattern, read_roster, take_in
from digitspan.check.reading.who import Student
from digitspan.check.sandbox.isolation import best_level
from digitspan.errors import UsageError

CODE = b"class LSTM:\n    def forward(self, x):\n        return x\n"


def zip_of(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return data.getvalue()


def tar_of(name, content=CODE):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


WORK = zip_of(part1__lstm_dot_py=CODE)


def made(folder, *names):
    """A folder with these files; a name that ends with a slash is an empty folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(WORK if name.endswith(".zip") else b"x = 1\n")
    return folder


def taken(*paths, who=None):
    """The names of the hand-ins without the folder's, and what was left out."""
    with take_in(list(paths), best_level(), who) as found:
        base = f"{paths[0]}/" if len(paths) == 1 else ""
        names = [entry.name.removeprefix(base) or "." for entry in found.entries]
        left = [item.name.removeprefix(base) for item in found.left_out]
        assert all(entry.path.exists() for entry in found.entries)
        return ["." if name == str(paths[0]) else name for name in names], left


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["part1/lstm.py"], ["."]),
        (["lstm.py", "train.py"], ["."]),
        (["assignment_2/part1/lstm.py", "assignment_2/part2/x.py"], ["."]),
        (["code/part1/lstm.py", "report/a.pdf"], ["."]),
        (["rnn/vanilla.py", "lstm/net.py", "Adler-1000001.pdf"], ["."]),
        (["part1/lstm.py", "utils/x.py", "mylib/y.py"], ["."]),
        (["lstm.py", "Adler-1000001.pdf", "Adler-1000001.zip"], ["."]),
        (["part1/lstm.py", "Adler-1000001.pdf", "lstm_20_128_acc.png"], ["."]),
        (["part1/lstm.py", "Adler-1000001.pdf", "hidden_20_128_acc.png"], ["."]),
        (["notebook.ipynb"], ["."]),
        (["lstm.py", "Adler-1000001.pdf", "results/10000/a.png", "results/20000/a.png"], ["."]),
        (["part1/lstm.py", "results/10000/acc.png", "results/20000/acc.png"], ["."]),
        (["lstm.py", "runs/10000/lstm.py", "runs/20000/lstm.py", "Adler-1000001.pdf"], ["."]),
        (["part1/lstm.py", "data/palindromes.zip", "checkpoints/best.zip"], ["."]),
        (["week1/Adler.zip", "week2/Berg.zip", "Cohn-1000003/lstm.py"],
         ["Cohn-1000003", "week1/Adler.zip", "week2/Berg.zip"]),
        (["week1/Adler-1000001.zip", "week2/Berg-1000002/lstm.py", "Cohn-1000003/lstm.py"],
         ["Cohn-1000003", "week1/Adler-1000001.zip", "week2/Berg-1000002"]),
        (["Hand-1000001.zip", "Adler-1000002.zip"], ["Adler-1000002.zip", "Hand-1000001.zip"]),
        (["Blatt-1000001/lstm.py", "Adler-1000002/lstm.py", "Berg-1000003/lstm.py",
          "Teil-1000004.pdf", "Main-1000005.docx", "New-1000006.rar"],
         ["Adler-1000002", "Berg-1000003", "Blatt-1000001", "Main-1000005.docx",
          "New-1000006.rar", "Teil-1000004.pdf"]),
        (["a/part1/lstm.py", "b/lstm.py", "c/deep/part1/lstm.py"], ["a", "b", "c"]),
        (["a.zip", "b.zip", "c/part1/x.py"], ["a.zip", "b.zip", "c"]),
        (["Name_1_file/x.zip", "Name_2_file/y.zip"], ["Name_1_file/x.zip", "Name_2_file/y.zip"]),
        (["Figueiredo_1000001/lstm.py", "Parthasarathy_1000002/lstm.py"],
         ["Figueiredo_1000001", "Parthasarathy_1000002"]),
        (["Figueiredo/lstm.py", "Codrescu/lstm.py", "Oldenburg/lstm.py"],
         ["Codrescu", "Figueiredo", "Oldenburg"]),
        (["group A/Adler-1000001.zip", "group B/Brandt-1000002.zip"],
         ["group A/Adler-1000001.zip", "group B/Brandt-1000002.zip"]),
        (["Adler-1000001.zip", "Adler-1000001.pdf", "Brandt-1000002.zip"],
         ["Adler-1000001.zip", "Brandt-1000002.zip"]),
        (["Adler-1000001_lstm.py", "Adler-1000001_train.py", "Brandt-1000002.ipynb"],
         ["Adler-1000001_lstm.py", "Brandt-1000002.ipynb"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_folder_is_one_hand_in_or_many(tmp_path, names, expected):
    assert taken(made(tmp_path, *names)) == (expected, [])


def test_stray_script_beside_the_weeks_of_a_course_is_named(tmp_path):
    names = ["week1/Adler-1000001.zip", "week1/Berg-1000002.zip"]
    assert taken(made(tmp_path, "lstm.py", *names)) == (names, ["lstm.py"])


def test_every_entry_of_a_course_is_a_hand_in_or_named(tmp_path):
    names = ["Adler-1000001.zip", "Brandt-1000002.tar.gz", "Conrad-1000003.rar", "Dorn-1000004.7z",
             "Ebert-1000005.pdf", "Funk-1000006/report.pdf", "Gross-1000007/", "points.py",
             "list.csv", "solution/lstm.py", "some.pdf", "Hahn-1000008.docx"]  # fmt: skip
    hand_ins, left = taken(made(tmp_path, *names))
    given = {name.partition("/")[0] for name in names}
    assert {name.partition("/")[0] for name in [*hand_ins, *left]} == given
    assert left == ["list.csv", "points.py", "solution", "some.pdf"]


@pytest.mark.parametrize("folder", ["", "t1/", "sheet1/"])
@pytest.mark.parametrize("own", ["Adler-1000001.zip", "Adler-1000001/lstm.py"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_of_another_student_beside_the_only_work_is_a_row(tmp_path, folder, own, packed):
    made(tmp_path / "c", f"{folder}{own}", f"{folder}Berg-1000002.docx")
    where = tmp_path / "c"
    if packed:
        where = Path(shutil.make_archive(str(tmp_path / "all"), "zip", where))
    expected = [f"{folder}{own}".removesuffix("/lstm.py"), f"{folder}Berg-1000002.docx"]
    with take_in([where], best_level()) as found:
        assert found.lines() == ["2 found: 2 hand-ins, 0 not understood"]
        assert [e.name.removeprefix(f"{where}/") for e in found.entries] == expected
        assert [e.student.number for e in found.entries] == ["1000001", "1000002"]


def test_what_lies_beside_the_only_archive_is_named(tmp_path):
    made(tmp_path / "one", "Adler-1000001.zip", "Adler-1000001.docx", "points.xlsx")
    assert taken(tmp_path / "one") == (["Adler-1000001.zip"], ["points.xlsx"])
    made(tmp_path / "two", "Adler-1000001/a.zip", "Adler-1000001/Berg-1000002.docx",
         "Conrad-1000003.zip")  # fmt: skip
    assert taken(tmp_path / "two") == (
        ["Adler-1000001/a.zip", "Conrad-1000003.zip"], ["Adler-1000001/Berg-1000002.docx"]
    )  # fmt: skip


def test_text_in_a_hand_in_makes_no_course_of_it(tmp_path):
    made(tmp_path / "c", "lstm.py", "train.py", "Adler-1000001.pdf", "Berg-1000002.txt")
    assert taken(tmp_path / "c") == (["."], [])


def test_what_was_found_is_told_in_a_line_and_the_reasons_below(tmp_path):
    made(tmp_path, "Adler-1000001.zip", "Brandt-1000002.zip", "points.py")
    with take_in([tmp_path], best_level()) as found:
        first, second = found.lines()
    assert first == "3 found: 2 hand-ins, 1 not understood"
    assert "points.py (a script that is called after no student)" in second


def test_stray_script_hides_no_archive(tmp_path):
    made(tmp_path, "anna.zip", "bo.zip", "train_them_all.py")
    assert taken(tmp_path) == (["anna.zip", "bo.zip"], ["train_them_all.py"])


MOODLE = {f"{name}_assignsubmission_file/part1/{file}": CODE
          for name in ("Adler Anna_301", "Brandt Bo_302", "Conrad Cy_303")
          for file in ("lstm.py", "vanilla_rnn.py")}  # fmt: skip
FLAT = {
    f"{name}_assignsubmission_file_{file}": CODE
    for name in ("Adler Anna_301", "Brandt Bo_302")
    for file in ("lstm.py", "train.py")
}
STUDENTS = (("Adler", "Anna", "1000001"), ("Brandt", "Bo", "1000002"))
ILIAS = {
    f"Sheet 1/Abgaben/{name}_{first}_{first.lower()}x_30010{n}/{file}": data
    for n, (name, first, number) in enumerate(STUDENTS)
    for file, data in (("a.py", CODE), ("b.py", CODE), (f"{name}-{number}.pdf", b"%PDF"))
}
STAMPED = {f"Abgaben/{name}_{first}_x_30010{n}/20261128_1030{n}0_{name}-{number}.zip": WORK
           for n, (name, first, number) in enumerate(STUDENTS)}  # fmt: skip
AGAIN = {f"smith-{name.lower()}{n}_LATE_1234{n}_6789{n}_{name}-{number}-2.zip": WORK
         for n, (name, _, number) in enumerate(STUDENTS)}  # fmt: skip
TEXTS = {f"{name} {first}_123456{n}_assignsubmission_file_/{name}-{number}.zip": WORK
         for n, (name, first, number) in enumerate(STUDENTS)}  # fmt: skip
CANVAS = {"adleranna_12345_678_Adler-1000001.zip": WORK, "brandtbo_LATE_12346_679_hw.zip": WORK}
NESTED = {f"multi_exc/Submissions/{name}/{name}.zip": WORK
          for name in ("Adler-1000001", "Brandt-1000002")}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "students"),
    [
        (MOODLE, 3),
        (FLAT, 2),
        (CANVAS, 2),
        (NESTED, 2),
        (ILIAS, 2),
        (STAMPED, 2),
        (AGAIN, 2),
        (TEXTS, 2),
    ],
    ids=["folders", "flat", "canvas", "nested", "ilias", "stamped", "again", "moodle zips"],
)
@pytest.mark.parametrize("archived", [True, False], ids=["archive", "folder"])
def test_download_of_a_learning_platform_is_one_hand_in_a_student(
    tmp_path, files, students, archived
):
    path = tmp_path / "Sheet 1-submissions.zip"
    if archived:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        path = tmp_path / "downloads"
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    with take_in([path], best_level()) as found:
        assert len(found.entries) == students, found
        assert found.left_out == []
        assert len({entry.student.surname for entry in found.entries}) == students
        sizes = [len(list(e.path.rglob("*.py"))) for e in found.entries if e.path.is_dir()]
        assert set(sizes) <= {2}
        for entry in found.entries:
            hand_in = HandIn(entry.path, entry.path.is_file(), {}, [], "", Facts(kind="ZIP"))
            told = {finding.code for finding in check_package(hand_in, entry.student).findings}
            assert "zip-name" not in told or files is CANVAS  # where one is called hw.zip
            report = next((str(p.name) for p in entry.path.rglob("*.pdf")), "")
            hand_in = hand_in._replace(facts=Facts(report=report))
            told = {finding.code for finding in check_package(hand_in, entry.student).findings}
            assert not told & {"pdf-of-another", "first-page-of-another"}
        folders = [entry.path for entry in found.entries]
    if archived:
        assert not any(folder.exists() for folder in folders)


def test_text_of_a_platform_beside_the_files_is_named_and_no_hand_in(tmp_path):
    made(tmp_path, "A B_1_assignsubmission_file_/A-1000001.zip",
         "A B_1_assignsubmission_onlinetext_/text.html",
         "C D_2_assignsubmission_onlinetext_/text.html")  # fmt: skip
    hand_ins, left = taken(tmp_path)
    assert [name.partition("_")[0] for name in hand_ins] == ["A B", "C D"]
    assert left == ["A B_1_assignsubmission_onlinetext_"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_course_in_an_archive_in_an_archive_is_found(tmp_path, depth):
    data = zip_of(**{"Adler-1000001_dot_zip": WORK, "Brandt-1000002_dot_zip": WORK})
    for number in range(1, depth):
        data = zip_of(**{f"sheet{number}_dot_zip": data})
    (tmp_path / "course.zip").write_bytes(data)
    hand_ins, left = taken(tmp_path)
    assert [name.rpartition("/")[2] for name in hand_ins] == [
        "Adler-1000001.zip", "Brandt-1000002.zip"]  # fmt: skip
    assert left == []


def test_archive_of_one_student_with_an_archive_in_it_is_one_hand_in(tmp_path):
    path = tmp_path / "abgabe.zip"
    path.write_bytes(zip_of(all_dot_zip=WORK))
    with take_in([path], best_level()) as found:
        assert [entry.path for entry in found.entries] == [path]


@pytest.mark.parametrize(
    ("inside", "count"),
    [("Adler-1000001.zip Brandt-1000002.zip", 4), ("Adler_1000001/lstm.py Bo_1000002/rnn.py", 4),
     ("Adler/a.pdf Brandt/b.pdf", 4), ("lstm.py rnn.py", 1), ("part1/lstm.py plots/x.py", 1)],
)  # fmt: skip
@pytest.mark.parametrize("week", ["week{}", "Sheet {}", "task_{}"])
def test_folders_of_weeks_are_many_hand_ins_where_students_are_in_them(
    tmp_path, week, inside, count
):
    names = [f"{week.format(n)}/{name}" for n in (1, 2) for name in inside.split(" ")]
    hand_ins, left = taken(made(tmp_path, *names))
    assert (len(hand_ins), left) == (count, [])


def test_archive_of_one_student_is_one_hand_in(tmp_path):
    path = tmp_path / "abgabe.zip"
    path.write_bytes(zip_of(part1__lstm_dot_py=CODE, part1__train_dot_py=CODE, x_dot_pdf=b"%PDF"))
    with take_in([path], best_level()) as found:
        assert [entry.path for entry in found.entries] == [path]


def test_pattern_says_whose_a_file_is(tmp_path):
    made(
        tmp_path, "s01/anna/lstm.py", "s01/anna/x.py", "s02/bo/lstm.py", "notes/x.py", "s03-c.zip"
    )
    who = Who(read_pattern(r"(?P<student>s\d\d)"))
    hand_ins, left = taken(tmp_path, who=who)
    assert hand_ins == ["s01/anna", "s02/bo", "s03-c.zip"]
    assert left == ["notes"]


def test_files_of_a_flat_folder_are_put_together_by_the_pattern(tmp_path):
    made(tmp_path, "a-lstm.py", "a-train.py", "b-lstm.py", "b-train.py")
    who = Who(read_pattern(r"(?P<student>\w)-"))
    with take_in([tmp_path], best_level(), who) as found:
        insides = {e.student.surname: sorted(p.name for p in e.path.iterdir())
                   for e in found.entries}  # fmt: skip
    assert insides == {"a": ["lstm.py", "train.py"], "b": ["lstm.py", "train.py"]}


def test_roster_says_who_is_missing(tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text("name;number\nAdler;1000001\nMüller;1000002\nO'Brien;1000003\n")
    names = ["x_1000001.zip", unicodedata.normalize("NFD", "müller.zip"), "unknown.zip"]
    folder = made(tmp_path / "all", *names)
    with take_in([folder], best_level(), Who(None, read_roster(roster))) as found:
        assert [entry.student.surname for entry in found.entries] == ["Müller", "Adler"]
        assert [student.surname for student in found.missing] == ["O'Brien"]
        assert [item.name.rpartition("/")[2] for item in found.left_out] == ["unknown.zip"]
        assert "1 of the roster missing" in found.lines()[0]


LEE = [
    Student("Lee", "1000001"),
    Student("Leeman", "1000002"),
    Student("He", "1000003"),
    Student("Li", ""),
    Student("van der Berg", "1000005"),
    Student("Berg", "1000006"),
]


@pytest.mark.parametrize(
    ("name", "surname"),
    [
        ("Lee.zip", "Lee"),
        ("sheet_1/Leeman/part1/lstm.py", "Leeman"),
        ("Sheet 1/x.zip", None),
        ("Schlimmer.zip", None),
        ("LiMing_hw.zip", "Li"),
        ("He-9999999.zip", None),
        ("x_1000003.zip", "He"),
        ("VanDerBerg_1.zip", "van der Berg"),
        ("berg_12345_678901_hw.zip", "Berg"),
        ("Lee_Berg.zip", None),
        ("sheet-20261128/He/lstm.py", "He"),
    ],
)
def test_roster_compares_whole_words_and_numbers(tmp_path, name, surname):
    work = intake._Work("limited", Who(None, tuple(LEE)), tmp_path)
    found = work._on_roster(name)
    assert (found.surname if found else None) == surname


@pytest.mark.parametrize(
    ("text", "reason"), [("(", "must be a regular expression"), ("x", r"must have a group")]
)
def test_pattern_that_will_not_do_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_pattern(text)


def test_roster_without_students_is_refused(tmp_path):
    (tmp_path / "r.csv").write_text("1\n2\n")
    with pytest.raises(UsageError, match="must name students"):
        read_roster(tmp_path / "r.csv")
    with pytest.raises(UsageError, match="must be a text file"):
        read_roster(tmp_path / "none.csv")


def test_path_that_will_not_do_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no"), take_in([tmp_path / "none"], "limited"):
        pass
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UsageError, match="neither"), take_in([tmp_path / "a.txt"], "limited"):
        pass
    with pytest.raises(UsageError, match="there are none"), take_in([tmp_path], "limited"):
        pass


def test_links_are_not_followed(tmp_path):
    made(tmp_path / "secret", "lstm.py")
    folder = made(tmp_path / "all", "a/lstm.py", "b/lstm.py")
    (folder / "c").symlink_to(tmp_path / "secret")
    assert taken(folder) == (["a", "b"], ["c"])


def test_hidden_names_and_links_are_named_and_what_systems_leave_is_not(tmp_path):
    made(tmp_path, "Adler-1000001/lstm.py", "Brandt-1000002.zip", ".Conrad-1000003.zip")
    made(tmp_path, ".Dorn-1000004/lstm.py", ".DS_Store", ".git/x.py", "._Adler-1000001.zip")
    (tmp_path / "Engel-1000005.zip").symlink_to(tmp_path / "Brandt-1000002.zip")
    hand_ins = ["Adler-1000001", "Brandt-1000002.zip"]
    left = [".Conrad-1000003.zip", ".Dorn-1000004", "Engel-1000005.zip"]
    assert taken(tmp_path) == (hand_ins, left)
    who = Who(None, (Student("Adler", "1000001"), Student("Brandt", "1000002")))
    hand_ins, named = taken(tmp_path, who=who)
    assert sorted(hand_ins) == ["Adler-1000001", "Brandt-1000002.zip"]
    assert sorted(named) == left


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_empty_folder_in_the_archive_of_a_course_is_a_row(tmp_path, kind):
    folder = made(tmp_path / "all", "Adler-1000001/lstm.py", "Brandt-1000002/lstm.py")
    (folder / "Conrad-1000003").mkdir()
    path = Path(shutil.make_archive(str(tmp_path / "course"), kind, folder))
    hand_ins, left = taken(path)
    names = [name.rpartition("/")[2] for name in hand_ins]
    assert (names, left) == (["Adler-1000001", "Brandt-1000002", "Conrad-1000003"], [])


@pytest.mark.parametrize("name", ["Müller", "O\u2019Brien", "van der Berg", "İlçe"])
def test_names_are_compared_in_one_form(name):
    composed = unicodedata.normalize("NFC", f"{name}-1000001.zip")
    found = intake._student(unicodedata.normalize("NFD", composed))
    assert found == Student(unicodedata.normalize("NFC", name), "1000001")


def test_words_of_parts_are_no_surnames():
    for name in ("part1_rnn", "Code", "task 2", "lstmFinal", "01", "lstm_20240501", "old-v2"):
        assert intake._is_part(re.sub(r"\d{5,}", "", name)), name
    for name in ("Figueiredo", "Codrescu", "Oldenburg", "Adler Anna", "1000001"):
        assert not intake._is_part(name), name


def test_course_of_forty_in_every_layout_has_a_row_for_each(tmp_path):
    students = make_course(tmp_path)
    with take_in([tmp_path], best_level()) as found:
        numbers = {student.rpartition("-")[2] for student in students}
        names = [unicodedata.normalize("NFC", entry.name) for entry in found.entries]
        assert len(names) == len(students) == 40
        assert {number for number in numbers if number in " ".join(names)} == numbers
        left = sorted(item.name.rpartition("/")[2] for item in found.left_out)
        assert left == ["list.csv", "points.py", "solution"]
        assert found.lines()[0] == "43 found: 40 hand-ins, 3 not understood"
