"""Webhooks: every detection is posted to a URL, signed, in order, for as long as it is fresh.

A word is useful for seconds only. So an event is retried until it is ``max_age_s`` old, and a hook's events go one
after another: "stop" never overtakes "go".
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from kwsd import __version__
from kwsd.events import DetectionEvent, json_line
from kwsd.sinks.sink import Services, Sink
from kwsd.sinks.webhook.answer import Answer
from kwsd.sinks.webhook.http_post import Poster, PostError
from kwsd.sinks.webhook.retry import backoff_s, is_retried, moment_s, retry_after_s
from kwsd.sinks.webhook.signing import read_key, sign
from kwsd.sinks.webhook.spooled_sink import SpooledSink
from kwsd.uptime import uptime_s

if TYPE_CHECKING:
    from kwsd.sinks.webhook.settings import WebhookSettings

log = logging.getLogger(__name__)

RETRY_AFTER_MAX_S = 3600.0
"""A Retry-After longer than this is considered a mistake."""

GONE_STATUS = 410


class WebhookSink(SpooledSink):
    """Posts detections to one URL.

    Args:
        settings: its configuration.
        environ: where ``secret_env`` is looked up.

    Raises:
        ConfigError: the secret cannot be read; in `start`: the spool cannot be used.
    """

    name = "webhook"

    def __init__(self, settings: "WebhookSettings", environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(settings, settings.only)
        self._key = read_key(settings.secret_file, settings.secret_env, environ)
        self._poster = Poster(settings.url)
        self._gone = False
        self._hold_until_s = 0.0  # on the clock of uptime_s; set by Retry-After
        self._troubles: set[str] = set()  # what was logged since the last success

    @classmethod
    def create(cls, settings: "WebhookSettings", _services: Services) -> Self:
        return cls(settings)

    # Called by the bus.

    def can_adopt(self, new: Sink) -> bool:
        if not isinstance(new, WebhookSink) or self.settings.spool != new.settings.spool:
            return False
        # The spool identifies the hook: only the sink that holds it can continue with it.
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
        """One POST; None if there was no response."""
        body = json_line(event.to_dict()).rstrip()
        headers = {"Content-Type": "application/json", "User-Agent": f"kwsd/{__version__}"}
        if self._key is not None:
            timestamp = str(int(time.time()))
            headers["webhook-id"] = event.id
            headers["webhook-timestamp"] = timestamp
            headers["webhook-signature"] = sign(self._key, event.id, timestamp, body)
        try:
            # Do not wait for a response longer than the event is useful.
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
        """Whether a final response means delivered."""
        if 200 <= answer.status < 300:
            if self._troubles:
                log.info("%s: works again; %d events were dropped so far", self.settings.url, self._dropped)
            self._troubles.clear()
            log.debug("%s: took an event, %d", self.settings.url, answer.status)
            return True
        if answer.status == GONE_STATUS:
            self._gone = True
            self._complain("answers 410, gone; it gets no further events in this run")
        else:
            self._complain(f"refuses with {answer.status}; not tried again")
        return False

    def _complain(self, trouble: str) -> None:
        """Logs a problem, once until the next success."""
        log.log(logging.DEBUG if trouble in self._troubles else logging.WARNING, "%s: %s", self.settings.url, trouble)
        self._troubles.add(trouble)
