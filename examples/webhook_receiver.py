#!/usr/bin/env python3
"""Receives kwsd's webhooks: verifies their signatures, discards duplicates, prints the words.

    KWSD_HOOK_SECRET=whsec_... python3 webhook_receiver.py --port 8080

Needs only Python 3. The signature follows the Standard Webhooks specification, so any of its libraries can verify it
too. Put a reverse proxy with TLS in front of it if the events cross a network that you do not trust.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
"""Largest difference between a request's time and ours: an older request may be replayed by an attacker."""

BODY_MAX_BYTES = 65536
IDS_KEPT = 10_000


def key_of(secret):
    """The secret's bytes: base64 after ``whsec_``, else the text itself."""
    secret = secret.strip()
    if not secret.startswith("whsec_"):
        return secret.encode()
    encoded = secret.removeprefix("whsec_")
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)


def is_genuine(key, headers, body, now):
    """Whether one of the request's signatures is valid, and recent."""
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp[:15])) > TOLERANCE_S:
        return False
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    wanted = b"v1," + base64.b64encode(digest)
    # There may be several while a secret is being changed. compare_digest takes the same time whatever matches.
    given = headers.get("webhook-signature", "").encode("latin-1", "replace").split()
    return any([hmac.compare_digest(wanted, signature) for signature in given])


class SeenIds:
    """The most recent ids. kwsd delivers at least once: if an answer is lost, it sends the event again."""

    def __init__(self):
        self._ids = OrderedDict()

    def add(self, event_id):
        """Whether this id is new."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = True
        if len(self._ids) > IDS_KEPT:
            self._ids.popitem(last=False)
        return True


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > BODY_MAX_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.server.key, self.headers, body, time.time()):
            return self.answer(401)
        try:
            event = json.loads(body)
            event_id, event_type = event["id"], event["type"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400)
        if event_type == "detection" and self.server.seen.add(event_id):
            self.heard(event)
        return self.answer(204)

    def heard(self, event):
        """Handles a word; put your own action here. kwsd waits for the answer, so be quick."""
        print(event["label"], f"{event['score']:.2f}", event["time"], flush=True)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Only words go to the terminal."""


def main():
    parser = argparse.ArgumentParser(description="Receives kwsd's webhooks and prints the words.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0: any (default: %(default)s)")
    options = parser.parse_args()
    secret = os.environ.get("KWSD_HOOK_SECRET", "")
    try:
        key = key_of(secret)
    except binascii.Error:
        key = b""
    if not key:
        sys.exit("webhook_receiver: KWSD_HOOK_SECRET: not set, or not base64 after whsec_. Set kwsd's own secret.")
    try:
        server = ThreadingHTTPServer((options.host, options.port), Handler)
    except OSError as error:
        sys.exit(f"webhook_receiver: {options.host}:{options.port}: {error.strerror or error}")
    server.daemon_threads = True
    server.key, server.seen = key, SeenIds()
    print(f"listening on http://{options.host}:{server.server_address[1]}/", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
