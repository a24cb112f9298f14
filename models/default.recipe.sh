#!/bin/sh
# Makes models/default.tflite, default-float32.tflite and default.weights.h5 again, and measures them.
# Takes about 70 minutes on two cores. Goes on where it stood when it was interrupted.
#   KWSD_DATA=data models/default.recipe.sh [WORK_DIR]
# The recipes of other models are this one with another name, network and number of steps.
set -eu
name=${name:-default} network=${network:-res2d1d} steps=${steps:-22000}
models=$(dirname "$0")
work=${1:-/tmp/kwsd-$name}
train="$work/train"
resume=
[ -e "$train" ] && ls "$train" | grep -q 'ckpt-' && resume="--start_checkpoint latest"

kwsd-train train --train_dir "$train" $resume \
  --model_architecture "$network" --preprocess log_mel --window_size_ms 32 --window_stride_ms 20 \
  --feature_bin_count 40 --lower_hz 20 --upper_hz 7000 --mel_power 2 --log_floor 1e-6 \
  --how_many_training_steps "$steps" --learning_rate 0.004 --learning_rate_schedule cosine --warmup_steps 500 \
  --optimizer adam --weight_decay 0.02 --label_smoothing 0.05 --average_decay 0.999 --batch_size 100 \
  --unknown_percentage 100 --silence_percentage 20 --speech_percentage 16 --stream_frequency 0.25 \
  --time_shift_ms 120 --speed_percentage 12 --gain_db -40 6 --equalizer_db 6 --reverberation_frequency 0.25 \
  --noise_frequency 0.7 --snr_db 0 25 --background_frequency 0.2 --quiet_frequency 0.3 \
  --time_masks 1 --time_mask_rows 8 --band_masks 1 --band_mask_bins 6 \
  --eval_step_interval 1000 --save_step_interval 250

freeze() {
  kwsd-train freeze --start_checkpoint latest --train_dir "$train" --name "kwsd-$name" \
    --metadata "$models/$name.metadata.json" "$@"
}
freeze --quantize int8 --output_file "$models/$name.tflite"
freeze --output_file "$models/$name-float32.tflite" --weights_file "$models/$name.weights.h5"
for model in "$name" "$name-float32"; do
  for set in validation testing; do
    kwsd-train evaluate --model "$models/$model.tflite" --set $set --unknown_percentage 100 --silence_percentage 10
  done
done
