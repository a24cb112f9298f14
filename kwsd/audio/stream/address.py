"""The address of a stream, always shown without the parts that may be secret."""

import re
from typing import Any
from urllib.parse import urlsplit

from kwsd.validation.kinds import FilePath

MAX_CHARACTERS = 4095
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.")


class StreamAddress:
    """What ffmpeg opens.

    Attributes:
        text: the full address, for ffmpeg only.
        scheme: in lower case.
    """

    __slots__ = ("_shown", "scheme", "text")

    def __init__(self, text: str, scheme: str, shown: str) -> None:
        self.text, self.scheme, self._shown = text, scheme, shown

    @classmethod
    def parse(cls, text: str) -> "StreamAddress":
        """Raises ValueError, whose message does not show the text, if it is not an address."""
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"is longer than {MAX_CHARACTERS} characters")
        if any(character.isspace() or not character.isprintable() for character in text):
            raise ValueError("contains white space or control characters")
        scheme = _SCHEME.match(text)
        if scheme is None:
            raise ValueError("is not SCHEME://HOST")
        try:
            parts = urlsplit(text)
            place = parts.netloc.rpartition("@")[2]
            parts.port  # noqa: B018 - is only read because it may raise
        except ValueError:
            raise ValueError("host or port cannot be read") from None
        return cls(text, scheme[1].lower(), f"{scheme[1].lower()}://{place}")

    def __str__(self) -> str:
        """The part that may be shown: without user info, query and path, since many servers put a key there."""
        return self._shown

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StreamAddress) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class SourcePlace(FilePath):
    """A source of sound instead of a microphone: an address, a file, or ``-``. Errors never show an address."""

    def __init__(self) -> None:
        super().__init__(
            "a sound file, - for standard input, or an address that ffmpeg reads, such as rtsp://HOST/PATH", secret=True
        )

    def accept(self, value: Any) -> Any:
        if isinstance(value, str) and "://" in value:
            return StreamAddress.parse(value)
        return super().accept(value)

    def read(self, text: str) -> Any:
        """A file named by a flag is taken literally, as the shell passed it."""
        if not text:
            raise ValueError("is empty")
        return StreamAddress.parse(text) if "://" in text else text
