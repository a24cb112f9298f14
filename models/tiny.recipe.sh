#!/bin/sh
# Makes models/tiny.tflite, tiny-float32.tflite and tiny.weights.h5 again; an hour on a core.
#   KWSD_DATA=data models/tiny.recipe.sh [WORK_DIR]
exec "$(dirname "$0")/student.sh" tiny res2d1d_tiny 14000 0 "${1:-/tmp/kwsd-tiny}"
