"""The URL of a webhook: parsed once, and always shown without the parts that may be secret."""

import base64
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

MAX_CHARACTERS = 4095
HOST_MAX_BYTES = 253  # of a name in DNS, without a final dot (RFC 1035, 2.3.4)

_MARKS = "/%:@!$&'()*+,;=~-._?[]"
"""Characters allowed in a path or query; all others are percent-encoded."""


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """Where to post.

    Attributes:
        secure: https.
        host: a name in ASCII, or an address (IPv6 without brackets).
        target: path and query, for the request line.
        authorization: the Authorization header for the URL's user info (Basic, RFC 7617), or None.
    """

    secure: bool
    host: str
    port: int
    target: str
    authorization: str | None

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises ValueError, whose message does not show the text, if it is not a usable URL."""
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"is longer than {MAX_CHARACTERS} characters")
        if any(character.isspace() or not character.isprintable() for character in text):
            raise ValueError("contains white space or control characters")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError("host or port cannot be read") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not http:// or https:// and a host")
        if port == 0:
            raise ValueError("there is no port 0")
        if parts.fragment:
            raise ValueError("has a fragment (#), which is never sent")
        host = _host(parts.hostname, parts.netloc.rpartition("@")[2])
        target = quote(parts.path or "/", safe=_MARKS)
        if parts.query:
            target += "?" + quote(parts.query, safe=_MARKS)
        authorization = None
        if parts.username is not None:
            user_info = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(user_info.encode()).decode()
        secure = parts.scheme == "https"
        return cls(secure, host, port or (443 if secure else 80), target, authorization)

    def __str__(self) -> str:
        """The part that may be shown: without user info, query and path, since many services put their key there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.secure else 80) else f":{self.port}"
        return f"{'https' if self.secure else 'http'}://{host}{port}"

    __repr__ = __str__


def _host(name: str, place: str) -> str:
    """A host in the form for look-ups and certificates. Raises ValueError for one that cannot exist.

    Args:
        name: without port and brackets.
        place: with them.
    """
    try:
        if "[" in place:
            if not re.fullmatch(r"\[[^]]*\](:[0-9]*)?", place):
                raise ValueError
            return str(ipaddress.IPv6Address(unquote(name)))
        host = name.encode("idna").decode()  # which requires labels of 1 to 63 bytes
        if len(host.removesuffix(".")) > HOST_MAX_BYTES or not re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]\.?", host):
            raise ValueError
        if host.removesuffix(".").rpartition(".")[2].isdigit():  # no top-level domain is a number
            socket.inet_aton(host)
    except (OSError, ValueError):
        raise ValueError("there can be no such host") from None
    return host
