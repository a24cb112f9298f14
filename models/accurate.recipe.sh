#!/bin/sh
# Makes models/accurate.tflite, accurate-float32.tflite and accurate.weights.h5 again; three to four hours on two cores.
#   KWSD_DATA=data models/accurate.recipe.sh [WORK_DIR]
# It learns from two larger networks, too: $KWSD_DATA/teacher/kwt1.tflite and bcresnet8_nine_words.tflite (the card says
# what they are). The second was trained with heart beats in place of "on", so it is not asked about that word.
set -eu
work=${1:-/tmp/kwsd-accurate}
mkdir -p "$work"
for teacher in kwt1 bcresnet8_nine_words; do
  cp "$KWSD_DATA/teacher/$teacher.tflite" "$work/"
done
common='sample_rate_hz: 16000
clip_ms: 1000
frontend: {type: waveform}'
cat > "$work/kwt1.kwsd.yaml" <<EOF
labels: [_silence_, _unknown_, "yes", "no", up, down, left, right, "on", "off", stop, go]
scores: logits
$common
EOF
cat > "$work/bcresnet8_nine_words.kwsd.yaml" <<EOF
labels: [_silence_, _unknown_, "yes", "no", up, down, left, right, _heartbeat_, "off", stop, go]
scores: probabilities
$common
EOF
exec "$(dirname "$0")/recipe.sh" accurate res2d1d_large 21000 23000 "$work" --silence_percentage 20 \
  --teacher "$work/kwt1.tflite" --teacher "$work/bcresnet8_nine_words.tflite" --teacher_weight 0.5
