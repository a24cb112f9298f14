"""What the settings of all kinds of sink share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from kwsd.validation.keys import key
from kwsd.validation.kinds import Words
from kwsd.validation.yaml import Path


@dataclass(frozen=True)
class SinkSettings:
    """One entry of ``sinks`` in a configuration. Each kind of sink has a subclass, named in `kwsd.sinks.registry`.

    Attributes:
        type: the kind: the value of ``type`` in the file.
        files: keys that name a file which sinks must not share.
        exclusive: pairs of keys that cannot be combined.
    """

    type: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = ()

    only: tuple[str, ...] | None = key(
        Words(), None, "The words that this sink receives; all words when null.", kw_only=True
    )

    @property
    def name_at_its_server(self) -> tuple[str, int, str] | None:
        """Host, port and name of a client that a server accepts only once; None for sinks without such a name."""
        return None

    @classmethod
    def from_environment(cls) -> dict[str, Any]:
        """Defaults from the environment."""
        return {}

    def words(self) -> Iterable[tuple[Path, str]]:
        """The model's words that it names, each with its path below this sink."""
        return [(("only", at), word) for at, word in enumerate(self.only or ())]

    def check(self) -> Iterable[tuple[str, str]]:
        """What would be wrong at start, on this machine and as this user: pairs of a key and its fault."""
        return ()
