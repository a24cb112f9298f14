"""What holds in the end: the one place where flags, file, model and defaults are laid over each other."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from kwsd.config.settings import Settings
from kwsd.errors import ConfigError
from kwsd.recognize.settings import CompleteRecognizeSettings, RecognizeSettings, layer_recognize
from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.stdout import StdoutSettings
from kwsd.validation.kinds import SPECIAL_LABELS, nearest
from kwsd.validation.yaml import Path, shown

if TYPE_CHECKING:
    from kwsd.model import Model
    from kwsd.sinks.webhook.url import Url


log = logging.getLogger(__name__)


class Plan(NamedTuple):
    """What was asked for: the settings with all flags in them, but the recogniser's flags as a layer of their own.

    A detection_threshold given by flag moves what the configuration and the model say of single words.
    """

    settings: Settings
    recognize_flags: RecognizeSettings = RecognizeSettings()


class Effective(NamedTuple):
    """What a plan comes to once its model is loaded.

    Attributes:
        recognize: the recogniser's settings in force.
        only: the words that make events.
    """

    model: "Model"
    recognize: CompleteRecognizeSettings
    only: frozenset[str]


def effective(plan: Plan, keep: "Model | None" = None) -> Effective:
    """Loads the plan's model and lays the layers over each other.

    Args:
        keep: the model in use, which stays where the plan's file and its description are the same to the last byte.

    Raises:
        ModelError: the model is refused.
        ConfigError: a word in ``only`` or ``thresholds`` is none of the model's, or the strides do not fit.
        UnavailableError: there is no runtime to load the model with.
    """
    from kwsd.model import load

    settings = plan.settings
    if plan.recognize_flags.clip_stride_ms is not None:  # a fault of it is the flag's, not the file's
        settings = replace(settings, lines={**settings.lines, ("recognize", "clip_stride_ms"): 0})
    model = load(settings.model, labels=settings.labels, frontend=settings.frontend, keep=keep)
    recognize = recognize_in_force(model, plan.recognize_flags, settings.recognize)
    faults = check_labels(settings, model.labels)
    faults += check_stride(settings, recognize.clip_stride_ms, model.frontend.get("stride_ms"))
    if faults:
        raise ConfigError(*faults)
    log.debug("model %s: %s, SHA-256 %s, on %s", model.name, model.path, model.sha256, model.backend)
    log.debug("recognize: %s", ", ".join(f"{name} {value}" for name, value in vars(recognize).items()))
    words = [label for label in model.labels if label not in SPECIAL_LABELS]
    return Effective(model, recognize, frozenset(words if settings.only is None else settings.only))


def recognize_in_force(model: "Model", *layers: RecognizeSettings) -> CompleteRecognizeSettings:
    """The recogniser's settings: these layers, nearest first, over the model's own and the defaults."""
    layers += (RecognizeSettings(**model.recognize),)
    return layer_recognize(*layers, row_stride_ms=model.frontend.get("stride_ms"))


def check_labels(settings: Settings, labels: Iterable[str]) -> list[str]:
    """The faults of words that settings ask for against a model's labels; each names the nearest label."""
    known = list(labels)
    words = [label for label in known if label not in SPECIAL_LABELS]
    asked: list[tuple[Path, str]] = [(("only", at), word) for at, word in enumerate(settings.only or ())]
    asked += [(("recognize", "thresholds", word), word) for word in settings.recognize.thresholds or ()]
    asked += [(("recognize", "on_demand", at), word) for at, word in enumerate(settings.recognize.on_demand or ())]
    for index, sink in enumerate(settings.sinks or ()):
        asked += [(("sinks", index, *path), word) for path, word in sink.words()]
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


def sinks_in_force(
    configured: Sequence[SinkSettings] | None,
    *,
    stdout: bool = True,
    stdout_format: str | None = None,
    socket_path: str | None = None,
    webhook_urls: "Sequence[Url]" = (),
) -> tuple[SinkSettings, ...]:
    """The sinks that are configured, or standard output and under systemd the socket; flags are laid over them.

    Args:
        stdout: whether standard output may be one of them.
        stdout_format: its format; standard output is added where there is none.
        socket_path: takes the place of the configured path; a socket is added where there is none.
        webhook_urls: are added.
    """
    sinks = list(_default_sinks(socket_path) if configured is None else configured)
    if not stdout:
        sinks = [sink for sink in sinks if not isinstance(sink, StdoutSettings)]
    elif stdout_format is not None:
        sinks = _with(sinks, StdoutSettings, format=stdout_format)
    if socket_path is not None:
        from kwsd.sinks.socket.settings import SocketSettings

        sinks = _with(sinks, SocketSettings, path=socket_path)
    if webhook_urls:
        from kwsd.sinks.webhook.settings import WebhookSettings

        sinks += [WebhookSettings(url=url) for url in webhook_urls]
    return tuple(sinks)


def _default_sinks(socket_path: str | None) -> list[SinkSettings]:
    from kwsd.sinks.socket.settings import SocketSettings, runtime_path

    path = None if socket_path is not None else runtime_path()
    return [StdoutSettings(), *([] if path is None else [SocketSettings(path=path)])]


def _with(sinks: Sequence[SinkSettings], kind: type[SinkSettings], **changed: Any) -> list[SinkSettings]:
    """The sinks with these settings for the first one of a kind, or with a new one of it."""
    first = next((sink for sink in sinks if isinstance(sink, kind)), None)
    if first is None:
        return [*sinks, kind(**changed)]
    return [replace(sink, **changed) if sink is first else sink for sink in sinks]
