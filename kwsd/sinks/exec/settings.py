"""The settings of commands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, key
from kwsd.validation.kinds import Kind, Number, Text, Whole
from kwsd.validation.yaml import BROKEN, Faults, Node, Path, described, shown

EVERY_OTHER_WORD = "*"
_WORD = Text("a word of the model, or '*'", max_bytes=255)


class _Argument(Kind):
    allowed = "text without a NUL, in quotes if it looks like a number"

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise ValueError
        return value


class Commands(Kind):
    """A mapping from words to programs with their arguments."""

    allowed = "a mapping from words, or '*', to lists of a program and its arguments, such as {stop: [/bin/echo, hush]}"

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> Mapping[str, tuple[str, ...]]:
        if not isinstance(node.value, dict) or not node.value:
            got = "an empty mapping" if node.value == {} else described(node.value)
            faults.add(node.line, f"key {shown(key)}: got {got}; allowed: {self.allowed}")
            return {}
        return {word: self._command(word, child, faults) for word, child in node.value.items()}

    def _command(self, word: str, node: Node, faults: Faults) -> tuple[str, ...]:
        _WORD.take(word, Node(node.line, word), "", faults)
        if node.value is BROKEN:
            return ()
        if not isinstance(node.value, tuple) or not node.value:
            got = "an empty list" if node.value == () else described(node.value)
            allowed = "a list of a program and its arguments, such as [/usr/bin/playerctl, pause]"
            faults.add(node.line, f"key {shown(word)}: got {got}; allowed: {allowed}")
            return ()
        return tuple(_Argument().take(word, item, "", faults) for item in node.value)


@dataclass(frozen=True)
class ExecSettings(SinkSettings):
    """A sink of type ``exec``."""

    type: ClassVar[str] = "exec"

    commands: Mapping[str, tuple[str, ...]] = key(
        Commands(), REQUIRED, "The program to run for each word, without a shell; `*` is every word not listed."
    )
    timeout_s: float = key(
        Number(0.1, 3600), 10.0, "A command that takes longer is terminated with its child processes.", unit="s"
    )
    at_once: int = key(Whole(1, 16), 1, "How many commands may run at the same time.", unit="commands")

    def words(self) -> Iterable[tuple[Path, str]]:
        yield from super().words()
        yield from ((("commands", word), word) for word in self.commands if word != EVERY_OTHER_WORD)

    def check(self) -> Iterable[tuple[str, str]]:
        from kwsd.sinks.exec.command import fault

        found = ((word, fault(words[0])) for word, words in self.commands.items())
        return [("commands", f"{word}: {'. '.join(filter(None, why))}") for word, why in found if why is not None]
