"""`digitspan course new FOLDER`: a sheet of one's own, and all that is made of it."""

from __future__ import annotations

import argparse

from digitspan.commands.options import path
from digitspan.commands.report_zip import require_extra
from digitspan.errors import UsageError
from digitspan.files import writable_folder, write_whole

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("action", choices=("new",), help="make what follows from a sheet.toml")
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=path,
        help="where to; a sheet.toml that is there is read, else the program's own is put there",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what was made of an earlier sheet.toml"
    )


def run(options: argparse.Namespace) -> int:
    """Write sheet.toml where there is none, and what follows from it; print their paths.

    Raises:
        UsageError: where the sheet cannot be read, or a file is there that says something else.
        DigitspanError: where the PDF cannot be made.
    """
    from digitspan.sheet.exercise import SHEET, default_text, read_sheet

    folder = options.folder
    text = b"" if (folder / SHEET).exists() else default_text().encode()
    sheet = read_sheet(None if text else folder)
    require_extra()

    from digitspan.handin.course import rules_of, sheet_pdf, study_text

    with writable_folder(folder, "FOLDER"):
        files = {
            SHEET: text,
            "study.toml": study_text(sheet).encode(),
            "rules.toml": rules_of(sheet).encode(),
            "sheet.pdf": sheet_pdf(sheet),
        }
        for name, content in files.items():
            file = folder / name
            there = name != SHEET and file.exists() and file.read_bytes() != content
            if there and not options.overwrite:
                message = (
                    f"{file} is there already and says something else; add --overwrite to replace "
                    f"what was made of another sheet.toml, or choose another folder"
                )
                raise UsageError(message)
        for name, content in files.items():
            if content:
                write_whole(folder / name, content)
            print(folder / name)
    return 0
