"""A configuration as one frozen object, and the text of its faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kwsd.audio.settings import AudioSettings
from kwsd.log import LEVELS
from kwsd.recognize.settings import RecognizeSettings
from kwsd.servers.settings import ServerSettings
from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, Key, key, read_section
from kwsd.validation.kinds import Choice, FilePath, Words
from kwsd.validation.yaml import Faults, Node, Path, shown


@dataclass(frozen=True)
class LogSettings:
    """The section ``log``."""

    level: str = key(Choice(tuple(LEVELS)), "info", "The minimum level of log messages.")
    format: str = key(Choice(("text", "json")), "text", "Readable lines, or JSON lines.")


@dataclass(frozen=True)
class ModelChoice:
    """One of the models of a configuration.

    Attributes:
        only: its words that produce events; None for those of the whole configuration.
    """

    model: str
    only: tuple[str, ...] | None = None


class Models(FilePath):
    """A model, or a list of them."""

    def __init__(self) -> None:
        super().__init__("a bundled model's name, a .tflite file, two as FIRST+VERIFIER, or a list of them")

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> Any:
        if not isinstance(node.value, tuple):
            return super().take(key, node, unit, faults)
        if not node.value:
            faults.add(node.line, f"key {shown(key)}: got an empty list; allowed: {self.allowed}")
        choices = [self._choice(key, item, faults) for item in node.value]
        return tuple(choices) if choices and all(choice.model for choice in choices) else None

    def _choice(self, key: str, item: Node, faults: Faults) -> ModelChoice:
        """One item; its model is empty if that has a fault."""
        if not isinstance(item.value, dict):
            return ModelChoice(super().take(key, item, "", faults))
        if "model" not in item.value:
            faults.add(item.line, "key 'model': required; an item of the list is a model or {model: .., only: [..]}")
        return ModelChoice(**{"model": ""} | read_section(_CHOICE_KEYS, item, faults))


_MODEL = "a bundled model's name, a .tflite file, or two as FIRST+VERIFIER"
_CHOICE_KEYS = (
    Key("model", "model", FilePath(_MODEL), REQUIRED, "", "The model."),
    Key("model", "only", Words(), None, "", "The words of this model that produce events."),
)


@dataclass(frozen=True)
class Settings:
    """A complete configuration; without arguments, the one without a file.

    Attributes:
        recognize: as set in the file; `kwsd.recognize.settings.layer_recognize` fills in the rest.
        sinks: None if the file does not mention them, which is not the same as no sinks.
        servers: those that the file has a section for.
        named: the settings of each listener that the file names, instead of the keys here.
        source: the file; like ``lines``, it is ignored when Settings are compared.
        lines: the lines of the file's keys, for faults that are found later; 0 for flags.
    """

    model: str | tuple[ModelChoice, ...] = key(Models(), "default", "The model, or several that run side by side.")
    labels: str | None = key(
        FilePath("a file path"), None, "Labels file, one label per line, for a model without metadata."
    )
    frontend: str | None = key(FilePath("a file path"), None, "Front-end file (YAML), for a model without metadata.")
    only: tuple[str, ...] | None = key(Words(), None, "The words that produce events; all words when null.")
    audio: AudioSettings = field(default_factory=AudioSettings)
    recognize: RecognizeSettings = field(default_factory=RecognizeSettings)
    sinks: tuple[SinkSettings, ...] | None = None
    servers: tuple[ServerSettings, ...] = ()
    log: LogSettings = field(default_factory=LogSettings)
    named: Mapping[str, "Settings"] = field(default_factory=dict)
    source: str | None = field(default=None, compare=False, repr=False)
    lines: Mapping[Path, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def listeners(self) -> Mapping[str, "Settings"]:
        """The settings of each listener: model, labels, frontend, only, audio and recognize."""
        return self.named or {"default": self}

    @property
    def first(self) -> "Settings":
        """These settings with the first listener alone, for commands that use one."""
        if not self.named:
            return self
        listener = next(iter(self.named.values()))
        return replace(listener, sinks=self.sinks, servers=self.servers, log=self.log)

    @property
    def models(self) -> tuple[ModelChoice, ...]:
        """All models; most commands use the first alone."""
        return (ModelChoice(self.model),) if isinstance(self.model, str) else self.model

    def override(self, **flags: Any) -> "Settings":
        """These settings with some top-level keys replaced by command-line flags; their faults then name the flag."""
        changed = {name for name, value in flags.items() if value != getattr(self, name)}
        kept = {path: line for path, line in self.lines.items() if path[0] not in changed}
        return replace(self, **flags, lines=kept | {(name,): 0 for name in changed})

    def fault(self, path: Path, text: str) -> str:
        """A fault of the key at ``path``: ``FILE:LINE: key 'x': text``, or ``--x: text`` for a flag."""
        name = next(part for part in reversed(path) if isinstance(part, str))
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)
        if line == 0 and path[0] != "sinks":
            return f"--{name.replace('_', '-')}: {text}"
        where = f"{self.source}:{line}: " if self.source is not None and line else ""
        return f"{where}key {shown(name)}: {text}"
