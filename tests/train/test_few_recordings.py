"""The folders that tools/few_recordings.py trains on."""

import few_recordings
from kwsd_train.data import which_set


def test_only_training_clips_of_the_new_words_are_left_out_speakers_before_takes(tmp_path):
    speakers = [f"s{number}" for number in range(40)]
    for word in ("new", "old", "_background_noise_"):
        (tmp_path / "all" / word).mkdir(parents=True)
        for speaker in speakers:
            for take in range(2):
                (tmp_path / "all" / word / f"{speaker}_nohash_{take}.wav").write_bytes(b"")
    few_recordings.link(tmp_path / "all", tmp_path / "few", ["new"], 5, seed=1)
    assert len(list((tmp_path / "few" / "old").iterdir())) == 80
    names = {path.name for path in (tmp_path / "few" / "new").iterdir()}
    training = {name for name in names if which_set(name, 10, 10) == "training"}
    everything = {path.name for path in (tmp_path / "all" / "new").iterdir()}
    assert names - training == {name for name in everything if which_set(name, 10, 10) != "training"}
    assert len(training) == len({name.partition("_nohash_")[0] for name in training}) == 5


def test_figures_are_told_as_shares_of_clips():
    labels = ["_silence_", "_unknown_", "new", "yes"]
    counts = [[9, 0, 0, 0], [0, 95, 4, 1], [0, 1, 3, 0], [0, 0, 0, 5]]
    told = few_recordings.tell({"labels": labels, "confusion": counts}, ["new"])
    assert told.startswith("75.0 % of 4 clips of the words right, 4.0 % of 100 clips of other words")
