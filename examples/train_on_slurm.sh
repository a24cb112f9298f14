#!/bin/sh
#SBATCH --job-name=kwsd-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --signal=TERM@120
# Trains one model on several nodes of a Slurm cluster, with one process on each:
#
#   sbatch --nodes=4 examples/train_on_slurm.sh --train_dir /shared/words --batch_size 400 ...
#
# The arguments are flags of `kwsd-train train`. All nodes must be able to read the data and --train_dir. Two minutes before
# its time limit (and at scancel) the run saves a checkpoint; --start_checkpoint latest continues from it.
set -eu
PORT=${PORT:-4000} # the first process listens there, the second at PORT + 1, ...
HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export PORT HOSTS

# shellcheck disable=SC2016  # expanded in each process
exec srun --kill-on-bad-exit=0 sh -c '
  workers= place=0
  for host in $HOSTS; do
    workers="$workers${workers:+, }\"$host:$((PORT + place))\""
    place=$((place + 1))
  done
  export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec kwsd-train train --distribute multi_worker "$@"
' sh "$@"
