#!/usr/bin/env python3
"""Does something when kwsd hears "go", and ends it when it hears "stop".

Needs only the standard library. Start it before or after kwsd:

    kwsd --socket /tmp/kwsd.sock
    python3 examples/on_stop_go.py /tmp/kwsd.sock

If the kwsd package is installed, use `for message in kwsd.watch(PATH)` instead of `messages`.
"""

import json
import socket
import sys
import time


def messages(path):
    """The messages of kwsd, one dict per line; waits for kwsd, and reconnects when it restarts."""
    told = None
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                connection.sendall(b'{"subscribe":{"labels":["stop","go"],"types":["detection","status"]}}\n')
                told = None
                for line in connection.makefile("rb"):
                    yield json.loads(line)
        except OSError as error:
            if str(error) != told:  # each reason once, however long it lasts
                told = str(error)
                print(f"no kwsd at {path} yet: {told}", file=sys.stderr)
        time.sleep(0.5)


def main(path):
    running = False
    for message in messages(path):
        match message["type"], message.get("label"):
            case "detection", "go" if not running:
                running = True
                print("started", flush=True)  # your own action goes here
            case "detection", "stop" if running:
                running = False
                print("stopped", flush=True)  # and here
            case "status", _:
                print(f"kwsd is {message['state']}: {message['reason']}", file=sys.stderr)
            case "error", _:  # for example, if the model does not have the word "go"
                sys.exit(f"kwsd says: {message['message']}")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "/run/kwsd/kwsd.sock")
    except KeyboardInterrupt:
        sys.exit(0)
