"""The configuration: one table of keys, and the Settings that a YAML file becomes.

docs/config.md shows the table, examples/kwsd.yaml every key with its default. All faults of a file are told at once,
each with its line.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kwsd.errors import ConfigError
from kwsd.log import LEVELS
from kwsd.recognize.settings import MODES, CompleteRecognizeSettings, RecognizeSettings
from kwsd.validation.kinds import (
    SCORE,
    SPECIAL_LABELS,
    Choice,
    Device,
    FilePath,
    Kind,
    Number,
    Text,
    Thresholds,
    WebUrl,
    Whole,
    Words,
    nearest,
    reader,
)
from kwsd.validation.yaml import BROKEN, Faults, Node, Path, described, lines, parse, read_bytes, shown

if TYPE_CHECKING:
    from kwsd.sinks.webhook.url import Url

REQUIRED: Any = object()
"""The default of a key that has none."""


@dataclass(frozen=True)
class Key:
    """A row of the table.

    Attributes:
        section, name: where it stands; "" is the top, ``sinks.socket`` a sink of that type.
        kind: type and range.
        default: what holds where it is left out; REQUIRED where it may not be. Where it is None, null is allowed too.
        unit: of the value.
        text: what it is, one sentence.
    """

    section: str
    name: str
    kind: Kind
    default: Any
    unit: str
    text: str


_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_R = CompleteRecognizeSettings()


def _keys(section: str, *rows: tuple[str, Kind, Any, str, str]) -> tuple[Key, ...]:
    return tuple(Key(section, *row) for row in rows)


# fmt: off
KEYS = (
    *_keys(
        "",
        ("model", FilePath("a bundled model's name, or a .tflite file"), "default", "", "The model that hears."),
        ("labels", FilePath("a file's path"), None, "", "Labels, one a line, of a model that carries no metadata."),
        ("frontend", FilePath("a file's path"), None, "", "Front end (YAML) of a model that carries no metadata."),
        ("only", Words(), None, "", "The words that make events; all when null."),
    ),
    *_keys(
        "audio",
        ("device", Device(), None, "", "The input device; the system's default when null."),
        ("channel", Whole(0, 255), 0, "", "Channel of the device, counted from 0."),
        ("gain_db", Number(-60, 60), 0.0, "dB", "Gain of the samples before anything else."),
        ("stall_s", Number(0.5, 60), 2.0, "s", "A device that sends nothing for so long has stalled."),
        ("block_ms", Whole(5, 500), None, "ms", "How much audio is handed over at once; a clip stride when null."),
    ),
    *_keys(
        "recognize",
        ("mode", Choice(MODES), _R.mode, "", "The rules by which scores become words."),
        ("clip_stride_ms", Number(1, 1000), _R.clip_stride_ms, "ms", "From one scored clip to the next."),
        ("max_clip_stride_ms", Number(1, 1000), _R.max_clip_stride_ms, "ms", "How far that may widen under load."),
        ("average_window_ms", Whole(0, 60_000), _R.average_window_ms, "ms", "Scores are averaged over this time."),
        ("suppression_ms", Whole(0, 60_000), _R.suppression_ms, "ms", "Nothing new is heard so soon after a word."),
        ("minimum_count", Whole(1, 1000), _R.minimum_count, "scores", "Averages of fewer scores do not count."),
        ("detection_threshold", SCORE, _R.detection_threshold, "", "The averaged score that a word needs."),
        ("speech_threshold", SCORE, _R.speech_threshold, "", "Needed as well in running speech, in mode repeat."),
        ("thresholds", Thresholds(), {}, "", "detection_threshold for single words."),
    ),
    *_keys(
        "sinks.stdout",
        ("format", Choice(("json", "text")), "json", "", "JSON lines, or a line for people."),
        ("only", Words(), None, "", "The words that go there; all when null."),
    ),
    *_keys(
        "sinks.socket",
        ("path", FilePath("a path of at most 107 bytes", max_bytes=107), REQUIRED, "", "The socket's file."),
        ("group", Text("a group's name"), None, "", "Its members may connect; only the owner when null."),
        ("max_clients", Whole(1, 4096), 256, "clients", "Further connections are refused."),
        ("only", Words(), None, "", "The words that go there; all when null."),
    ),
    *_keys(
        "sinks.webhook",
        ("url", WebUrl(), REQUIRED, "", "Where events are posted; only its scheme, host and port are ever shown."),
        ("secret_file", FilePath("a file's path", secret=True), None, "", "Holds the secret that signs."),
        ("secret_env", Text("a variable's name", _NAME, secret=True), None, "", "The same, in the environment."),
        ("only", Words(), None, "", "The words that go there; all when null."),
        ("timeout_s", Number(0.1, 60), 3.0, "s", "How long one attempt may take."),
        ("max_age_s", Number(0.1, 604_800), 10.0, "s", "An event older than this is given up."),
        ("spool", FilePath("a file's path"), None, "", "Keeps events through a restart, for this webhook alone."),
    ),
    *_keys(
        "log",
        ("level", Choice(tuple(LEVELS)), "info", "", "What is told on standard error."),
        ("format", Choice(("text", "json")), "text", "", "A line for people, or JSON."),
    ),
)
# fmt: on

_TABLE = {(key.section, key.name): key for key in KEYS}
_SECTIONS = ("audio", "recognize", "sinks", "log")
_SINK_TYPES = ("stdout", "socket", "webhook")


def _default(section: str, name: str) -> Any:
    return _TABLE[section, name].default


@dataclass(frozen=True)
class AudioSettings:
    """The microphone; units as in the names."""

    device: str | int | None = _default("audio", "device")
    channel: int = _default("audio", "channel")
    gain_db: float = _default("audio", "gain_db")
    stall_s: float = _default("audio", "stall_s")
    block_ms: int | None = _default("audio", "block_ms")


@dataclass(frozen=True)
class StdoutSettings:
    format: str = _default("sinks.stdout", "format")
    only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SocketSettings:
    path: str
    group: str | None = None
    max_clients: int = _default("sinks.socket", "max_clients")
    only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class WebhookSettings:
    url: "Url"
    secret_file: str | None = None
    secret_env: str | None = None
    only: tuple[str, ...] | None = None
    timeout_s: float = _default("sinks.webhook", "timeout_s")
    max_age_s: float = _default("sinks.webhook", "max_age_s")
    spool: str | None = None


@dataclass(frozen=True)
class LogSettings:
    level: str = _default("log", "level")
    format: str = _default("log", "format")


SinkSettings = StdoutSettings | SocketSettings | WebhookSettings
_SINK_CLASSES: dict[str, Callable[..., SinkSettings]] = {
    "stdout": StdoutSettings,
    "socket": SocketSettings,
    "webhook": WebhookSettings,
}


@dataclass(frozen=True)
class Settings:
    """All of a configuration; without arguments, what holds without a file.

    Attributes:
        recognize: what the file says of it; `kwsd.recognize.settings.layer_recognize` fills in the rest.
        sinks: None where the file says nothing of them, which is not the same as no sinks.
        source: the file; like ``lines``, it does not count when Settings are compared.
        lines: the lines of the file's keys, for faults that are found later; 0 where a flag said it.
    """

    model: str = _default("", "model")
    labels: str | None = None
    frontend: str | None = None
    only: tuple[str, ...] | None = None
    audio: AudioSettings = AudioSettings()
    recognize: RecognizeSettings = field(default_factory=RecognizeSettings)
    sinks: tuple[SinkSettings, ...] | None = None
    log: LogSettings = LogSettings()
    source: str | None = field(default=None, compare=False, repr=False)
    lines: Mapping[Path, int] = field(default_factory=dict, compare=False, repr=False)

    def override(self, **flags: Any) -> "Settings":
        """These settings with some of the top replaced by command-line flags; faults then name the flag."""
        changed = {name for name, value in flags.items() if value != getattr(self, name)}
        kept = {path: line for path, line in self.lines.items() if path[0] not in changed}
        return replace(self, **flags, lines=kept | {(name,): 0 for name in changed})

    def fault(self, path: Path, text: str) -> str:
        """A fault of the key at ``path``: ``FILE:LINE: key 'x': text``, or ``--x: text`` where a flag said it."""
        name = next(part for part in reversed(path) if isinstance(part, str))
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 1)
        if line == 0 and path[0] != "sinks":
            return f"--{name.replace('_', '-')}: {text}"
        where = f"{self.source}:{line}: " if self.source is not None and line else ""
        return f"{where}key {shown(name)}: {text}"


def load(path: str, check: Callable[[Settings], Iterable[str]] | None = None) -> Settings:
    """Reads a configuration file. Raises ConfigError with every fault of it.

    Args:
        check: finds further faults in what is right of a file that has some, so that all are told at once.
    """
    faults = Faults(path)
    return read(read_bytes(path, faults), path, check)


def read(data: bytes, name: str, check: Callable[[Settings], Iterable[str]] | None = None) -> Settings:
    """The same for the bytes of a file called ``name``."""
    faults = Faults(name)
    root = parse(data, faults)
    top = _section("", root, faults, _SECTIONS)
    nodes = root.value if isinstance(root.value, dict) else {}
    audio, recognize, log = (_section(name, nodes.get(name), faults) for name in ("audio", "recognize", "log"))
    stride, widest = recognize.get("clip_stride_ms"), recognize.get("max_clip_stride_ms")
    if stride is not None and widest is not None and stride > widest:
        line = nodes["recognize"].value["max_clip_stride_ms"].line
        faults.add(line, f"key 'max_clip_stride_ms': got {widest:g}; allowed is at least the clip_stride_ms {stride:g}")
    sinks = _sinks(nodes.get("sinks"), faults)
    try:
        faults.check()
    except ConfigError as error:
        if check is None or top.get("model", "default") is None:
            raise
        sound = Settings(**top, recognize=RecognizeSettings(**recognize), source=faults.name, lines=lines(root))
        raise ConfigError(
            *sorted((*error.faults, *check(sound)), key=lambda fault: _line(fault, faults.name))
        ) from None
    return Settings(
        **top,
        audio=AudioSettings(**audio),
        recognize=RecognizeSettings(**recognize),
        sinks=None if sinks is None else tuple(_SINK_CLASSES[kind](**values) for kind, values in sinks),
        log=LogSettings(**log),
        source=faults.name,
        lines=lines(root),
    )


def flag(section: str, name: str) -> Callable[[str], Any]:
    """Reads a command-line flag as the table's key is read; for argparse's ``type``, whose error it raises."""
    key = _TABLE[section, name]
    return reader(key.kind, key.unit)


def check_labels(settings: Settings, labels: Iterable[str]) -> list[str]:
    """The faults of ``only`` and ``thresholds`` against a model's labels; each names the nearest label."""
    known = list(labels)
    words = [label for label in known if label not in SPECIAL_LABELS]
    asked: list[tuple[Path, str]] = [(("only", at), word) for at, word in enumerate(settings.only or ())]
    asked += [(("recognize", "thresholds", word), word) for word in settings.recognize.thresholds or ()]
    for index, sink in enumerate(settings.sinks or ()):
        asked += [(("sinks", index, "only", at), word) for at, word in enumerate(sink.only or ())]
    return [
        settings.fault(path, f"the model has no word {shown(word)}; {nearest(word, words)}")
        for path, word in asked
        if word is not None and word not in known  # None: its own fault is told already
    ]


def check_stride(settings: Settings, clip_stride_ms: float, row_stride_ms: float | None) -> list[str]:
    """The faults of the clip stride in force against the front end's row stride (None: a model that takes samples)."""
    if row_stride_ms is None:
        least, fits = "at least 10 ms", clip_stride_ms >= 10
    else:
        least = f"a multiple of the model's row stride of {row_stride_ms:g} ms"
        fits = abs(clip_stride_ms / row_stride_ms - round(clip_stride_ms / row_stride_ms)) < 1e-9
    if fits:
        return []
    return [settings.fault(("recognize", "clip_stride_ms"), f"got {clip_stride_ms:g}; allowed is {least}")]


def _line(fault: str, name: str) -> float:
    """The line of a fault; faults of another file (labels, front end) come last."""
    return int(fault.removeprefix(f"{name}:").partition(":")[0]) if fault.startswith(f"{name}:") else math.inf


def _section(section: str, node: Node | None, faults: Faults, others: Iterable[str] = ()) -> dict[str, Any]:
    """The settings that a mapping holds, as far as they are right; ``others`` are keys that somebody else reads."""
    if node is None or node.value is None or node.value is BROKEN:
        return {}
    if not isinstance(node.value, dict):
        what = f"key {shown(section.rpartition('.')[2])}: " if section else ""
        faults.add(node.line, f"{what}got {described(node.value)}; allowed is a mapping (key: value)")
        return {}
    values: dict[str, Any] = {}
    for name, child in node.value.items():
        key = _TABLE.get((section, name))
        if key is not None:
            if child.value is not BROKEN and (child.value is not None or key.default is not None):
                values[name] = key.kind.take(name, child, key.unit, faults)
        elif name not in others:
            known = [*(key.name for key in KEYS if key.section == section), *others]
            faults.add(child.line, f"key {shown(name)}: is not known{_place(section, name)}; {nearest(name, known)}")
    return values


def _sinks(node: Node | None, faults: Faults) -> list[tuple[str, dict[str, Any]]] | None:
    """Each sink's type and settings; None where the file says nothing of sinks."""
    if node is None or node.value is None or node.value is BROKEN:
        return None
    if not isinstance(node.value, tuple):
        faults.add(node.line, f"key 'sinks': got {described(node.value)}; allowed is a list of sinks (- type: ...)")
        return None
    sinks = []
    files: dict[str, int] = {}
    for item in node.value:
        if not isinstance(item.value, dict):
            faults.add(item.line, f"key 'sinks': got {described(item.value)}; allowed is a mapping with its type in it")
            continue
        kind = _sink_type(item, faults)
        if kind is None:
            continue
        values = _section(f"sinks.{kind}", item, faults, ("type",))
        if kind == "socket" and "path" not in item.value and (folders := os.environ.get("RUNTIME_DIRECTORY")):
            values["path"] = os.path.join(folders.split(":")[0], "kwsd.sock")  # noqa: PTH118
        for key in KEYS:
            if key.section == f"sinks.{kind}" and key.default is REQUIRED and key.name not in values:
                faults.add(item.line, f"key '{key.name}': is missing; a {kind} needs {key.kind.allowed}")
        _check_sink(item, values, files, faults)
        sinks.append((kind, values))
    return sinks


def _sink_type(item: Node, faults: Faults) -> str | None:
    kinds = Choice(_SINK_TYPES)
    if "type" not in item.value:
        faults.add(item.line, f"key 'type': is missing; allowed is {kinds.allowed}")
        return None
    kind: str | None = kinds.take("type", item.value["type"], "", faults)
    return kind


def _check_sink(item: Node, values: Mapping[str, Any], files: dict[str, int], faults: Faults) -> None:
    """What one key alone cannot tell: one secret, and files that no other sink of ``files`` has."""
    if values.get("secret_file") and values.get("secret_env"):
        line = max(item.value[name].line for name in ("secret_file", "secret_env"))
        faults.add(line, "key 'secret_env': stands beside secret_file; allowed is one of them")
    for name in ("path", "spool"):
        if (path := values.get(name)) is not None:
            line = item.value[name].line if name in item.value else item.line
            first = files.get(real := os.path.realpath(path))
            if first is not None:
                faults.add(line, f"key '{name}': is the file of line {first}; allowed is one that no other sink has")
            files[real] = line


def _place(section: str, name: str) -> str:
    """Where a key that stands in the wrong place belongs."""
    return next((f" here, but under '{key.section}'" for key in KEYS if key.name == name and key.section), "")
