"""Which clip belongs to which label and set."""

import random
from collections import Counter
from pathlib import Path

import pytest
from kwsd_train.data.folders import SETS, background_files, build_index, labels_of, listed_files, parse_words, which_set

from kwsd.errors import InputError, UsageError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ab00c4b2_nohash_0.wav", "validation"),
        ("a5d485dc_nohash_0.wav", "training"),
        ("pete_nohash_0.wav", "training"),
        ("pete_nohash_1.wav", "training"),
        ("bobby_nohash_0.wav", "training"),
        ("audio_0.wav", "training"),
        ("_nohash_3.wav", "training"),
    ],
)
def test_which_set_equals_the_tutorials(name, expected):
    assert which_set(name, 10, 10) == expected


def test_the_word_and_the_folder_play_no_part_in_the_set():
    assert which_set("data/yes/ab00c4b2_nohash_4.opus", 10, 10) == "validation"


@pytest.mark.parametrize(("validation", "expected"), [(3.4084, "testing"), (3.4085, "validation")])
def test_the_percentage_of_a_speaker_is_the_references(validation, expected):
    """ab00c4b2 stands at 3.408466 %."""
    assert which_set("ab00c4b2_nohash_0.wav", validation, 10) == expected


def test_the_shuffles_of_the_reference_come_out():
    """The order in which build_index shuffles, as measured on the original with seed 59185."""
    draw = random.Random(59185)
    first, second = list("abcdefghij"), list("abcdef")
    draw.shuffle(first)
    draw.shuffle(second)
    assert ("".join(first), "".join(second)) == ("dijfecbgah", "dfbeac")


def test_silence_and_unknown_are_percentages_of_the_wanted_clips(data_dir):
    index = build_index(data_dir, ("up", "down"), silence_percentage=25, unknown_percentage=30)
    for name in SETS:
        labels = Counter(clip.label for clip in index[name])
        wanted = labels[2] + labels[3]
        others = sum(which_set(path.name, 10, 10) == name for path in (data_dir / "bird").iterdir())
        assert labels[0] == -(-wanted * 25 // 100)
        assert labels[1] == min(-(-wanted * 30 // 100), others)


def test_an_index_repeats_and_another_seed_gives_another(data_dir):
    first, again, other = (build_index(data_dir, ("up", "down"), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_no_speaker_is_in_two_sets(data_dir):
    index = build_index(data_dir, ("up", "down"), unknown_percentage=100, validation_percentage=30)
    speakers = [{clip.path.name.partition("_nohash_")[0] for clip in index[name] if clip.path} for name in SETS]
    assert all(speakers)
    assert sum(map(len, speakers)) == len(set.union(*speakers))


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(InputError, match=r"No \.wavs found at"):
        build_index(tmp_path, ("yes",))


def test_a_word_without_a_folder_is_told(data_dir):
    with pytest.raises(InputError, match="Expected to find yes in labels but only found bird, down, up"):
        build_index(data_dir, ("up", "yes"))


def test_a_word_whose_speakers_are_all_kept_for_testing_is_told(data_dir, tmp_path):
    """ben's hash says testing: a model of his takes alone would never hear the word in training."""
    for word in ("up", "bird"):
        (tmp_path / word).symlink_to(data_dir / word)
    (tmp_path / "lumos").mkdir()
    for take in range(3):
        (tmp_path / "lumos" / f"ben_nohash_{take}.wav").touch()
    with pytest.raises(InputError, match=r"no clip of lumos falls into the training set: its speakers \(ben\)"):
        build_index(tmp_path, ("up", "lumos"))
    assert build_index(tmp_path, ("up", "lumos"), validation_percentage=0, testing_percentage=0)


@pytest.mark.parametrize(("folder", "word"), [("Lumos", "Lumos"), ("Lumos", "lumos"), ("lumos", "Lumos")])
def test_the_case_of_a_word_and_of_its_folder_does_not_matter(data_dir, tmp_path, folder, word):
    """Labels are spelt as they were asked for."""
    for name, of in {"bird": "bird", folder: "up"}.items():
        (tmp_path / name).symlink_to(data_dir / of)
    index, lower = (build_index(tmp_path, (asked,), seed=1) for asked in (word, word.lower()))
    assert index == lower
    assert sum(clip.label == 2 for name in SETS for clip in index[name]) == 12
    assert labels_of((word,))[-1] == word


@pytest.mark.parametrize("text", ["", "yes,,no", "yes,yes", "Yes,yes", "_silence_", "yes,_unknown_", "_Silence_"])
def test_wanted_words_are_refused_when_they_cannot_be(text):
    with pytest.raises(UsageError, match="--wanted_words"):
        parse_words(text)


def test_an_empty_background_folder_is_told(tmp_path):
    (tmp_path / "_background_noise_").mkdir()
    with pytest.raises(InputError, match="No background wav files were found"):
        background_files(tmp_path)


def test_a_table_keeps_validation_noise_out_of_training(tmp_path: Path):
    for name in ("street.opus", "room.opus", "unlisted.opus"):
        (tmp_path / name).touch()
    (tmp_path / "noise.tsv").write_text("file\tsplit\nstreet.opus\ttrain\nroom.opus\tvalidation\n")
    (tmp_path / "authors.tsv").write_text("file\tauthor\nroom.opus\tme\n")
    assert [path.name for path in listed_files(tmp_path, "--noise_dir", split="train")] == ["street.opus"]


def test_a_table_that_is_not_utf_8_is_told(tmp_path):
    (tmp_path / "noise.wav").touch()
    (tmp_path / "noise.tsv").write_bytes("file\tsplit\nnoise.wav\tzug-nach-k\xf6ln\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"noise\.tsv: cannot be read: not UTF-8"):
        listed_files(tmp_path, "--noise_dir", split="train")
