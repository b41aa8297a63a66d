"""Finished studies in the shape of the sheet, their networks made up, and one built report."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from studies import made_up_rows

from digitspan.files import sha256, write_whole
from digitspan.handin.answers import model_answers
from digitspan.handin.assemble import build
from digitspan.handin.author import checked_author
from digitspan.handin.material import read_material
from digitspan.sheet.exercise import default_sheet
from digitspan.study.config import StudyConfig, sheet
from digitspan.study.plan import ROLES
from digitspan.study.store import Store
from digitspan.training.engine import build_network

LIMIT = {"rnn": 12, "lstm": 35}


def lstm_ahead(config):
    """The textbook: the LSTM remembers longer, and plain SGD does not get there."""
    return config.length <= LIMIT[config.cell] and config.optimizer != "sgd"


def small_sheet(**changes):
    """The sheet's study with few runs and small networks; or a grid, where lengths are given."""
    small = dataclasses.replace(
        sheet(), hidden_size=16, runs=28, longest=80, figure_seeds=2, fixed_runs=8
    )
    return StudyConfig.from_words(changes, small)


def write_study(folder: Path, config, rule=lstm_ahead, missing=0) -> Path:
    """Put a made-up study into a folder, with the networks of its first seeds."""
    folder.mkdir(parents=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for key, row in list(made_up_rows(config, rule).items())[missing:]:
            record = row.record
            kept = row.role in ("figure", "grid") and record.config.seed == ROLES[row.role]
            weights = _weights(record.config) if kept else b""
            if kept:
                write_whole(folder / "weights" / f"{key}.safetensors", weights)
            digest = sha256(weights) if kept else None
            store.add(row._replace(record=dataclasses.replace(record, weights_sha256=digest)))
    return folder


def _weights(config) -> bytes:
    """A network that remembers a little longer than the one it started as."""
    network = build_network(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name == "b_f":
                parameter.add_(3.0)
            elif name == "W_hh":
                parameter.mul_(1.5)
    return safetensors.torch.save(network.state_dict(), {"config": config.canonical})


@pytest.fixture
def make_study(tmp_path):
    """A function that makes a study whose configuration is changed, and says where it is."""

    def make(rule=lstm_ahead, missing=0, **changes):
        return write_study(tmp_path / "made-up", small_sheet(**changes), rule, missing)

    return make


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A finished study in the shape of the sheet."""
    return write_study(tmp_path_factory.mktemp("studies") / "sheet", small_sheet())


@pytest.fixture(scope="session")
def material(study):
    return read_material(study, default_sheet())


@pytest.fixture(scope="session")
def author():
    return checked_author("Müller-O'Neil", "01234567")


@pytest.fixture(scope="session")
def built(material, author):
    """The bytes of one ZIP, built once."""
    return build(material, author, model_answers(default_sheet()))


@pytest.fixture(scope="session")
def unpacked(built, tmp_path_factory):
    """The ZIP's files in a folder whose name has a space and an umlaut."""
    folder = tmp_path_factory.mktemp("Übung eins") / "Ordner für Müller"
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        archive.extractall(folder)
    return folder
