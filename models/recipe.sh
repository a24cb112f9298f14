#!/bin/sh
# Trains a model, freezes it to NAME.tflite, NAME-float32.tflite and NAME.weights.h5 in this folder, and measures it.
#   recipe.sh NAME NETWORK STEPS STEPS_MORE WORK_DIR [FLAGS of kwsd-train train...]
# What the shipped models have in common; their own recipes call it. Goes on where it was when it was interrupted.
# $JUDGE says which clips are not what their folder says; by default it is the network itself after the first STEPS.
# Of each of the words that sound like the ten, $SOUND_ALIKE_CLIPS clips are learnt as _unknown_; by default none.
set -eu
name=$1 network=$2 steps=$3 more=$4 work=$5
shift 5
models=$(dirname "$0")
words="$work/words"
mkdir -p "$words"
[ -e "$work/misnamed.tsv" ] || cp -rsf "$(realpath "$KWSD_DATA")/speech_commands/." "$words/"

# Running speech whose transcript (columns 5 and 6: words, homophones) holds none of the words, and speech without a
# transcript: one window in twenty of that touches a word, but its 260 readers teach more than these do harm.
speech="$work/speech"
mkdir -p "$speech"
awk -F'\t' 'NR > 1 && ($5 == "" && $6 == "" || $5 == "unknown") { print $1 }' \
  "$KWSD_DATA/running_speech/train/transcripts.tsv" |
  while read -r file; do [ -e "$speech/$file" ] || cp "$KWSD_DATA/running_speech/train/$file" "$speech/"; done

# Synthetic speech (Debian: espeak-ng flite festival festvox-kallpc16k festvox-us-slt-hts): the words, and lines of other
# words, of which it has more kinds than any recordings at hand hold; three in ten sound like the ten words.
sound_alikes=now,note,nose,nor,new,low,so,though,gold,goal,goat,ghost,gone,good,got,grow,yesterday,yet,yard,guess,less,\
mess,yellow,us,upper,under,ape,hope,but,cut,town,dawn,done,gown,brown,doubt,noun,lift,let,laugh,loft,least,theft,led,ride,\
rice,ripe,rate,light,night,white,fight,own,an,in,arm,all,and,end,of,often,office,soft,cough,awful,ah,shop,top,step,stock,\
popped,start,drop,spot,stay
espeak=
for variant in f1 m1 f2 m2 f3 m3 f4 m4 f5 m5 m6 m7 m8 Andrea adam Alicia Michael steph max linda grandma; do
  for accent in en-us en-029 en-gb-scotland en-gb-x-rp; do
    espeak="$espeak,espeak-ng:$accent+$variant"
  done
done
synthesize() {
  kwsd-train synthesize --codec opus "$@"
}
if [ ! -e "$work/misnamed.tsv" ]; then
  both="flite,festival$espeak"
  synthesize --output_dir "$words" --voices "$both" --count 130 --words yes,no,up,down,left,right,on,off,stop,go
  [ -z "${SOUND_ALIKE_CLIPS:-}" ] ||
    synthesize --output_dir "$words" --voices "$both" --count "$SOUND_ALIKE_CLIPS" --words "$sound_alikes"
  "$models/text_without_words.py" 1500 1 "$sound_alikes" > "$work/lines-1.txt"
  "$models/text_without_words.py" 2000 2 "$sound_alikes" > "$work/lines-2.txt"
  synthesize --output_dir "$speech" --voices flite,festival --text "$work/lines-1.txt"
  synthesize --output_dir "$speech" --voices "${espeak#,}" --text "$work/lines-2.txt"
fi

# learn TRAIN_DIR START STEPS [FLAGS]: from this checkpoint, or on from the newest in the folder
learn() {
  train=$1 start=$2 count=$3
  shift 3
  [ -e "$train" ] && ls "$train" | grep -q 'ckpt-' && start=latest
  kwsd-train train --recipe tutorial --train_dir "$train" --start_checkpoint "$start" --data_dir "$words" \
    --model_architecture "$network" --how_many_training_steps "$count" \
    --preprocess log_mel --window_size_ms 32 --window_stride_ms 20 \
    --feature_bin_count 40 --lower_hz 20 --upper_hz 7000 --mel_power 2 --log_floor 1e-6 \
    --learning_rate_schedule cosine --warmup_steps 500 \
    --optimizer adam --weight_decay 0.02 --average_decay 0.999 --batch_size 100 \
    --unknown_percentage 100 --speech_percentage 28 --speech_dir "$speech" --stream_frequency 0.3 \
    --time_shift_ms 120 --speed_percentage 12 --gain_db -40 6 --equalizer_db 6 --reverberation_frequency 0.25 \
    --noise_frequency 0.7 --snr_db 0 25 --background_frequency 0.2 --quiet_frequency 0.3 --made_noise_frequency 0.5 \
    --time_masks 1 --time_mask_rows 8 --band_masks 1 --band_mask_bins 6 \
    --eval_step_interval 1000 --save_step_interval 250 "$@"
}
freeze() {
  kwsd-train freeze --start_checkpoint latest --train_dir "$train" --name "kwsd-$name" \
    --metadata "$models/$name.metadata.json" "$@"
}

[ -e "$work/misnamed.tsv" ] || learn "$work/train" '' "$steps" --learning_rate 0.004 "$@"

# Once more where STEPS_MORE is not 0: at half the rate, without clips of the words that are not what their folder says
# (the word was cut off, or only noise was recorded: one in 110), and with words said again.
if [ "$more" != 0 ] && [ ! -e "$work/misnamed.tsv" ]; then
  first="$work/first"
  freeze --output_file "$first.tflite" --weights_file "$first.weights.h5"
  kwsd-train evaluate --model "${JUDGE:-$first.tflite}" --data_dir "$words" --set training --unknown_percentage 100 \
    --silence_percentage 10 --errors "$work/all.tsv"
  awk -F'\t' 'NR > 1 && $2 != "_unknown_" && $5 < 0.1 { print $1 }' "$work/all.tsv" |
    while read -r file; do rm -f "$file"; done
  mv "$work/all.tsv" "$work/misnamed.tsv"
fi
[ "$more" = 0 ] ||
  learn "$work/train-more" "$work/first.weights.h5" "$more" --learning_rate 0.002 --repeat_frequency 0.5 "$@"

freeze --quantize int8 --output_file "$models/$name.tflite"
freeze --output_file "$models/$name-float32.tflite" --weights_file "$models/$name.weights.h5"
for model in "$name" "$name-float32"; do
  for set in validation testing; do
    kwsd-train evaluate --model "$models/$model.tflite" --set $set --unknown_percentage 100 --silence_percentage 10
  done
done
