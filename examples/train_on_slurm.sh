#!/bin/sh
#SBATCH --job-name=kwsd-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --signal=TERM@120
# One model, trained by several nodes of a Slurm cluster, one process on each:
#
#   sbatch --nodes=4 examples/train_on_slurm.sh --train_dir /shared/words --batch_size 400 ...
#
# What follows are flags of `kwsd-train train`. Data and --train_dir have to lie where all nodes see them. Two minutes
# before its time is over (and at scancel) the run saves a checkpoint; --start_checkpoint latest goes on with it.
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
