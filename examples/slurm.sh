#!/bin/bash
# Workers of one search as an array of Slurm jobs, each with one GPU. On a machine that reaches the database:
#
#   nars search --data /shared/photos --budget 256 --storage "$NARS_DATABASE" --artifacts /shared/artifacts \
#        --run /shared/runs/photos --workers 1
#   sbatch --array=0-15 --export=ALL,NARS_DATABASE=postgresql://nars@db/nars,NARS_STUDY=photos examples/slurm.sh
#
# The password of the database is read from ~/.pgpass. Two minutes before the time limit, Slurm sends SIGTERM:
# the worker keeps a checkpoint, returns its trial, and ends with 143; the job is queued again.
#SBATCH --job-name=nars
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

worker="" stopped=""
trap 'stopped=1; [ -z "$worker" ] || kill -TERM "$worker"' TERM
nars worker --storage "${NARS_DATABASE:?the URL of the database}" --study "${NARS_STUDY:?the name of the run folder}" &
worker=$!
[ -z "$stopped" ] || kill -TERM "$worker" # it came before the worker had a number
wait "$worker"
code=$?
if [ "$code" -gt 128 ] && kill -0 "$worker" 2>/dev/null; then # the trap ended the first wait
    wait "$worker"
    code=$?
fi

case "$code" in
0) ;;                                                # the budget is spent
2) exit 2 ;;                                         # a mistake, which would happen again
*) scontrol requeue "${SLURM_JOB_ID:?}" && exit 0 ;; # 75 the storage was away, 143 SIGTERM, 137 out of memory
esac
