"""Access control: the token, the cookie that replaces it, and checks of the headers Host and Origin.

Without a token only this machine is answered, and only under its own names: foreign pages open in a browser on this
machine (cross-site requests, DNS rebinding) get nothing. Pure: no I/O except reading the token.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from kwsd.errors import ConfigError
from kwsd.sinks.secret import read_secret

COOKIE = "kwsd"
COOKIE_MAX_AGE_S = 30 * 24 * 3600
TOKEN_MIN = 16


def read_token(path: str | None) -> bytes | None:
    """The token, or None. Raises ConfigError, whose message never shows it."""
    token = read_secret("http", "token", path, None, {})
    if token is not None and len(token) < TOKEN_MIN:
        raise ConfigError(
            f"http: token_file {path}: shorter than {TOKEN_MIN} characters; openssl rand -hex 16 makes one"
        )
    return token


class Access:
    """The requirements for requests.

    Args:
        token: the secret that clients must send; None if only this machine may connect.
    """

    def __init__(self, token: bytes | None) -> None:
        self._token = token

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def is_token(self, offered: str) -> bool:
        return self._token is not None and hmac.compare_digest(offered.strip().encode(errors="replace"), self._token)

    def cookie(self) -> str:
        """The header ``Set-Cookie`` for a client that has sent the token; it does not contain the token."""
        return f"{COOKIE}={self._stamp()}; Path=/; Max-Age={COOKIE_MAX_AGE_S}; HttpOnly; SameSite=Strict"

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers contain the token (``Authorization: Bearer``, as Prometheus sends it) or the cookie."""
        if self._token is None:
            return True
        scheme, _, offered = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(offered):
            return True
        try:
            morsel = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(errors="replace"), self._stamp().encode())

    def refuses(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is rejected up front; None if it is not."""
        host = headers.get("Host", "")
        if self._token is None and not _is_this_machine(host):
            return "this name is not one of this machine's own; use localhost or 127.0.0.1"
        origin = headers.get("Origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return "this comes from another site's page"
        followed_a_link = headers.get("Sec-Fetch-Mode") == "navigate" and origin is None
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not followed_a_link:
            return "this comes from another site's page"
        return None

    def _stamp(self) -> str:
        assert self._token is not None
        return hmac.new(self._token, b"kwsd page 1", hashlib.sha256).hexdigest()


def _is_this_machine(host: str) -> bool:
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.rpartition(":")[0] or host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
