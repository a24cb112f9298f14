"""Targets that other models move, or make."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import load_data
from kwsd_train.cli import main
from kwsd_train.data.recordings import Windows, load
from kwsd_train.flags import options
from kwsd_train.training import checkpoint, teacher

from kwsd import model as models
from kwsd.errors import InputError, UsageError

LABELS = ["_silence_", "_unknown_", "up", "down"]


@pytest.fixture
def blended(monkeypatch, tmp_path):
    """Targets of four entries: up, down, bird (unknown) and silence; moved by half towards two teachers."""
    says = {
        "whole": (("down", "up", "_unknown_"), [[0.2, 0.7, 0.1], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]),
        "without_down": (("up", "cat", "_unknown_"), [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.1, 0.4, 0.5]]),
    }

    def scores(name, clips, rate_hz, numbers, cache_dir):
        labels, rows = says[name]
        assert numbers.tolist() == [7, 3, 5]
        return labels, np.array(rows, np.float32)

    monkeypatch.setattr(teacher, "_scores", scores)
    targets = np.eye(4, dtype=np.float32)[[2, 3, 1, 0]]
    numbers = np.array([7, 3, 5, -1])
    return teacher.blend(list(says), 0.5, None, 16000, numbers, targets, LABELS, tmp_path)


def test_targets_move_towards_the_mean_of_the_teachers(blended):
    """Labels go by name; a word that the student lacks (cat) counts as unknown."""
    np.testing.assert_allclose(blended[0], [0, 0.5 * 0.3, 0.5 + 0.5 * 0.6, 0.5 * 0.1], atol=1e-6)
    np.testing.assert_allclose(blended[2], [0, 0.5 + 0.5 * 0.7, 0.5 * 0.3, 0], atol=1e-6)


def test_a_teacher_is_not_asked_about_words_it_lacks(blended):
    np.testing.assert_allclose(blended[1], [0, 0, 0, 1], atol=1e-6)


def test_no_teacher_is_asked_about_silence(blended):
    np.testing.assert_array_equal(blended[3], [1, 0, 0, 0])


MODELS = Path(__file__).parents[1] / "fixtures" / "models"
TEACHERS = [str(MODELS / "rows.tflite"), str(MODELS / "waveform.tflite")]
"""One takes features, one takes samples; both know "yes" and "no"."""


@pytest.fixture
def heap(tmp_path):
    """Recordings without labels: 2.3 s at 16 kHz, and 0.4 s at 8 kHz in a folder of its own."""
    folder = tmp_path / "heap"
    (folder / "more").mkdir(parents=True)
    draw = np.random.default_rng(3)
    soundfile.write(folder / "long.wav", draw.normal(0, 0.1, 36_800).clip(-1, 1), 16_000, subtype="PCM_16")
    soundfile.write(folder / "more" / "short.flac", draw.normal(0, 0.1, 3_200).clip(-1, 1), 8_000, subtype="PCM_16")
    (folder / "notes.txt").write_text("no recording")
    return folder


@pytest.fixture
def words_dir(tmp_path, data_dir):
    """The teachers' words in the tones of others."""
    root = tmp_path / "words"
    root.mkdir()
    for word, tones in {"yes": "up", "no": "down", "_background_noise_": "_background_noise_"}.items():
        (root / word).symlink_to(data_dir / tones)
    return root


SETTINGS = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS
SETTINGS |= {"wanted_words": "yes,no", "window_stride_ms": 20.0, "batch_size": 20}
HEARD_ALIKE = {"window_size_ms": 40.0, "feature_bin_count": 10}
"""Features of the first."""

QUIET = {"background_frequency": 0.0, "time_shift_ms": 0.0}


def data_of(words_dir, tmp_path, settings, *more, **how):
    where = options.Folders(words_dir, words_dir, words_dir, words_dir, tmp_path / "cache")
    return load_data(settings, where, *more, **how)


def test_windows_begin_half_a_clip_apart_and_miss_nothing(heap, tmp_path):
    recordings = load([heap / "long.wav", heap / "more" / "short.flac"], 16_000, tmp_path / "cache")
    windows = Windows(recordings, 16_000)
    long, short = recordings[0], recordings[1]
    assert len(windows) == 5
    for place in range(4):
        expected = long[place * 8000 :][:16_000]
        np.testing.assert_array_equal(windows[place][: len(expected)], expected)
        assert not windows[place][len(expected) :].any()
    np.testing.assert_array_equal(windows[4][: len(short)], short)
    assert len(long) <= 3 * 8000 + 16_000


def test_what_teachers_say_of_a_window_is_its_target(heap, words_dir, tmp_path):
    data = data_of(words_dir, tmp_path, SETTINGS, TEACHERS, heap)
    assert len(data.unlabelled.windows) == 5
    for place in range(5):
        said = []
        for name in TEACHERS:
            model = models.load(name)
            said.append(model.scores(model.features(data.unlabelled.windows[place])))
        np.testing.assert_allclose(data.unlabelled.targets[place], np.mean(said, axis=0), atol=1e-6)


def test_windows_take_their_share_of_a_batch(heap, words_dir, tmp_path):
    settings = SETTINGS | QUIET | {"unlabelled_percentage": 25.0}
    data = data_of(words_dir, tmp_path, settings, TEACHERS[:1], heap)
    rows, targets, _ = Examples(data, settings).batch(1)
    for place in range(5):
        entry = int(np.abs(data.unlabelled.targets - targets[place]).sum(axis=1).argmin())
        np.testing.assert_array_equal(targets[place], data.unlabelled.targets[entry])
        window = Examples(data, settings).features(data.unlabelled.windows[entry][None])[0]
        np.testing.assert_allclose(rows[place], window, atol=1e-5)
    clips = data.sets["training"].targets
    assert all((np.abs(clips - target).sum(axis=1) < 1e-6).any() for target in targets[5:])


def test_teachers_are_asked_once(heap, words_dir, tmp_path, monkeypatch):
    first = data_of(words_dir, tmp_path, SETTINGS, TEACHERS, heap)

    def asked(signal, rate_hz, wanted_hz):
        raise AssertionError("a teacher hears a clip again")

    monkeypatch.setattr(teacher, "_resampled", asked)
    again = data_of(words_dir, tmp_path, SETTINGS, TEACHERS, heap)
    np.testing.assert_array_equal(again.unlabelled.targets, first.unlabelled.targets)


def test_what_a_teacher_said_alone_is_not_what_two_say_together(heap, words_dir, tmp_path):
    pair = f"{TEACHERS[0]}+{MODELS / 'rows-int8.tflite'}"
    alone, both, fresh = (
        data_of(words_dir, tmp_path / folder, SETTINGS, (name,), heap).unlabelled.targets
        for folder, name in (("a", TEACHERS[0]), ("a", pair), ("b", pair))
    )
    np.testing.assert_array_equal(both, fresh)
    assert np.abs(both - alone).max() > 0.001


def test_teachers_that_hear_batches_are_asked_about_the_very_features(words_dir, tmp_path):
    settings = SETTINGS | HEARD_ALIKE | {"stream_frequency": 0.5, "time_masks": 1, "teacher_weight": 0.75}
    plain = Examples(data_of(words_dir, tmp_path, settings), settings).batch(2)
    data = data_of(words_dir, tmp_path, settings, TEACHERS[:1], teachers_hear_batches=True)
    rows, targets, _ = Examples(data, settings).batch(2)
    np.testing.assert_array_equal(rows, plain[0])
    said = np.array([models.load(TEACHERS[0]).scores(clip) for clip in rows])
    expected = 0.25 * plain[1] + 0.75 * said
    silence = plain[1][:, 0] == 1
    assert 0 < silence.sum() < len(silence)
    expected[silence] = plain[1][silence]
    np.testing.assert_allclose(targets, expected, atol=1e-6)


def test_a_teacher_says_nothing_of_a_word_it_lacks_and_goes_on_saying_the_others(words_dir, data_dir, tmp_path):
    """The old words of a model that learns one more; labels go by name, whatever their order."""
    (words_dir / "lumos").symlink_to(data_dir / "bird")
    settings = SETTINGS | HEARD_ALIKE | QUIET | {"wanted_words": "no,lumos,yes", "teacher_weight": 1.0}
    plain = Examples(data_of(words_dir, tmp_path, settings), settings).batch(2)
    data = data_of(words_dir, tmp_path, settings, TEACHERS[:1], teachers_hear_batches=True)
    rows, targets, _ = Examples(data, settings).batch(2)
    model, new = models.load(TEACHERS[0]), plain[1][:, 3] == 1
    assert new.any()
    np.testing.assert_array_equal(targets[new], plain[1][new])
    asked = ~new & (plain[1][:, 0] == 0)
    said = np.array([model.scores(clip) for clip in rows[asked]])
    for label, place in (("_unknown_", 1), ("no", 2), ("yes", 4)):
        np.testing.assert_allclose(targets[asked, place], said[:, model.labels.index(label)], atol=1e-6)


def test_a_teacher_of_other_features_or_words_cannot_hear_batches(words_dir, data_dir, tmp_path):
    (words_dir / "up").symlink_to(data_dir / "up")
    for teacher_file, settings in (
        (TEACHERS[1], SETTINGS | HEARD_ALIKE),
        (TEACHERS[0], SETTINGS | HEARD_ALIKE | {"window_stride_ms": 10.0}),
        (TEACHERS[0], SETTINGS | HEARD_ALIKE | {"wanted_words": "up"}),
    ):
        data = data_of(words_dir, tmp_path, settings, [teacher_file], teachers_hear_batches=True)
        with pytest.raises(UsageError, match="other features or other words"):
            Examples(data, settings)


def test_a_teacher_hears_at_its_own_rate(heap, tmp_path):
    clips = load([heap / "more" / "short.flac"], 8_000, tmp_path / "cache")
    _, scores = teacher._scores(TEACHERS[0], clips, 8_000, np.array([0]), tmp_path / "cache")
    model = models.load(TEACHERS[0])
    signal = np.zeros(16_000, np.float32)
    signal[:6400] = soxr.resample(clips[0], 8_000, 16_000)
    np.testing.assert_allclose(scores[0], model.scores(model.features(signal)), atol=1e-6)


def test_a_teacher_that_lacks_a_word_says_nothing_of_windows(heap, words_dir, data_dir, tmp_path):
    (words_dir / "bird").symlink_to(data_dir / "bird")
    with pytest.raises(UsageError, match="no teacher knows all of the wanted words"):
        data_of(words_dir, tmp_path, SETTINGS | {"wanted_words": "yes,bird"}, TEACHERS, heap)


def test_a_folder_without_a_recording_is_told(words_dir, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(InputError, match=f"{folder}: no recording"):
            data_of(words_dir, tmp_path, SETTINGS, TEACHERS, folder)
        (tmp_path / "empty").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "empty" / "nothing.wav", np.zeros(0), 16_000)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--unlabelled_percentage", "20"], "--unlabelled_dir: requires a teacher"),
        (["--teacher", "default"], "--unlabelled_dir: requires --unlabelled_percentage above 0"),
        (["--teacher=default", "--unlabelled_percentage=90", "--speech_percentage=20"], "it is 110, more than 100 %"),
    ],
)
def test_flags_that_make_no_sense_are_one_line(heap, tmp_path, capsys, flags, told):
    flags = ["--data_dir", str(tmp_path), "--unlabelled_dir", str(heap), *flags]
    assert main(["train", *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_a_network_trains_with_windows_and_resumes_to_the_same_bits(heap, words_dir, tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
    places = ["--data_dir", str(words_dir), "--cache_dir", str(tmp_path / "cache")]
    flags = ["--wanted_words", "yes,no", "--model_architecture", "single_fc", "--window_stride_ms", "20"]
    flags += ["--teacher", TEACHERS[1], "--unlabelled_dir", str(heap), "--unlabelled_percentage", "30"]
    flags += ["--learning_rate", "0.01", "--batch_size", "10", "--workers", "0", "--unknown_percentage", "0"]
    ends = []
    for name, stages in {"whole": [6], "broken": [3, 6]}.items():
        for steps in stages:
            resumed = ["--start_checkpoint", "latest"] if steps == 6 and len(stages) == 2 else []
            run = ["--how_many_training_steps", str(steps), "--train_dir", str(tmp_path / name), *resumed]
            assert main(["train", *places, *flags, *run]) == 0
        ends.append(checkpoint.load(checkpoint.latest(tmp_path / name)).variables["model"])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
