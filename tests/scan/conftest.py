"""What tests of `kwsd scan` share: how recordings are heard, and recordings."""

import numpy as np
import pytest
import soundfile

from kwsd.audio.file import open_source, tail
from kwsd.audio.source import Block, End
from kwsd.model import load
from kwsd.recognize import SILENCE, UNKNOWN
from kwsd.recognize.settings import RecognizeSettings, layer_recognize
from kwsd.scan.pool import Job
from kwsd.scan.score import Scorer
from kwsd.scan.work import Hearing
from kwsd.spotter import Spotter
from tests.helpers.kwsd_process import DEMO


def hearing_of(name, clips_at_once=1500, **recognize):
    model = load(name)
    layers = RecognizeSettings(**recognize), RecognizeSettings(**model.recognize)
    settings = layer_recognize(*layers, row_stride_ms=model.frontend.get("stride_ms"))
    only = frozenset(model.labels) - {SILENCE, UNKNOWN}
    hearing = Hearing(str(name), None, None, model.fingerprint, settings, only, clips_at_once=clips_at_once)
    return hearing, Scorer(model, settings.clip_stride_ms)


def heard_by_the_daemon(model, path, channel=0, **recognize):
    """What ``kwsd --source`` makes of a file: (label, score, audio_ms), never after the file's end."""
    spotter = Spotter(model, **recognize)
    source = open_source(str(path), model.sample_rate_hz, channel=channel)
    found = []
    try:
        while not isinstance(item := source.read(1.0), End):
            if isinstance(item, Block):
                found += spotter.push(item.samples)
    finally:
        source.close()
    end_ms = spotter.position_ms
    found += spotter.push(tail(model.clip_samples))
    return [(word.label, word.score, min(word.audio_ms, end_ms)) for word in found]


class HerePool:
    """Does each job here, in an order of its own."""

    def __init__(self, choose=lambda count: 0, capacity=4):
        self.capacity, self.jobs, self._choose = capacity, [], choose
        self.done: list[Job] = []

    def submit(self, job):
        self.jobs.append(job)

    def next(self, timeout_s):
        job = self.jobs.pop(self._choose(len(self.jobs)))
        self.done.append(job)
        return job, job.function(*job.arguments)

    def close(self):
        pass


@pytest.fixture(scope="session")
def demo():
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    assert rate_hz == 16000
    return samples


@pytest.fixture
def recording(tmp_path, demo):
    """A function: a file of the demo's beginning, at any rate, with any number of channels, in any format."""

    def make(name="words.wav", samples=None, rate_hz=16000, channels=1, subtype=None, at=0):
        sound = demo[at : None if samples is None else at + samples]
        if channels > 1:
            sound = np.stack([np.roll(sound, 1000 * index) for index in range(channels)], axis=1)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, rate_hz, subtype=subtype)
        return path

    return make
