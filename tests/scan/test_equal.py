"""What a scan finds is what the daemon hears, to the last bit, however the work is cut and whoever does it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwsd.model import load
from kwsd.scan import work
from kwsd.scan.chunks import Grid
from kwsd.scan.inputs import Recording
from kwsd.scan.scan import Scan
from kwsd.scan.score import Scorer
from kwsd.spotter import Spotter
from tests.scan.conftest import HerePool, heard_by_the_daemon, hearing_of

MODELS = Path(__file__).resolve().parents[1] / "fixtures" / "models"


def scanned(path, hearing, scorer, pool):
    [outcome] = Scan(hearing, scorer, pool).run([Recording(str(path), None, str(path.parent))])
    assert outcome.failure is None, outcome.failure
    return [(word.label, word.score, word.end_ms) for word in outcome.words], outcome


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chunks_done_in_any_order_give_what_source_hears(data, tmp_path, demo):
    samples = data.draw(st.integers(1, 10 * 16000))
    at = data.draw(st.integers(0, len(demo) - samples))
    path = tmp_path / data.draw(st.sampled_from(["a.wav", "a.flac"]))
    soundfile.write(path, demo[at : at + samples], 16000)
    clips = data.draw(st.integers(1, 300))
    threshold = data.draw(st.sampled_from([0.05, 0.5]))
    name = data.draw(st.sampled_from(["tiny", "tiny+default"]))
    hearing, scorer = hearing_of(name, clips, detection_threshold=threshold)
    pool = HerePool(lambda count: data.draw(st.integers(0, count - 1)), data.draw(st.integers(1, 9)))
    found, outcome = scanned(path, hearing, scorer, pool)
    assert found == heard_by_the_daemon(scorer.model, path, detection_threshold=threshold)
    assert outcome.duration_ms == samples * 1000 // 16000
    assert len(pool.done) == (1 if scorer.grid.clips(samples) <= clips else 1 - -scorer.grid.clips(samples) // clips)


@pytest.mark.parametrize(
    ("name", "rate_hz", "subtype"),
    [
        ("a.wav", 48000, None),
        ("a.wav", 44100, "PCM_24"),
        ("a.flac", 8000, None),
        ("a.ogg", 16000, "VORBIS"),
        ("a.ogg", 48000, "OPUS"),
        ("a.wav", 16000, "ULAW"),
        ("a.wav", 16000, "FLOAT"),
        ("a.wav", 16000, "IMA_ADPCM"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_codecs_and_channels_give_what_source_hears(recording, name, rate_hz, subtype, channels):
    path = recording(name, 12 * 16000, rate_hz, channels, subtype)
    hearing, scorer = hearing_of("tiny", 37)
    hearing = work.Hearing(**{**vars(hearing), "channel": channels - 1})
    found, _ = scanned(path, hearing, scorer, HerePool())
    assert found == heard_by_the_daemon(scorer.model, path, channels - 1)


def test_one_that_takes_long_holds_up_no_other_and_outcomes_keep_their_order(recording):
    """The first recording's jobs are done last of all; meanwhile every other one is heard."""
    paths = [recording(f"{index:02}.wav", samples=16000 * (9 if not index else 2)) for index in range(40)]
    hearing, scorer = hearing_of("tiny", 50)
    pool = HerePool(lambda count: count - 1, capacity=2)
    recordings = [Recording(str(path), None, str(path.parent)) for path in paths]
    outcomes = list(Scan(hearing, scorer, pool).run(recordings))
    assert [outcome.recording for outcome in outcomes] == recordings
    assert pool.done[-1].address == str(paths[0]) and all(outcome.failure is None for outcome in outcomes)


def test_a_wav_whose_sizes_were_never_filled_in(recording):
    path = recording(samples=8 * 16000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = bytes(4)
    path.write_bytes(data)
    hearing, scorer = hearing_of("tiny", 50)
    found, outcome = scanned(path, hearing, scorer, HerePool())
    assert found == heard_by_the_daemon(scorer.model, path) and outcome.duration_ms == 8000


def test_there_is_something_to_find(recording):
    hearing, scorer = hearing_of("default", 100)
    found, _ = scanned(recording(rate_hz=16000, samples=20 * 16000), hearing, scorer, HerePool())
    assert len(found) > 5


def test_scores_of_one_clip_stride_and_of_a_wide_one(recording):
    """Clips that lie further apart than they are long: what is between them is never heard, by either."""
    path = recording(samples=14 * 16000)
    for stride_ms in (20, 1500):
        hearing, scorer = hearing_of("tiny", 3, clip_stride_ms=stride_ms, average_window_ms=0, minimum_count=1)
        found, _ = scanned(path, hearing, scorer, HerePool())
        assert found == heard_by_the_daemon(
            scorer.model, path, clip_stride_ms=stride_ms, average_window_ms=0, minimum_count=1
        )


RUNNABLE = ("rows", "rows-batch", "rows-int8", "rows-int16", "rows-uint8", "rows-logits", "waveform", "waveform-open")


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_kind_of_model_is_scored_as_by_the_daemon(name, demo):
    """Quantised and not, with logits, of samples in place of rows."""
    model = load(MODELS / f"{name}.tflite")
    stride_ms = Spotter(model).clip_stride_ms
    scorer, signal = Scorer(model, stride_ms), (demo[:32000] / np.float32(32768)).astype(np.float32)
    signal[:20000:2] = 0
    signal[:18000] = 0
    single = [
        model.scores(model.features(signal[start : start + model.clip_samples]))
        for start in range(0, len(signal) - model.clip_samples + 1, scorer.grid.stride_samples)
    ]
    assert np.array_equal(scorer.scores(signal), single)


@given(st.lists(st.integers(0, 700)), st.integers(1, 40), st.integers(1, 60), st.integers(1, 9))
def test_chunks_hold_every_clip_once(blocks, clip_samples, stride_samples, clips_at_once):
    grid, total = Grid(clip_samples, stride_samples), sum(blocks)
    signal = np.arange(total + clip_samples, dtype=np.float32)
    cut = np.split(signal[:total], np.cumsum(blocks)[:-1]) if blocks else []
    clips = []
    for chunk in grid.chunks(iter(cut), signal[total:], clips_at_once):
        count = 1 + (len(chunk) - clip_samples) // stride_samples
        assert 1 <= count <= clips_at_once
        clips += [chunk[grid.start(clip) : grid.end(clip)] for clip in range(count)]
    assert len(clips) == grid.clips(total)
    for index, clip in enumerate(clips):
        assert np.array_equal(clip, signal[grid.start(index) : grid.end(index)])


def test_a_recording_that_holds_less_than_it_says_is_read_from_its_beginning(recording, monkeypatch):
    path = recording(samples=10 * 16000)
    hearing, scorer = hearing_of("tiny", 50)
    long = work.begin(hearing, str(path), False)
    assert isinstance(long, work.Long)
    claimed = work.Long(long.samples + 16000, long.version)
    last = scorer.grid.clips(claimed.samples) - 2
    assert isinstance(work.score(hearing, str(path), claimed, last, 2), work.Shorter)
    pool = HerePool()
    begin = work.begin

    def boast(hearing, address, whole):
        result = begin(hearing, address, whole)
        return work.Long(result.samples + 16000, result.version) if isinstance(result, work.Long) else result

    monkeypatch.setattr(work, "begin", boast)
    found, outcome = scanned(path, hearing, scorer, pool)
    assert found == heard_by_the_daemon(scorer.model, path)
    assert outcome.duration_ms == 10_000
