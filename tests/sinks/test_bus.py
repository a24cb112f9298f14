"""The bus: nobody delays anybody, nothing is lost uncounted, and a reload changes only what changed."""

import threading
import time
from dataclasses import dataclass

import pytest

from kwsd.errors import ConfigError
from kwsd.events import json_line
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Sink
from tests.sinks.conftest import is_running


@dataclass(frozen=True)
class Settings:
    name: str


class Collector(Sink):
    """Keeps what it gets; waits at the gate, so that a test decides when it delivers."""

    def __init__(self, name="collector", only=None, queue_max=1024, opened=True):
        super().__init__(Settings(name), only)
        self.name, self.queue_max = name, queue_max
        self.seen, self.gate, self.entered = [], threading.Event(), threading.Event()
        self.opened = opened
        self.gate.set()

    def open(self):
        if not self.opened:
            raise ConfigError(f"{self.name} cannot be opened")

    def deliver(self, event):
        self.entered.set()
        while not self.gate.wait(0.01):
            if self._stopping.is_set():
                return False
        self.seen.append(event.seq)
        return True


class Broken(Collector):
    def deliver(self, event):
        raise RuntimeError("a mistake")


def soon():
    return time.monotonic() + 20


def no_death(sink, error):
    raise AssertionError(f"{sink.name} died: {error}")


def test_every_sink_gets_every_event_in_order(make):
    sinks = [Collector("a"), Collector("b")]
    bus = Bus(sinks, no_death)
    bus.start()
    for seq in range(100):
        bus.publish(make(seq))
    assert bus.drain(soon())
    bus.stop()
    assert [sink.seen for sink in sinks] == [list(range(100))] * 2


def test_a_stuck_sink_costs_its_own_oldest_events_only(make):
    stuck, well = Collector("stuck", queue_max=3), Collector("well")
    stuck.gate.clear()
    bus = Bus([stuck, well], no_death)
    bus.start()
    bus.publish(make(0))
    assert stuck.entered.wait(20)
    for seq in range(1, 9):
        bus.publish(make(seq))
    assert well.drain(soon())
    assert bus.counters["stuck"] == {"queued": 4, "sent": 0, "dropped": 5, "retried": 0}
    stuck.gate.set()
    assert bus.drain(soon())
    bus.stop()
    assert (stuck.seen, well.seen) == ([0, 6, 7, 8], list(range(9)))


def test_what_is_left_at_the_end_is_counted(make):
    stuck = Collector("stuck")
    stuck.gate.clear()
    bus = Bus([stuck], no_death)
    bus.start()
    for seq in range(5):
        bus.publish(make(seq))
    assert stuck.entered.wait(20)
    assert not bus.drain(time.monotonic() + 0.05)
    bus.stop()
    bus.publish(make(5))
    assert bus.counters == {"stuck": {"queued": 0, "sent": 0, "dropped": 6, "retried": 0}}


def test_only_filters_detections_by_label_and_types_by_type(make, status):
    sink = Collector(only=["go"])
    bus = Bus([sink], no_death)
    bus.start()
    bus.publish(make(1, "stop"))
    bus.publish(make(2, "go"))
    bus.publish(status)
    assert bus.drain(soon())
    bus.stop()
    assert sink.seen == [2]


def test_a_thread_that_dies_is_reported_with_its_error(make, until):
    deaths = []
    sink = Broken("broken")
    bus = Bus([sink], lambda sink, error: deaths.append((sink, error)))
    bus.start()
    bus.publish(make())
    until(lambda: deaths)
    bus.stop()
    assert deaths[0][0] is sink
    assert isinstance(deaths[0][1], RuntimeError)
    assert bus.counters["broken"]["dropped"] == 1


def test_a_sink_that_cannot_be_opened_leaves_none_running():
    first = Collector("first")
    with pytest.raises(ConfigError, match="second cannot be opened"):
        Bus([first, Collector("second", opened=False)], no_death).start()
    assert not is_running(first)


def test_two_sinks_of_one_name_are_counted_apart():
    assert list(Bus([Collector("hook"), Collector("hook"), Collector("hook")], no_death).counters) == [
        "hook",
        "hook-2",
        "hook-3",
    ]


def test_a_sink_knows_whether_it_is_alone():
    one, two = Collector("one"), Collector("two")
    bus = Bus([one], no_death)
    assert one.alone
    bus.start()
    bus.replace([Collector("one"), two])
    assert not one.alone
    assert not two.alone
    bus.stop()


def test_a_reload_keeps_what_is_the_same_and_drains_what_goes(make, until):
    same, leaving, new = Collector("same"), Collector("leaving"), Collector("new")
    for sink in (same, leaving):
        sink.gate.clear()
    bus = Bus([same, leaving], no_death)
    bus.start()
    for seq in range(3):
        bus.publish(make(seq))
    bus.replace([new, Collector("same")])
    assert bus.sinks == (new, same)
    bus.publish(make(3))
    same.gate.set()
    leaving.gate.set()
    assert bus.drain(soon())
    until(lambda: bus.serving == (new, same))
    bus.stop()
    assert (same.seen, leaving.seen, new.seen) == ([0, 1, 2, 3], [0, 1, 2], [3])


def test_a_reload_that_fails_changes_nothing(make):
    old, fresh = Collector("old"), Collector("fresh")
    bus = Bus([old], no_death)
    bus.start()
    with pytest.raises(ConfigError):
        bus.replace([fresh, Collector("bad", opened=False)])
    assert bus.sinks == (old,)
    assert not is_running(fresh)
    bus.publish(make(7))
    assert bus.drain(soon())
    bus.stop()
    assert old.seen == [7]


def test_a_sink_that_is_put_back_while_it_retires_goes_on(make, until):
    """With its queue, in order, and as often as somebody changes his mind; its first retirement does not end it."""
    hook, other = Collector("hook"), Collector("other")
    hook.drain_limit_s = 0.3
    hook.gate.clear()
    bus = Bus([hook], no_death)
    bus.start()
    bus.publish(make(1))
    assert hook.entered.wait(20)
    for _ in range(3):
        bus.replace([other])
        assert bus.serving == (other, hook)
        bus.replace([Collector("hook")])
        assert hook in bus.sinks
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "retire-hook"])
    bus.publish(make(2))
    hook.gate.set()
    assert bus.drain(soon())
    bus.stop()
    assert hook.seen == [1, 2]


def test_what_cannot_be_adopted_after_all_leaves_everything_as_it_was(make):
    """Such as a socket's file that is no longer its own."""

    class Adopter(Collector):
        def can_adopt(self, new):
            return new.name == self.name

        def adopt(self, new):
            self.settings = new.settings
            if new.settings.name == "refused":
                raise ConfigError("it cannot be had")

    def changed(name, settings):
        sink = Adopter(name)
        sink.settings = Settings(settings)
        return sink

    first, second, fresh = Adopter("first"), Adopter("second"), Collector("fresh")
    bus = Bus([first, second], no_death)
    bus.start()
    with pytest.raises(ConfigError):
        bus.replace([fresh, changed("first", "new"), changed("second", "refused")])
    assert bus.sinks == (first, second)
    assert (first.settings.name, second.settings.name) == ("first", "second")
    assert not is_running(fresh)
    bus.stop()


def test_a_sink_that_comes_with_a_reload_is_told_the_present_state(status):
    """Such as a broker's, which keeps it for whoever comes later still."""

    class Board(Collector):
        types = frozenset({"status"})

        def deliver(self, event):
            self.seen.append(event)
            return True

    first, later = Board("first"), Board("later")
    bus = Bus([first], no_death)
    bus.start()
    bus.publish(status)
    bus.replace([Board("first"), later])
    assert bus.drain(soon())
    bus.stop()
    assert first.seen == later.seen == [status]


def test_no_event_is_lost_while_sinks_are_replaced(make):
    """Each event goes to all sinks of before, or to all of after, and none goes nowhere."""
    generations = [Collector("0", queue_max=2000)]
    bus = Bus(generations[:], no_death)
    bus.start()
    publisher = threading.Thread(target=lambda: [bus.publish(make(seq)) for seq in range(2000)])
    publisher.start()
    while publisher.is_alive() or len(generations) == 1:
        generations.append(Collector(str(len(generations)), queue_max=2000))
        bus.replace([generations[-1]])
    publisher.join()
    assert bus.drain(soon())
    bus.stop()
    assert sorted(seq for sink in generations for seq in sink.seen) == list(range(2000))


def test_a_text_that_is_no_utf_8_is_escaped_and_the_rest_is_not():
    assert json_line({"label": "größer"}) == '{"label":"größer"}\n'.encode()
    assert json_line({"device": "a\udcff"}) == b'{"device":"a\\udcff"}\n'
