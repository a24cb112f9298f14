#!/bin/sh
# Makes models/accurate.tflite, accurate-float32.tflite and accurate.weights.h5 again; two hours on two cores.
#   KWSD_DATA=data models/accurate.recipe.sh [WORK_DIR]
exec "$(dirname "$0")/recipe.sh" accurate res2d1d_large 36000 "${1:-/tmp/kwsd-accurate}"
