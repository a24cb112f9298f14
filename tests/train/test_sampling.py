"""How a batch is composed: shares of what is there (tutorial), or shares of the batch (balanced)."""

from collections import Counter

import numpy as np
import pytest
import soundfile
from kwsd_train.batches import sampling
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import load_data
from kwsd_train.cli import main
from kwsd_train.flags import options

from kwsd.errors import UsageError

SETTINGS = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS
SETTINGS |= {"window_stride_ms": 20.0, "validation_percentage": 0.0, "testing_percentage": 0.0, "time_shift_ms": 0.0}
SETTINGS |= {"background_frequency": 0.0, "sampling": "balanced"}


def tone(hz):
    """A second that tells which clip it is."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Five takes of ``lumos`` by anna and forty of ``up``; anna says two other words, others a hundred."""
    root = tmp_path_factory.mktemp("few")
    counts = {("lumos", "anna"): 5, ("up", "carl"): 40, ("tree", "anna"): 2, ("tree", "carl"): 0, ("bird", "dora"): 100}
    for place, ((word, speaker), count) in enumerate(counts.items()):
        (root / word).mkdir(exist_ok=True)
        for take in range(count):
            path = root / word / f"{speaker}_nohash_{take}.wav"
            soundfile.write(path, tone(200 + 200 * place), 16_000, subtype="PCM_16")
    (root / "_background_noise_").mkdir()
    noise = np.random.default_rng(1).normal(0, 0.01, 20_000)
    soundfile.write(root / "_background_noise_" / "hiss.wav", noise, 16_000, subtype="PCM_16")
    return root


def examples_of(root, cache, **more):
    settings = SETTINGS | {"wanted_words": "lumos,up", "batch_size": 100} | more
    nowhere = root / "nowhere"
    return Examples(load_data(settings, options.Folders(root, nowhere, nowhere, nowhere, cache)), settings)


def label_shares(examples, steps=5):
    """Of each label, in all batches together."""
    return sum(examples.batch(step)[1].sum(axis=0) for step in range(steps)) / (steps * 100)


def test_percentages_are_shares_of_each_batch_and_words_come_equally_often(few, tmp_path):
    examples = examples_of(few, tmp_path, silence_percentage=10.0, unknown_percentage=40.0)
    for step in range(3):
        silence, unknown, *words = examples.batch(step)[1].sum(axis=0)
        assert (silence, unknown) == (10, 40)
        assert sum(words) == 50
    assert label_shares(examples)[2:] == pytest.approx([0.25, 0.25], abs=0.06)


def test_the_tutorials_meaning_stays_where_it_is_asked_for(few, tmp_path):
    """Numbers of clips for each wanted one, so that five takes among forty are an eighth of them."""
    more = {"sampling": "tutorial", "silence_percentage": 0.0, "unknown_percentage": 20.0}
    examples = examples_of(few, tmp_path, **more)
    assert len(examples.data.sets["training"]) == 45 + 9
    unknown, lumos, up = label_shares(examples)[1:]
    assert unknown == pytest.approx(9 / 54, abs=0.05)
    assert lumos == pytest.approx(5 / 54, abs=0.04)
    assert up == pytest.approx(40 / 54, abs=0.06)


def test_other_words_are_drawn_from_all_there_are(few, tmp_path):
    training = examples_of(few, tmp_path, unknown_percentage=5.0).data.sets["training"]
    assert Counter(training.labels.tolist()) == {1: 102, 2: 5, 3: 40}


def test_weights_say_how_often_a_word_is_drawn(few, tmp_path):
    shares = label_shares(
        examples_of(few, tmp_path, silence_percentage=0.0, unknown_percentage=0.0, word_weights="lumos=4")
    )
    assert shares[2:] == pytest.approx([0.8, 0.2], abs=0.06)


def test_a_share_that_is_no_whole_number_of_clips_is_right_in_the_mean(few, tmp_path):
    examples = examples_of(few, tmp_path, batch_size=4, silence_percentage=10.0, unknown_percentage=0.0)
    silence = [examples.batch(step)[1].sum(axis=0)[0] for step in range(100)]
    assert set(silence) == {0, 1}
    assert np.mean(silence) == pytest.approx(0.4, abs=0.15)


def test_other_words_come_from_the_voices_of_the_wanted_ones(few, tmp_path):
    """Anna says half of the wanted words that are drawn, and so half of the other words; carl has none of these."""
    examples = examples_of(few, tmp_path, same_voice_percentage=100.0)
    training, draw = examples.data.sets["training"], np.random.default_rng(1)
    drawn = [examples._sampler.entry(1, draw) for _ in range(1000)]
    voices = Counter(training.voices[drawn].tolist())
    annas = voices[training.voices[np.flatnonzero(training.labels == 2)[0]]]
    assert annas == pytest.approx(500, abs=60)
    plain = examples_of(few, tmp_path)._sampler
    drawn = [plain.entry(1, draw) for _ in range(1000)]
    assert np.isin(drawn, np.flatnonzero(training.voices == training.voices[drawn[0]])).mean() > 0.9  # dora's


def test_without_other_words_the_rest_is_wanted_ones(few, tmp_path):
    examples = examples_of(few, tmp_path, wanted_words="lumos,up,tree,bird", silence_percentage=0.0)
    assert label_shares(examples)[1] == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"unknown_percentage": 90.0}, "add up to 100 percent"),
        ({"word_weights": "nox=2"}, "'nox' is not a wanted word"),
        ({"word_weights": "up=0"}, "WORD=X"),
        ({"word_weights": "up=nan"}, "WORD=X"),
        ({"word_weights": "up"}, "WORD=X"),
        ({"sampling": "tutorial", "word_weights": "up=2"}, "Add --sampling balanced"),
    ],
)
def test_what_cannot_be_drawn_is_told(more, told):
    with pytest.raises(UsageError, match=told):
        sampling.check(("lumos", "up"), SETTINGS | more)


def test_train_tells_it_before_it_looks_for_data(capsys):
    flags = ["--sampling", "balanced", "--unknown_percentage", "95", "--data_dir", "/nonexistent"]
    assert main(["train", *flags]) == 2
    assert "add up to 105 percent" in capsys.readouterr().err
