"""A hook whose server is away for an hour, on a clock that the test moves."""

import pytest

from kwsd.events import DetectionEvent, rfc3339
from kwsd.sinks.webhook import sink as webhook
from kwsd.sinks.webhook.answer import Answer
from kwsd.sinks.webhook.http_post import PostError
from kwsd.sinks.webhook.retry import BACKOFF_MAX_S
from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.sink import WebhookSink
from kwsd.sinks.webhook.url import Url

HOUR_S = 3600.0


class Clock:
    """Stands in for the module time."""

    def __init__(self):
        self.now_s = 1_800_000_000.0
        self.set_by_s = 0.0

    def time(self):
        return self.now_s + self.set_by_s

    def uptime_s(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(webhook, "time", clock)
    monkeypatch.setattr(webhook, "uptime_s", clock.uptime_s)
    return clock


class Server:
    """Refuses connections until ``back_s``; keeps when it was tried."""

    def __init__(self, clock, back_s):
        self.clock, self.back_s, self.tried_s = clock, back_s, []

    def post(self, body, headers, limit_s):
        self.tried_s.append(self.clock.now_s)
        if self.clock.now_s < self.back_s:
            raise PostError("Connection refused")
        return Answer(204)


def hook(clock, monkeypatch, max_age_s):
    """A hook that no thread runs, and whose pauses move the clock."""
    server = Server(clock, clock.now_s + HOUR_S)
    monkeypatch.setattr("kwsd.sinks.webhook.sink.Poster", lambda url: server)
    sink = WebhookSink(WebhookSettings(url=Url.parse("http://127.0.0.1:9/"), max_age_s=max_age_s))

    def pause(seconds):
        clock.now_s += seconds
        return False

    monkeypatch.setattr(sink, "pause", pause)
    return sink, server


def said(clock, seq):
    said = rfc3339(clock.time())
    return DetectionEvent(f"5f2c9a1e7b3d-{seq}", seq, said, "stop", 0.9, 52340, 31.4, "m", "d", heard_s=clock.now_s)


def test_an_event_that_may_be_that_old_is_delivered_within_a_minute_of_the_return(clock, monkeypatch):
    """And the server is not hammered meanwhile."""
    sink, server = hook(clock, monkeypatch, 2 * HOUR_S)
    assert sink.attempt(said(clock, 1)) is True
    assert server.back_s <= clock.now_s <= server.back_s + BACKOFF_MAX_S
    assert 60 < len(server.tried_s) < 400


def test_with_the_usual_age_each_is_dropped_in_time_and_the_first_one_after_is_delivered_at_once(clock, monkeypatch):
    """A "go" from an hour ago is never delivered, and nobody waits for the back-off of words long past."""
    sink, server = hook(clock, monkeypatch, 10.0)
    delivered = []
    for seq in range(1, 200):
        event, said_s = said(clock, seq), clock.now_s
        delivered.append(sink.attempt(event))
        assert clock.now_s <= said_s + 10.0
        assert not delivered[-1] or said_s + 10.0 >= server.back_s
        clock.now_s = said_s + 20.0
    first = delivered.index(True)
    assert all(delivered[first:]) and 175 < first < 185


@pytest.mark.parametrize("set_by_s", [HOUR_S, -HOUR_S])
def test_a_wall_clock_that_is_set_makes_no_event_older_or_younger(clock, monkeypatch, set_by_s):
    """As when the time service reaches a machine without a battery: before the first attempt, and between two."""
    sink, server = hook(clock, monkeypatch, 10.0)
    server.back_s = clock.now_s + 5.0
    event, late = said(clock, 1), said(clock, 2)
    clock.set_by_s = set_by_s
    assert sink.attempt(event) is True
    clock.now_s += 10.0
    assert sink.attempt(late) is False


def test_a_date_to_wait_for_is_by_the_server_s_own_clock(clock, monkeypatch):
    """Which may be hours from ours: an hour of silence would cost every event of it."""
    sink, server = hook(clock, monkeypatch, 60.0)
    answers = iter([Answer(503, "Sat, 21 Nov 2026 09:30:07 GMT", "Sat, 21 Nov 2026 09:30:00 GMT"), Answer(204)])
    monkeypatch.setattr(server, "post", lambda *_: server.tried_s.append(clock.now_s) or next(answers))
    assert sink.attempt(said(clock, 1)) is True
    first_s, second_s = server.tried_s
    assert second_s - first_s == pytest.approx(7.0)
