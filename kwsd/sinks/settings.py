"""What the settings of all kinds of sink have in common."""

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
        type: the kind, as ``type`` in the file says it.
        files: keys that name a file which no other sink may have.
        exclusive: pairs of keys of which a file may have one.
    """

    type: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = ()

    only: tuple[str, ...] | None = key(
        Words(), None, "The words that this sink receives; all words when null.", kw_only=True
    )

    @classmethod
    def from_environment(cls) -> dict[str, Any]:
        """Values that the environment gives where the file says nothing."""
        return {}

    def words(self) -> Iterable[tuple[Path, str]]:
        """The model's words that it names, each with the place below this sink where it does."""
        return [(("only", at), word) for at, word in enumerate(self.only or ())]

    def check(self) -> Iterable[tuple[str, str]]:
        """What a start would find wrong on this machine, as this user: pairs of a key and its fault."""
        return ()
