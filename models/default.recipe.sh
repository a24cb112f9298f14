#!/bin/sh
# Makes models/default.tflite, default-float32.tflite and default.weights.h5 again; an hour and three quarters on two cores.
#   KWSD_DATA=data models/default.recipe.sh [WORK_DIR]
exec "$(dirname "$0")/recipe.sh" default res2d1d 34000 "${1:-/tmp/kwsd-default}"
