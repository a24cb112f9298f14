"""What the microphone makes of the errors of opening its device, on streams that are none."""

import time
from types import SimpleNamespace

import pytest

from kwsd.audio.microphone import Microphone, _CannotOpenError
from kwsd.config import AudioSettings
from kwsd.errors import ConfigError, UnavailableError

LIMIT_S = 20.0
AWAY = UnavailableError("microphone", "ALSA's configuration names no devices")


def stream():
    """An open stream that brings nothing."""
    return SimpleNamespace(
        ended=False, error=None, overflows=0, device=SimpleNamespace(name="USB Audio"), close=lambda: None
    )


@pytest.fixture
def opens(monkeypatch):
    """Makes a Microphone whose attempts to open the device come to these."""
    made = []

    def make(*outcomes):
        left = list(outcomes)

        def attempt(_):
            outcome = left.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(Microphone, "_open", attempt)
        made.append(Microphone(AudioSettings(), 16_000))
        return made[-1]

    yield make
    for microphone in made:
        microphone.close()


def step_until(microphone, condition):
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, microphone.state
        microphone.step(time.monotonic())
        time.sleep(0.01)


@pytest.mark.parametrize("error", [AWAY, ConfigError("device 'USB': fits several")], ids=["library", "name"])
def test_what_ends_kwsd_at_the_start_is_waited_for_later(opens, error):
    """A package being upgraded, a second device of the name: a kwsd that heard before will hear again."""
    first, second = stream(), stream()
    microphone = opens(first, error, second)
    step_until(microphone, lambda: microphone.name == "USB Audio")
    first.ended = True
    step_until(microphone, lambda: microphone.state.state == "waiting")
    assert str(error) in microphone.state.reason
    step_until(microphone, lambda: microphone._stream is second)


@pytest.mark.parametrize("error", [AWAY, ConfigError("device 'USB': fits several")], ids=["library", "name"])
def test_at_the_start_it_is_raised(opens, error):
    microphone = opens(error)
    with pytest.raises(type(error)):
        step_until(microphone, lambda: False)


class BusyError(Exception):
    """As PortAudio says it: a text, and a code among the arguments."""

    def __str__(self):
        return f"{self.args[0]} [PaErrorCode {self.args[1]}]"


def test_a_busy_device_is_told_and_heard_when_it_is_free(opens):
    """PortAudio's error for it, in words with a mend."""
    error = BusyError("Error opening InputStream: Device unavailable", -9985)
    free = stream()
    microphone = opens(_CannotOpenError("USB Audio", error), free)
    step_until(microphone, lambda: microphone.state.state == "waiting")
    assert "Device unavailable" in microphone.state.reason
    assert microphone.state.reason.endswith("Another program may be using it.")
    step_until(microphone, lambda: microphone._stream is free)
