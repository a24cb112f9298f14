"""``kwsd devices``: what one can listen to."""

import argparse

HELP = (
    "Lists the input devices, the default one marked with *, the sound server's sources behind them, and the rates in\n"
    "Hz at which each opens. Any of these names, or part of one, is what --device takes."
)
EXAMPLE = "kwsd devices --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON list of devices; rates in Hz")


def run(args: argparse.Namespace) -> int:
    import json
    import sys
    from dataclasses import asdict

    from kwsd.audio.devices import Device, add_sources, list_devices, rates_that_open
    from kwsd.audio.portaudio import load, within

    def look() -> list[tuple[Device, list[int]]]:
        sounddevice = load()
        return [(device, rates_that_open(sounddevice, device)) for device in add_sources(list_devices(sounddevice))]

    found = within(30.0, look)
    if args.json:
        print(json.dumps([{**asdict(device), "rates_hz": rates} for device, rates in found], ensure_ascii=False))
        return 0
    for device, rates in found:
        rate_words = ", ".join(map(str, rates)) or "none (is it in use?)"
        channels = f"{device.channels} channel{'s' * (device.channels != 1)}"
        what = f"{device.name} ({device.host_api}, {channels})"
        if device.source is not None:  # it has no index of its own
            print(f"      {what}: {device.description}")
        else:
            print(f"{'*' if device.is_default else ' '} {device.index:3} {what}")
        print(f"      rates: {rate_words}")
    if not found:
        print("kwsd: no input device; kwsd doctor tells why", file=sys.stderr)
    return 0
