"""Commands that talk to a running kwsd: what they take, and what they make of its answers."""

import argparse
from typing import Any

import pytest

from kwsd.cli import status
from kwsd.cli.asking import seconds


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("90", 90), ("1.5s", 1.5), ("30m", 1800), ("7d", 604_800)])
def test_times_with_and_without_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["0", "0.9s", "604801", "8d", "9" * 400, "-1", "nan", "1h30m", ""])
def test_a_time_that_kwsd_would_refuse_is_wrong_use(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="allowed: "):
        seconds(text)


def snapshot(state: str, **keys: Any) -> dict[str, Any]:
    times = {"since": "2026-11-21T09:30:00.000Z", "uptime_s": 9.0, "audio_s": 8.0, "cpu_s": 1.0}
    counts = {"detections": 2, "samples_lost": 0, "clients": 1, "rss_mb": 55.0}
    return {"state": state, "reason": "why", "model": "m", "device": "d", "sinks": {}} | times | counts | keys


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("listening", 0),
        ("degraded", 0),
        ("paused", 0),
        ("starting", 1),
        ("waiting", 1),
        ("stalled", 1),
        ("stopping", 1),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_status_tells_by_its_code_whether_kwsd_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, code: int, as_json: bool
) -> None:
    monkeypatch.setattr(status, "ask", lambda *_: snapshot(state))
    assert status.run(argparse.Namespace(socket=None, json=as_json)) == code
    assert state in capsys.readouterr().out


def test_status_shows_the_end_of_a_pause_on_this_machine_s_clock() -> None:
    first = next(iter(status.in_words(snapshot("paused", reason="until X", paused_until="2026-11-21T10:30:00.000Z"))))
    assert first.startswith("paused: until 2026-11-2") and "T" not in first and "Z" not in first
