"""What studies leave behind, and what must be so of it; shared by the tests of both runners."""

import pytest

from digitspan.cli import main
from digitspan.errors import StoreError
from digitspan.study.store import Store


def repeated(few, many):
    """A few times by default, often in `make torture`."""
    marks = [pytest.mark.slow, pytest.mark.timeout(3_600)]
    return pytest.mark.parametrize("times", [few, pytest.param(many, marks=marks)])


def rows_of(folder):
    """What a study's store says; nothing where it was not begun yet."""
    if not (folder / "study.db").exists():
        return {}
    try:
        store = Store.open(folder)
    except StoreError as error:
        if "was not begun yet" not in str(error):
            raise
        return {}
    with store:
        rows = store.rows()
        assert store.damaged == 0
        return rows


def export_of(folder, capsys):
    capsys.readouterr()
    assert main(["export", str(folder)]) == 0
    return capsys.readouterr().out


def assert_kept(before, after):
    """Every row that was there is there, with the time it had."""
    lost = [key for key in before if key not in after]
    assert not lost, f"{len(lost)} of {len(before)} rows were lost"
    redone = [key for key in before if after[key] != before[key]]
    assert not redone, f"{len(redone)} of {len(before)} finished runs were done again"


def assert_one_sentence(text):
    assert "Traceback" not in text, text
    assert len(text.strip().splitlines()) == 1, text


def last_line(command):
    return command.said().strip().splitlines()[-1]
