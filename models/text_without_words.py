#!/usr/bin/env python3
"""Prints lines of English words that are none of the ten, but many of them like these: text for `synthesize --text`.

    text_without_words.py COUNT SEED SOUND_ALIKES

Three in ten words are of SOUND_ALIKES, a comma list; four have one syllable; the rest are any. The words are those of
the CMU pronouncing dictionary, as festival's lexicon (Debian: festlex-cmu) has it. Left out is what sounds exactly like
one of the ten or has it in its spelling.
"""

import random
import re
import sys
from collections import defaultdict
from pathlib import Path

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
DICTIONARY = Path("/usr/share/festival/dicts/cmu/cmudict-0.4.out")
SHARES = (0.3, 0.4, 0.3)
WORDS_A_LINE = (4, 9)
COMMA_SHARE = 0.4


def main() -> None:
    count, seed, sound_alikes = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    said = defaultdict(set)  # word -> its pronunciations; ("gold" nil (((g ow l d) 1)))
    syllables = {}
    for word, text in re.findall(r'^\("([a-z]+)" \S+ \((.*)\)\)$', DICTIONARY.read_text("latin-1"), re.MULTILINE):
        said[word].add(" ".join(re.findall("[a-z]+", text)))
        syllables[word] = len(re.findall("[0-9]", text))
    ten = set().union(*(said[word] for word in WORDS))
    others = [
        word
        for word, ways in said.items()
        if len(word) > 1 and not ways & ten and not any(part in word for part in WORDS)
    ]
    short = [word for word in others if syllables[word] == 1]
    draw = random.Random(seed)
    for _ in range(count):
        kinds = draw.choices((sound_alikes, short, others), SHARES, k=draw.randint(*WORDS_A_LINE))
        pause = ", " if draw.random() < COMMA_SHARE else " "
        print(pause.join(draw.choice(kind) for kind in kinds))


if __name__ == "__main__":
    main()
