"""Webhooks: every detection is posted to a URL, signed, in order, for as long as it is fresh.

A word is worth something for seconds. So an event is tried again until it is ``max_age_s`` old and no longer, and one
hook's events go one after the other: "stop" never overtakes "go".
"""

import base64
import binascii
import email.utils
import hashlib
import hmac
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from kwsd import __version__
from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent
from kwsd.sinks.bus import Sink, json_line
from kwsd.sinks.webhook.answer import Answer
from kwsd.sinks.webhook.http_post import Poster, PostError
from kwsd.sinks.webhook.spooled_sink import SpooledSink
from kwsd.uptime import uptime_s

if TYPE_CHECKING:
    from kwsd.config import WebhookSettings

log = logging.getLogger(__name__)

BACKOFF_MIN_S, BACKOFF_MAX_S = 0.5, 60.0
RETRY_AFTER_MAX_S = 3600.0
"""A server that asks for more silence than this is taken to be mistaken."""

RETRIED_STATUSES = frozenset({408, 425, 429})
GONE_STATUS = 410
SECRET_MAX_BYTES = 4096


class WebhookSink(SpooledSink):
    """Posts detections to one URL.

    Args:
        settings: what the configuration says of this hook.
        environ: where ``secret_env`` is looked up.

    Raises:
        ConfigError: the secret cannot be had; in `start`: the spool cannot be used.
    """

    name = "webhook"

    def __init__(self, settings: "WebhookSettings", environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(settings, settings.only)
        self._key = read_key(settings, environ)
        self._poster = Poster(settings.url)
        self._gone = False
        self._hold_until_s = 0.0  # on the clock of uptime_s; set by Retry-After
        self._troubles: set[str] = set()  # what was complained about since all was well

    # What the bus calls.

    def can_adopt(self, new: Sink) -> bool:
        if not isinstance(new, WebhookSink) or self.settings.spool != new.settings.spool:
            return False
        # The spool is the hook's identity: only the sink that holds it can go on with it.
        return self.settings.spool is not None or self.settings.url == new.settings.url

    def adopt(self, new: Sink) -> None:
        assert isinstance(new, WebhookSink)
        if self.settings.url != new.settings.url:
            self._gone, self._hold_until_s = False, 0.0
        self.settings, self.only, self.drain_limit_s = new.settings, new.only, new.drain_limit_s
        self._key, self._poster = new._key, new._poster

    def wake(self) -> None:
        if self._stopping.is_set():
            self._poster.abort()

    # The sink's thread.

    def attempt(self, event: DetectionEvent) -> bool | None:
        expires_s = event.heard_s + self.settings.max_age_s
        failures = 0
        while not self._gone:
            now = uptime_s()
            resume_s = max(now, self._hold_until_s)
            if failures:
                resume_s = max(resume_s, now + backoff_s(failures, expires_s - now))
            if resume_s >= expires_s:
                self._complain("events are dropped, too old to be of use")
                return False
            if self.pause(resume_s - now):
                return None
            if failures:
                with self._changed:
                    self._retried += 1
            answer = self._post(event, expires_s - uptime_s())
            if self._stopping.is_set() and answer is None:
                return None
            if answer is not None and not is_retried(answer.status):
                return self._judge(answer)
            failures += 1
        return False

    def _post(self, event: DetectionEvent, left_s: float) -> Answer | None:
        """One POST; None where there was no answer."""
        body = json_line(event.to_dict()).rstrip()
        headers = {"Content-Type": "application/json", "User-Agent": f"kwsd/{__version__}"}
        if self._key is not None:
            timestamp = str(int(time.time()))
            headers["webhook-id"] = event.id
            headers["webhook-timestamp"] = timestamp
            headers["webhook-signature"] = sign(self._key, event.id, timestamp, body)
        try:
            # An answer that comes when the event is too old for its receiver is not worth waiting for.
            answer = self._poster.post(body, headers, max(0.05, min(self.settings.timeout_s, left_s)))
        except PostError as error:
            if not self._stopping.is_set():
                self._complain(f"{error}; trying again")
            return None
        if is_retried(answer.status):
            self._complain(f"answers {answer.status}; trying again")
            hold_s = retry_after_s(answer.retry_after, moment_s(answer.date) or time.time())
            self._hold_until_s = uptime_s() + min(hold_s, RETRY_AFTER_MAX_S)
        return answer

    def _judge(self, answer: Answer) -> bool:
        """Whether a final answer means delivered."""
        if 200 <= answer.status < 300:
            if self._troubles:
                log.info("%s: works again; %d events were dropped so far", self.settings.url, self._dropped)
            self._troubles.clear()
            return True
        if answer.status == GONE_STATUS:
            self._gone = True
            self._complain("answers 410, gone; it gets no further events in this run")
        else:
            self._complain(f"refuses with {answer.status}; not tried again")
        return False

    def _complain(self, trouble: str) -> None:
        """Logs what is wrong, once until all is well again."""
        log.log(logging.DEBUG if trouble in self._troubles else logging.WARNING, "%s: %s", self.settings.url, trouble)
        self._troubles.add(trouble)


def read_key(settings: "WebhookSettings", environ: Mapping[str, str]) -> bytes | None:
    """The signing key, or None where no secret is configured. Raises ConfigError; its message never shows a secret."""
    if settings.secret_file is not None:
        where = f"secret_file {settings.secret_file}"
        try:
            # Not to wait for whoever would write into a pipe.
            with open(settings.secret_file, "rb", opener=_open_at_once) as file:
                raw = file.read(SECRET_MAX_BYTES + 1) or b""
        except (OSError, ValueError) as error:
            raise ConfigError(f"webhook: {where}: {getattr(error, 'strerror', None) or error}") from None
    elif settings.secret_env is not None:
        where = f"secret_env {settings.secret_env}"
        raw = os.fsencode(environ.get(settings.secret_env, ""))
    else:
        return None
    if len(raw) > SECRET_MAX_BYTES:
        raise ConfigError(f"webhook: {where}: longer than {SECRET_MAX_BYTES} bytes; that is no secret")
    secret = raw.strip()
    if not secret:
        raise ConfigError(f"webhook: {where}: is empty")
    if not secret.startswith(b"whsec_"):
        return secret
    encoded = secret.removeprefix(b"whsec_")
    try:
        key = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ConfigError(f"webhook: {where}: what follows whsec_ is no base64")
    return key


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def sign(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """The ``webhook-signature`` header of the Standard Webhooks specification, version 1 (HMAC-SHA256)."""
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def is_retried(status: int) -> bool:
    return status in RETRIED_STATUSES or 500 <= status < 600


def backoff_s(failures: int, left_s: float, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """How long to wait after the n-th failure in a row: "full jitter", anything from 0 to a doubling ceiling.

    The ceiling also keeps within ``left_s``, the time in which the event is still worth something, so that an unlucky
    draw does not throw it away while there is time for another attempt.
    (M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015.)
    """
    ceiling_s = BACKOFF_MIN_S * 2.0 ** min(failures - 1, 30)
    return uniform(0.0, min(ceiling_s, BACKOFF_MAX_S, max(left_s, BACKOFF_MIN_S)))


def retry_after_s(value: str | None, now_s: float) -> float:
    """A Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date) as seconds from now; 0 where it says nothing.

    Args:
        now_s: what the server takes the time to be, since a machine without a battery may have another.
    """
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:10])
    return max(0.0, (moment_s(value) or 0.0) - now_s)


def moment_s(value: str | None) -> float | None:
    """An HTTP date as Unix time; None where it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):  # the second for numbers that fit no date at all
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
