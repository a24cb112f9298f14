"""Whole daemons and a real broker: words, state, the will; and the automations of docs/home-assistant.md."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kwsd import config
from kwsd.sinks.mqtt.settings import MqttSettings
from kwsd.sinks.webhook.settings import WebhookSettings
from tests.helpers import broker as mosquitto
from tests.helpers.broker import Broker, broker, wait_until, watching
from tests.helpers.kwsd_process import DEMO, ROOT, demo_words, in_order, running
from tests.sinks.http_receiver import Receiver

needs_broker = pytest.mark.skipif(bool(mosquitto.missing()), reason=f"needs {mosquitto.missing()}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as running:
        yield running


def configuration(folder: Path, served: Broker, node: str) -> Path:
    path = folder / f"{node}.yaml"
    mqtt = f"{{type: mqtt, host: 127.0.0.1, port: {served.port}, node: {node}}}"
    path.write_text(f"sinks: [{{type: stdout}}, {mqtt}]\n")
    return path


@needs_broker
def test_a_file_s_words_reach_the_broker_before_kwsd_ends(served: Broker, tmp_path: Path) -> None:
    with watching(served.port) as watcher:
        with running("--config", configuration(tmp_path, served, "desk"), "--source", DEMO) as kwsd:
            assert kwsd.end() == 0
        wait_until(lambda: len(watcher.of("kwsd/desk/event")) == len(kwsd.lines), "all events")
        assert [message.payload.decode() for message in watcher.of("kwsd/desk/event")] == kwsd.lines
        assert in_order(kwsd.words, demo_words()) >= 12
        wait_until(lambda: watcher.last("kwsd/desk/availability") == b"offline", "it is offline")
        assert json.loads(watcher.last("kwsd/desk/state") or b"")["state"] == "stopping"


@needs_broker
def test_a_daemon_that_is_killed_is_offline_at_once(served: Broker, tmp_path: Path) -> None:
    """Three daemons at once; one of them is killed, and the others stay online."""
    rooms = ("attic", "cellar", "porch")
    with watching(served.port) as watcher, ExitStack() as stack:
        arguments = ("--source", DEMO, "--realtime", "--config")
        daemons = [stack.enter_context(running(*arguments, configuration(tmp_path, served, room))) for room in rooms]
        for room in rooms:
            wait_until(lambda room=room: watcher.of(f"kwsd/{room}/event"), f"a word in the {room}", 60)
        daemons[0].process.kill()
        wait_until(lambda: watcher.last("kwsd/attic/availability") == b"offline", "the will", 5)
        with watching(served.port) as late:
            wait_until(lambda: late.last("kwsd/attic/state") and late.last("kwsd/porch/availability"), "what is kept")
            assert late.last("kwsd/attic/availability") == b"offline"
            assert late.last("kwsd/porch/availability") == b"online"
            assert json.loads(late.last("kwsd/attic/state") or b"")["state"] == "listening"


@needs_broker
def test_a_daemon_is_paused_and_words_are_armed_through_the_broker(served: Broker, tmp_path: Path) -> None:
    path = configuration(tmp_path, served, "desk")
    path.write_text(path.read_text() + "recognize: {on_demand: [stop]}\n")

    def state() -> str:
        return json.loads(watcher.last("kwsd/desk/state") or b"{}").get("state", "")

    with watching(served.port) as watcher, running("--config", path, "--source", DEMO, "--realtime"):
        wait_until(lambda: state() == "listening", "it listens")
        switches = json.loads(watcher.last("homeassistant/device/kwsd_desk/config") or b"")["components"]
        watcher.publish(switches["armed_stop"]["command_topic"], switches["armed_stop"]["payload_on"])
        wait_until(lambda: b'"stop"' in (watcher.last("kwsd/desk/armed") or b""), "it is armed")
        watcher.publish(switches["armed_stop"]["command_topic"], switches["armed_stop"]["payload_off"])
        wait_until(lambda: watcher.last("kwsd/desk/armed") == b"{}", "it is not any more")
        watcher.publish(switches["listening"]["command_topic"], switches["listening"]["payload_off"])
        wait_until(lambda: state() == "paused", "it pauses")
        watcher.publish(switches["listening"]["command_topic"], switches["listening"]["payload_on"])
        wait_until(lambda: state() == "listening", "it goes on")


UNWANTED = ("paho", "prometheus_client", "wyoming", "asyncio")


def test_without_such_a_sink_nothing_of_it_is_imported() -> None:
    program = (
        "import sys; from kwsd.cli.main import main\n"
        f"code = main(['--source', {str(DEMO)!r}, '--no-stdout', '--webhook', 'http://127.0.0.1:9/'])\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    modules = done.stdout.split()
    assert "kwsd.sinks.webhook.sink" in modules, done.stderr
    assert not [
        name
        for name in modules
        if name.split(".")[0] in UNWANTED or "sinks.mqtt" in name or name in ("http.server", "kwsd.servers.http.server")
    ]


# docs/home-assistant.md

PAGE = (ROOT / "docs" / "home-assistant.md").read_text()
AUTOMATIONS = [yaml.safe_load(block) for block in re.findall(r"```yml\n(.*?)```", PAGE, re.DOTALL)]
SETTINGS = [
    config.read(block.encode(), "page").sinks[0]  # type: ignore[index]
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]


def automation(trigger: str) -> dict[str, Any]:
    return next(each for each in AUTOMATIONS if each["triggers"][0]["trigger"] == trigger)


def rendered(template: str, **values: Any) -> str:
    return ImmutableSandboxedEnvironment().from_string(template).render(values)


@needs_broker
def test_the_page_s_automation_by_topic_hears_the_demo_s_stop(served: Broker, tmp_path: Path) -> None:
    trigger = automation("mqtt")["triggers"][0]
    mqtt = next(sink for sink in SETTINGS if isinstance(sink, MqttSettings))
    with watching(served.port) as watcher:
        path = configuration(tmp_path, served, mqtt.node_in_force)
        with running("--config", path, "--source", DEMO) as kwsd:
            assert kwsd.end() == 0
        wait_until(lambda: watcher.of(trigger["topic"]), "an event at the page's topic")
        values = [rendered(trigger["value_template"], value_json=each.json) for each in watcher.of(trigger["topic"])]
    assert trigger["payload"] in values


def test_the_page_s_webhook_starts_its_automation() -> None:
    [hook] = [sink for sink in SETTINGS if isinstance(sink, WebhookSettings)]
    told = automation("webhook")
    path = f"/api/webhook/{told['triggers'][0]['webhook_id']}"
    assert hook.url.target == path
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}{path}"
        with running("--source", DEMO, "--no-stdout", "--webhook", url, "--only", ",".join(hook.only or ())) as kwsd:
            assert kwsd.end() == 0
        assert receiver.requests
        template = told["conditions"][0]["value_template"]
        for request in receiver.requests:
            assert rendered(template, trigger={"json": json.loads(request.body)}) == "True"


def test_the_page_s_other_automations_name_what_is_there() -> None:
    from kwsd.sinks.mqtt import discovery

    message = discovery.message("kitchen", "m", ["stop"], [], control=True)
    state = automation("state")
    assert state["triggers"][0]["entity_id"] == message["components"]["word"]["default_entity_id"]
    event = {"attributes": {"event_type": "stop"}}
    assert rendered(state["conditions"][0]["value_template"], trigger={"to_state": event}) == "True"
    publish = automation("event")["actions"][0]["data"]
    assert publish["topic"] == discovery.Topics.of("kitchen").set
    assert json.loads(publish["payload"]) == {"arm": {"labels": ["stop"], "for_s": 60}}
