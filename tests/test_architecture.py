"""Imports go down, never up or round in a circle; and a new kind of sink needs one file and one line."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from kwsd import config
from kwsd.config.read import sink_keys
from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent
from kwsd.sinks import registry
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Services

ROOT = Path(__file__).parents[1]

FLOORS = (
    {"errors", "standard_error", "core_dumps", "uptime", "status"},
    {"validation", "events", "whole_file"},
    {"log", "frontend", "recognize", "audio", "report"},
    {"model"},
    {"spotter", "sinks", "scan", "learn"},
    {"servers"},
    {"client", "config", "tuning"},
    {"daemon"},
    {"cli"},
    {"__main__"},
)
"""docs/architecture.md draws them. What stands on one floor knows nothing of its neighbours."""

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.glob("kwsd/**/*.py")
}


def imported(module: str) -> Iterator[str]:
    """The modules of kwsd that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def floor(module: str) -> int:
    part = module.split(".")[1]
    return next(number for number, parts in enumerate(FLOORS) if part in parts)


@pytest.mark.parametrize("module", sorted(set(FILES) - {"kwsd"}))
def test_imports_go_down(module: str) -> None:
    """``kwsd`` itself is everybody's: its version, and the stable names that it imports when they are asked for."""
    others = {name for name in imported(module) if name.startswith("kwsd.")}
    part = module.split(".")[1]
    up = {name for name in others if name.split(".")[1] != part and floor(name) >= floor(module)}
    assert not up


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {module: {name for name in imported(module) if name in FILES and name != module} for module in FILES}
    del graph["kwsd"]  # it imports nothing before it is asked
    packages = {module for module in FILES if FILES[module].name == "__init__.py"}
    for module in packages & set(graph):  # that hand out a name of a module inside of them
        graph[module] = {name for name in graph[module] if not name.startswith(f"{module}.")}
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) >= len(FILES) - 1


TOY = '''
"""A sink that keeps what it hears in a list."""

from dataclasses import dataclass
from typing import ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.sink import Sink
from kwsd.validation.keys import REQUIRED, key
from kwsd.validation.kinds import Text, Whole

HEARD = []


@dataclass(frozen=True)
class ToySettings(SinkSettings):
    type: ClassVar[str] = "toy"

    shelf: str = key(Text("a name"), REQUIRED, "Where it is kept.")
    most: int = key(Whole(1, 9), 3, "How many are kept.", unit="events")

    def check(self):
        return [("shelf", "is full")] if self.shelf == "full" else []


class ToySink(Sink):
    name = "toy"

    def deliver(self, event):
        HEARD.append((self.settings.shelf, event.label))
        del HEARD[: -self.settings.most]
        return True
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_sink.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.KINDS, "toy", registry.Kind("toy_sink:ToySettings", "toy_sink:ToySink"))


def test_a_new_kind_of_sink_is_one_file_and_one_line(toys: None) -> None:
    assert len(TOY.splitlines()) < 40
    settings = config.read(b"sinks: [{type: toy, shelf: top, only: [stop]}]", "x.yaml")
    bus = Bus(registry.create(settings.sinks or (), Services(dict, dict, print, dict, dict, dict)), print)
    bus.start()
    bus.publish(DetectionEvent("r-1", 1, "", "stop", 0.9, 0, None, "m", "d", 0.0))
    assert bus.drain(float("inf"))
    bus.stop()
    import toy_sink  # type: ignore[import-not-found]

    assert toy_sink.HEARD == [("top", "stop")]
    assert bus.counters == {"toy": {"queued": 0, "sent": 1, "dropped": 0, "retried": 0}}


def test_keys_faults_and_checks_of_a_new_kind_follow_from_its_settings(toys: None, tmp_path: Path) -> None:
    from kwsd.cli.check_config import sink_faults, to_yaml

    assert [(key.name, key.unit) for key in sink_keys("toy")] == [("only", ""), ("shelf", ""), ("most", "events")]
    with pytest.raises(ConfigError) as refused:
        config.read(b"sinks:\n- type: toy\n  most: 10\n  shelff: a", "x.yaml")
    assert refused.value.faults == (
        "x.yaml:2: key 'shelf': required; allowed: a name",
        "x.yaml:3: key 'most': got 10; allowed: a whole number from 1 to 9 events",
        "x.yaml:4: key 'shelff': unknown; the nearest is 'shelf'",
    )
    full = config.read(b"sinks: [{type: toy, shelf: full}]", "x.yaml")
    assert sink_faults(full) == ["x.yaml:1: key 'shelf': is full"]
    assert "- type: toy\n    only: null\n    shelf: full\n    most: 3\n" in to_yaml(full)
