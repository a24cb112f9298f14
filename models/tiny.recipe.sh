#!/bin/sh
# Makes models/tiny.tflite, tiny-float32.tflite and tiny.weights.h5 again, and measures them; half an hour on two cores.
#   KWSD_DATA=data models/tiny.recipe.sh [WORK_DIR]
name=tiny network=res2d1d_tiny steps=12000 exec "$(dirname "$0")/default.recipe.sh" "$@"
