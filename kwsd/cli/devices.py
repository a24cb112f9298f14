"""``kwsd devices``: the devices that kwsd can listen to."""

import argparse

HELP = (
    "Lists the input devices and their sample rates in Hz. The default device is marked with *. The sound server's\n"
    "sources are listed too; --device takes any of these names, or part of one."
)
EXAMPLE = "kwsd devices --json"

LIMIT_S = 10.0  # trying each rate takes a while


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON list of devices; rates in Hz")


def run(args: argparse.Namespace) -> int:
    import json
    import sys
    from dataclasses import asdict

    from kwsd.audio.microphone.capture import survey

    found = survey(LIMIT_S, rates_of=None)
    if found.fault is not None and not found.devices:
        raise found.fault
    rows = list(zip(found.devices, found.rates_hz, strict=True))
    if args.json:
        print(json.dumps([{**asdict(device), "rates_hz": rates or []} for device, rates in rows], ensure_ascii=False))
    else:
        for device, rates in rows:
            rate_words = ", ".join(map(str, rates or ())) or ("not known" if rates is None else "none (is it in use?)")
            channels = f"{device.channels} channel{'s' * (device.channels != 1)}"
            what = f"{device.name} ({device.host_api}, {channels})"
            if device.source is not None:  # it has no index of its own
                print(f"      {what}: {device.description}")
            else:
                print(f"{'*' if device.is_default else ' '} {device.index:3} {what}")
            print(f"      rates: {rate_words}")
        if not rows:
            print("kwsd: no input device; run kwsd doctor", file=sys.stderr)
    if found.fault is not None:  # while rates were asked for
        raise found.fault
    return 0
