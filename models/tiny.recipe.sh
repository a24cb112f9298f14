#!/bin/sh
# Makes models/tiny.tflite, tiny-float32.tflite and tiny.weights.h5 again; an hour on two cores.
#   KWSD_DATA=data models/tiny.recipe.sh [WORK_DIR]
exec "$(dirname "$0")/recipe.sh" tiny res2d1d_tiny 30000 "${1:-/tmp/kwsd-tiny}"
