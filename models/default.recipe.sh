#!/bin/sh
# Makes models/default.tflite, default-float32.tflite and default.weights.h5 again; three to four hours on a core.
#   KWSD_DATA=data models/default.recipe.sh [WORK_DIR]
exec "$(dirname "$0")/student.sh" default res2d1d 22000 27500 "${1:-/tmp/kwsd-default}"
