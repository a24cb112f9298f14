#!/bin/sh
# recipe.sh for a small model: it also learns from models/accurate, which hears every batch as the network does, and from
# synthetic speech (espeak-ng, flite and festival have to be installed): the words by 54 voices, and words that sound like
# them, such as now, gold and yesterday.
#   student.sh NAME NETWORK STEPS STEPS_MORE WORK_DIR
set -eu
models=$(dirname "$0")
work=$5
voices=flite,festival
for accent in en-us en-029 en-gb-scotland en-gb-x-rp; do
  for variant in f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7; do
    voices="$voices,espeak-ng:$accent+$variant"
  done
done
synthesize() {
  [ -e "$work/misnamed.tsv" ] || kwsd-train synthesize --output_dir "$work/words" --codec opus --voices "$voices" "$@"
}
synthesize --count 54 --words yes,no,up,down,left,right,on,off,stop,go
synthesize --count 18 --words "now,note,nose,nor,new,low,so,though,gold,goal,goat,ghost,gone,good,got,grow,yesterday,yet,\
yard,guess,less,mess,yellow,us,upper,under,ape,hope,but,cut,town,dawn,done,gown,brown,doubt,noun,lift,let,laugh,loft,\
least,theft,led,ride,rice,ripe,rate,light,night,white,fight,own,an,in,arm,all,and,end,of,often,office,soft,cough,awful,\
ah,shop,top,step,stock,popped,start,drop,spot,stay"
export JUDGE="$models/accurate-float32.tflite"
exec "$models/recipe.sh" "$@" --silence_percentage 25 --teacher "$JUDGE" --teacher_hears batches --teacher_weight 0.5
