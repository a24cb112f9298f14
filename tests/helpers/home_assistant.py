"""Home Assistant itself, without its web server, for tests: runs under a Python that has it, not under the tests' own.

    PYTHON home_assistant.py PORT FOLDER

Home Assistant starts in FOLDER with one integration, MQTT, at a broker on 127.0.0.1. Each line of standard input is a
Python expression over ``state`` (entity to state, None if unknown), ``attributes`` and ``call`` (domain, service,
entity), which is evaluated ten times a second until it is true; then its value is printed as a line of JSON.
The expression ``end`` prints what Home Assistant warned of, and ends.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

LIMIT_S = 60.0


def entry(port: int) -> dict[str, object]:
    """The MQTT integration, as its dialogue stores it."""
    moment = "2025-01-01T00:00:00+00:00"
    kept = {
        "created_at": moment,
        "modified_at": moment,
        "data": {"broker": "127.0.0.1", "port": port, "protocol": "5"},
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "mqtt",
        "entry_id": "0123456789abcdef0123456789",
        "minor_version": 2,
        "options": {"discovery": True},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": "broker",
        "unique_id": None,
        "version": 1,
    }
    return {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": [kept]}}


class Warnings(logging.Handler):
    """Keeps what the MQTT integration warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "mqtt" in record.name:
            self.lines.append(record.getMessage())


async def main(port: int, folder: Path) -> None:
    from homeassistant import bootstrap, config_entries, core, loader

    (folder / ".storage").mkdir(parents=True)
    (folder / "configuration.yaml").touch()
    (folder / ".storage" / "core.config_entries").write_text(json.dumps(entry(port)))
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    hass = core.HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.config.components |= {"http", "file_upload"}  # which MQTT needs for its dialogues alone
    await hass.async_start()
    (mqtt,) = hass.config_entries.async_entries("mqtt")
    assert await hass.config_entries.async_setup(mqtt.entry_id), f"MQTT is not set up: {mqtt.reason}"

    def state(entity: str) -> str | None:
        found = hass.states.get(entity)
        return None if found is None else found.state

    def attributes(entity: str) -> dict[str, object]:
        found = hass.states.get(entity)
        return {} if found is None else json.loads(json.dumps(dict(found.attributes), default=str))

    def call(domain: str, service: str, entity: str) -> bool:
        hass.async_create_task(hass.services.async_call(domain, service, {"entity_id": entity}))
        return True

    while True:
        expression = (await asyncio.to_thread(sys.stdin.readline)).strip()
        if expression in ("end", ""):
            break
        give_up_s = time.monotonic() + LIMIT_S
        while not (value := eval(expression, {"state": state, "attributes": attributes, "call": call})):
            if time.monotonic() > give_up_s:
                value = {
                    "never": expression,
                    "states": {each.entity_id: each.state for each in hass.states.async_all()},
                }
                break
            await asyncio.sleep(0.1)
        print(json.dumps(value), flush=True)
    print(json.dumps(warnings.lines), flush=True)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
