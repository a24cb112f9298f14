#!/bin/sh
# recipe.sh for a small model: it also learns from models/accurate, which hears every batch as the network does, and from
# clips of words that sound like the ten.
#   student.sh NAME NETWORK STEPS STEPS_MORE WORK_DIR
set -eu
models=$(dirname "$0")
export JUDGE="$models/accurate-float32.tflite" SOUND_ALIKE_CLIPS=18
exec "$models/recipe.sh" "$@" --silence_percentage 25 --teacher "$JUDGE" --teacher_hears batches --teacher_weight 0.5
