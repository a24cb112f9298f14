#!/bin/sh
# Trains a model from the start, freezes it to NAME.tflite, NAME-float32.tflite and NAME.weights.h5 in this folder, and
# measures it.
#   recipe.sh NAME NETWORK STEPS WORK_DIR [FLAGS of kwsd-train train...]
# The shipped models have it in common; their own recipes call it. Goes on where it was when it was interrupted.
# $KWSD_DATA needs what `kwsd-train download` brings, noise/, running_speech/train/ and impulse_responses/. Used where they
# are there: speech_commands_logmel/ (further clips as pictures) and teacher/ (larger networks to learn from).
set -eu
name=$1 network=$2 steps=$3 work=$4
shift 4
models=$(dirname "$0")
words="$work/words" speech="$work/speech"
: "${KWSD_DATA:=data}"
export KWSD_DATA

# What is missing is told now, not after hours.
for needed in speech_commands noise running_speech/train/transcripts.tsv impulse_responses; do
  [ -e "$KWSD_DATA/$needed" ] || { echo "recipe.sh: $KWSD_DATA/$needed is missing. Set KWSD_DATA." >&2; exit 66; }
done
for needed in kwsd-train espeak-ng flite /usr/share/festival/dicts/cmu/cmudict-0.4.out; do
  command -v "$needed" > /dev/null || [ -e "$needed" ] || { echo "recipe.sh: $needed is not installed." >&2; exit 69; }
done
mkdir -p "$words" "$speech"

# Words: links to the clips, so that others can lie beside them. What nobody has named cannot be told apart from the rest.
if [ ! -e "$work/words.done" ]; then
  cp -rsf "$(realpath "$KWSD_DATA")/speech_commands/." "$words/"
  rm -rf "$words/_unidentified_"
  [ ! -d "$words/unidentified" ] || mv "$words/unidentified" "$words/_unidentified_"

  # Pictures become sound; their numbers go on at 100, since a clip may be there as both.
  for zip in "$KWSD_DATA"/speech_commands_logmel/*.zip; do
    [ -e "$zip" ] || continue
    word=$(basename "$zip" .zip)
    rm -rf "$work/pictures" # of another word, if that was interrupted
    OPENBLAS_NUM_THREADS=1 python "$KWSD_DATA/speech_commands_logmel/invert_logmel.py" "$zip" "$work/pictures"
    for clip in "$work"/pictures/*.wav; do
      number=${clip##*_nohash_} speaker=$(basename "${clip%_nohash_*}")
      mv "$clip" "$words/$word/${speaker}_nohash_$((100 + ${number%.wav})).wav"
    done
  done
  touch "$work/words.done"
fi

# Running speech whose transcript (columns 5 and 6: words, homophones) holds none of the words, and speech without a
# transcript: one window in twenty of that touches a word, but its 260 readers teach more than these do harm.
awk -F'\t' 'NR > 1 && ($5 == "" && $6 == "" || $5 == "unknown") { print $1 }' \
  "$KWSD_DATA/running_speech/train/transcripts.tsv" |
  while read -r file; do
    [ ! -e "$speech/$file" ] || continue
    cp "$KWSD_DATA/running_speech/train/$file" "$speech/.part"
    mv "$speech/.part" "$speech/$file"
  done

# Synthetic speech (Debian: espeak-ng flite festlex-cmu): words that sound like the ten, and lines of other
# words, of which it has more kinds than any recordings at hand hold; three in ten sound like the ten words.
sound_alikes=now,note,nose,nor,new,low,so,though,gold,goal,goat,ghost,gone,good,got,grow,yesterday,yet,yard,guess,less,\
mess,yellow,us,upper,under,ape,hope,but,cut,town,dawn,done,gown,brown,doubt,noun,lift,let,laugh,loft,least,theft,led,ride,\
rice,ripe,rate,light,night,white,fight,own,an,in,arm,all,and,end,of,often,office,soft,cough,awful,ah,shop,top,step,stock,\
popped,start,drop,spot,stay
voices=flite
for variant in f1 m1 f2 m2 f3 m3 f4 m4 f5 m5 m6 m7 m8 Andrea adam Alicia Michael steph max linda grandma; do
  for accent in en-us en-029 en-gb-scotland en-gb-x-rp; do
    voices="$voices,espeak-ng:$accent+$variant"
  done
done
if [ ! -e "$work/synthesized.done" ]; then
  kwsd-train synthesize --codec opus --output_dir "$words" --voices "$voices" --count 18 --words "$sound_alikes"
  "$models/text_without_words.py" 2500 1 "$sound_alikes" > "$work/lines.txt"
  kwsd-train synthesize --codec opus --output_dir "$speech" --voices "$voices" --text "$work/lines.txt"
  touch "$work/synthesized.done"
fi

# Larger networks say what the clips of the words are. The second was trained with heart beats in place of "on".
teachers="$work/teachers"
mkdir -p "$teachers"
described='sample_rate_hz: 16000
clip_ms: 1000
frontend: {type: waveform}'
describe() { # FILE SCORES LABEL_OF_ON
  [ -e "$KWSD_DATA/teacher/$1.tflite" ] || return 0
  cp "$KWSD_DATA/teacher/$1.tflite" "$teachers/"
  cat > "$teachers/$1.kwsd.yaml" <<END
labels: [_silence_, _unknown_, "yes", "no", up, down, left, right, "$3", "off", stop, go]
scores: $2
$described
END
}
describe kwt1 logits on
describe bcresnet8_nine_words probabilities _heartbeat_
for teacher in "$teachers"/*.tflite; do
  [ ! -e "$teacher" ] || set -- "$@" --teacher "$teacher"
done

start=
[ ! -e "$work/train" ] || ! ls "$work/train" | grep -q 'ckpt-' || start=latest
kwsd-train train --recipe tutorial --train_dir "$work/train" --start_checkpoint "$start" --data_dir "$words" --speech_dir "$speech" \
  --model_architecture "$network" --how_many_training_steps "$steps" \
  --preprocess log_mel --window_size_ms 32 --window_stride_ms 20 \
  --feature_bin_count 40 --lower_hz 20 --upper_hz 7000 --mel_power 2 --log_floor 1e-6 \
  --learning_rate 0.004 --learning_rate_schedule cosine --warmup_steps 500 \
  --optimizer adam --weight_decay 0.02 --average_decay 0.999 --batch_size 100 \
  --unknown_percentage 100 --silence_percentage 25 --speech_percentage 22 \
  --stream_frequency 0.4 --repeat_frequency 0.4 --time_shift_ms 100 --whole_shift_ms 250 --speed_percentage 12 \
  --gain_db -40 6 --equalizer_db 6 --narrow_frequency 0.15 --reverberation_frequency 0.25 \
  --noise_frequency 0.7 --snr_db 0 25 --background_frequency 0.2 --quiet_frequency 0.3 --made_noise_frequency 0.5 \
  --voice_frequency 0.3 --voice_snr_db 3 20 --spoken_weight 0.2 --teacher_weight 0.5 \
  --time_masks 1 --time_mask_rows 8 --band_masks 1 --band_mask_bins 6 \
  --eval_step_interval 1000 --save_step_interval 250 "$@"

freeze() {
  kwsd-train freeze --start_checkpoint latest --train_dir "$work/train" --name "kwsd-$name" \
    --data_dir "$words" --speech_dir "$speech" --embedding --metadata "$models/$name.metadata.json" "$@"
}
freeze --quantize int8 --output_file "$models/$name.tflite"
freeze --output_file "$models/$name-float32.tflite" --weights_file "$models/$name.weights.h5"
(cd "$models" && sha256sum -- *.tflite > SHA256SUMS)
python "$models/../tools/negatives.py" "$models/$name.tflite"
for model in "$name" "$name-float32"; do
  for set in validation testing; do
    kwsd-train evaluate --model "$models/$model.tflite" --set $set --unknown_percentage 100 --silence_percentage 10
  done
done
