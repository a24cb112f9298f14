#!/bin/sh
# Trains a model, freezes it to NAME.tflite, NAME-float32.tflite and NAME.weights.h5 in this folder, and measures it.
#   recipe.sh NAME NETWORK STEPS WORK_DIR [FLAGS of kwsd-train train...]
# What the shipped models have in common; their own recipes call it. Goes on where it was when it was interrupted.
set -eu
name=$1 network=$2 steps=$3 work=$4
shift 4
models=$(dirname "$0")
train="$work/train"
resume=
[ -e "$train" ] && ls "$train" | grep -q 'ckpt-' && resume="--start_checkpoint latest"

# Running speech whose transcript (columns 5 and 6: words, homophones) holds none of the words, and speech without a
# transcript: one window in twenty of that touches a word, but its 260 readers teach more than these do harm.
speech="$work/speech"
mkdir -p "$speech"
awk -F'\t' 'NR > 1 && ($5 == "" && $6 == "" || $5 == "unknown") { print $1 }' \
  "$KWSD_DATA/running_speech/train/transcripts.tsv" |
  while read -r file; do [ -e "$speech/$file" ] || cp "$KWSD_DATA/running_speech/train/$file" "$speech/"; done

kwsd-train train --train_dir "$train" $resume --model_architecture "$network" --how_many_training_steps "$steps" "$@" \
  --preprocess log_mel --window_size_ms 32 --window_stride_ms 20 \
  --feature_bin_count 40 --lower_hz 20 --upper_hz 7000 --mel_power 2 --log_floor 1e-6 \
  --learning_rate_schedule cosine --warmup_steps 500 \
  --optimizer adam --weight_decay 0.02 --average_decay 0.999 --batch_size 100 \
  --unknown_percentage 100 --speech_percentage 20 --speech_dir "$speech" --stream_frequency 0.3 \
  --time_shift_ms 120 --speed_percentage 12 --gain_db -40 6 --equalizer_db 6 --reverberation_frequency 0.25 \
  --noise_frequency 0.7 --snr_db 0 25 --background_frequency 0.2 --quiet_frequency 0.3 --made_noise_frequency 0.5 \
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
