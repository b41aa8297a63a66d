"""examples/slurm/study.sh, run by bash beside commands that only write down what they got."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm" / "study.sh"

FAKES = {
    "scontrol": "echo node1",
    # The study: one more line in its store, in the folder that stands after --out.
    "srun": """echo "$*" >>"$ASKED"
case "$*" in
  *hostname*) echo 10.0.0.1 ;;
  *) for last; do :; done; echo "job $SLURM_JOB_ID" >>"$last/study.db"; echo w >"$last/weights" ;;
esac""",
}
CUT_OFF = """case "$*" in
  *.new.*) for last; do :; done; echo half >"$last/study.db"; exit 1 ;;
  *) exec /bin/cp "$@" ;;
esac"""


@pytest.fixture
def job(tmp_path):
    """Runs the script as a job of some number; gives what it has kept."""
    (tmp_path / "bin").mkdir()

    def run(number, *, status=0, **fakes):
        for name, text in (FAKES | fakes).items():
            command = tmp_path / "bin" / name
            command.write_text(f"#!/bin/sh\n{text}\n")
            command.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path),
            "SLURM_JOB_ID": str(number), "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "16", "ASKED": str(tmp_path / "asked"),
            "TMPDIR": str(tmp_path),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", str(SCRIPT), "full"], cwd=tmp_path, env=environment, check=False,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode == 0) == (status == 0), done.stderr
        for name in fakes:
            (tmp_path / "bin" / name).unlink()
        return tmp_path / "results" / "full"

    return run


def test_a_job_goes_on_with_the_study_of_the_one_before(job, tmp_path):
    job(1)
    kept = job(2)
    assert (kept / "study.db").read_text() == "job 1\njob 2\n"
    assert sorted(path.name for path in kept.parent.iterdir()) == ["full"]
    assert sorted(path.name for path in kept.iterdir()) == ["study.db", "weights"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert all("--cpus-per-task=16" in line for line in asked if "symmetric-run" in line)


def test_a_copy_that_is_cut_off_loses_nothing_and_nests_nothing(job):
    job(1)
    kept = job(2, status=1, cp=CUT_OFF)
    assert (kept / "study.db").read_text() == "job 1\n"
    kept = job(3)
    assert (kept / "study.db").read_text() == "job 1\njob 3\n"
    assert sorted(path.name for path in kept.iterdir()) == ["study.db", "weights"]
    assert sorted(path.name for path in kept.parent.iterdir()) == ["full"]


@pytest.mark.parametrize("when", ["*.new.*", "*/full"], ids=["the copy", "the new name"])
def test_nothing_is_removed_before_what_takes_its_place_is_on_the_disk(job, tmp_path, when):
    fails = f'echo "$*" >>"$ASKED"; case "$*" in {when}) exit 1 ;; esac'
    job(1)
    kept = job(2, status=1, sync=fails)
    asked = (tmp_path / "asked").read_text()
    assert "--file-system" in asked  # `sync FOLDER` writes the names of its files alone
    one_before = kept if when == "*.new.*" else kept.with_name("full.before")
    assert (one_before / "study.db").read_text() == "job 1\n"
    assert (job(3) / "study.db").read_text().splitlines()[0] == "job 1"
    assert [path.name for path in kept.parent.iterdir()] == ["full"]


def test_a_job_killed_between_the_renames_loses_nothing(job):
    kept = job(1)
    kept.rename(kept.with_name("full.before"))
    assert (job(2) / "study.db").read_text() == "job 1\njob 2\n"


@pytest.mark.parametrize("command", ["mkdir", "cp"])
def test_a_study_that_cannot_be_copied_to_the_node_ends_the_job(job, tmp_path, command):
    kept = tmp_path / "results" / "full"
    kept.mkdir(parents=True)
    (kept / "study.db").write_text("job 1\n")
    job(2, status=1, **{command: "exit 1"})
    assert (kept / "study.db").read_text() == "job 1\n"
    assert not (tmp_path / "asked").exists()  # no study was begun in an empty folder


def test_a_store_that_the_node_has_lost_takes_the_place_of_nothing(job, tmp_path):
    kept = tmp_path / "results" / "full"
    kept.mkdir(parents=True)
    (kept / "study.db").write_text("job 1\n")
    lost = 'case "$*" in *symmetric-run*) for last; do :; done; rm "$last/study.db" ;; esac'
    job(2, status=1, srun=lost)
    assert (kept / "study.db").read_text() == "job 1\n"
    assert [path.name for path in kept.parent.iterdir()] == ["full"]
