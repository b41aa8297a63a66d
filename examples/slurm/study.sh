#!/usr/bin/env bash
# A study on several nodes of a SLURM cluster: sbatch examples/slurm/study.sh full
#
# The job ends with the study or with its time; submit it again to go on. Adapt nodes, cores and
# time; docs/cluster.md explains the rest. Keep --exclusive: at its end `ray symmetric-run` calls
# `ray stop`, which ends every Ray process you have on those nodes, other jobs' too.
#SBATCH --job-name=digitspan
#SBATCH --nodes=4
#SBATCH --exclusive
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@300
# One at a time of this name: of two jobs that copy the same study, the later would undo the earlier.
#SBATCH --dependency=singleton
set -euo pipefail

kept=$PWD/results/$(basename "${1:?which study? a preset or a TOML file}" .toml)
# SQLite needs a disk of the machine itself, not a network drive: the study is copied there and back.
work=$(mktemp -d "${TMPDIR:-/tmp}/digitspan.XXXXXX")
# A job that was killed between the two renames below has left the study under its other name.
if [ ! -e "$kept" ] && [ -e "$kept.before" ]; then mv -T "$kept.before" "$kept"; fi
# Two lines: `set -e` does not end the script where the first part of an `&&` fails.
mkdir -p "$kept"
cp -a "$kept/." "$work"
# Whoever reaches a Ray cluster runs code as you: only those who can read this file may join.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.digitspan-$SLURM_JOB_ID
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")

# A copy that is cut off is left under a name of its own and takes the place of nothing. The whole
# one is renamed into place, and only then is the one before it removed.
bring_back() {
  rm -f "$RAY_AUTH_TOKEN_PATH"
  # Without its store it was never begun, or lost on this node: it takes the place of nothing.
  [ -s "$work/study.db" ] || return 1
  new=$(mktemp -d "$kept.new.XXXXXX") && chmod --reference "$kept" "$new" || return 1
  # Of a folder `sync` alone would write the names to the disk, not what is in the files.
  cp -a "$work/." "$new" && sync --file-system "$new" || return 1
  rm -rf "$kept.before" && mv -T "$kept" "$kept.before" && mv -T "$new" "$kept" || return 1
  sync --file-system "$kept" || return 1
  rm -rf "$kept.before" "$kept".new.* "$work"
}
trap 'bring_back || { echo "not copied back: what there is of it is in $work on this node" >&2; exit 1; }' EXIT

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname -I | cut -d ' ' -f 1):6379
# Since SLURM 22.05 srun does not inherit the cores of a task from sbatch.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" ray symmetric-run --address "$address" \
  --min-nodes "$SLURM_NNODES" --num-cpus "$SLURM_CPUS_PER_TASK" -- \
  digitspan study "$1" --runner ray --address "$address" --out "$work" &
run=$!
trap 'kill -TERM "$run"; wait "$run" || true; exit 143' TERM INT
wait "$run"
