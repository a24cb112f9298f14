"""The settings in effect: the one place where flags, file, model and defaults are combined."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
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
    """What was requested: the settings, including all flags except the recogniser's, which are a layer of their own.

    A detection_threshold given by flag moves the thresholds of single words in the configuration and the model.
    """

    settings: Settings
    recognize_flags: RecognizeSettings = RecognizeSettings()


class Effective(NamedTuple):
    """The result of a plan for one of its models, once that is loaded.

    Attributes:
        recognize: the recogniser's settings in effect.
        only: the model's words that produce events.
    """

    model: "Model"
    recognize: CompleteRecognizeSettings
    only: frozenset[str]


def effective(plan: Plan, keep: "Sequence[Model]" = ()) -> tuple[Effective, ...]:
    """Loads the plan's models and combines the layers; one result for each model, in their order.

    Args:
        keep: the models in use; those whose file and description are identical are kept.

    Raises:
        ModelError: a model is rejected.
        ConfigError: no model has a word in ``only`` or ``thresholds``, the strides do not fit, or two models would
            report the same word.
        UnavailableError: there is no runtime to load them with.
    """
    settings = plan.settings
    if plan.recognize_flags.clip_stride_ms is not None:  # its faults concern the flag, not the file
        settings = replace(settings, lines={**settings.lines, ("recognize", "clip_stride_ms"): 0})
    models = load_models(settings, keep)
    known = list(dict.fromkeys(label for model in models for label in model.labels))
    faults = check_labels(settings, known)
    found = []
    for at, (model, choice) in enumerate(zip(models, settings.models, strict=True)):
        faults += _check_words(settings, ("model", at, "only"), choice.only or (), model.labels)
        layers = [_of_words(layer, model.labels) for layer in (plan.recognize_flags, settings.recognize)]
        recognize = recognize_in_force(model, *layers)
        faults += check_stride(settings, recognize.clip_stride_ms, model.frontend.get("stride_ms"))
        for each in filter(None, (model, model.verifier)):
            log.debug("model %s: %s, SHA-256 %s, on %s", each.name, each.path, each.sha256, each.backend)
        log.debug("recognize: %s", ", ".join(f"{name} {value}" for name, value in vars(recognize).items()))
        wanted = choice.only or settings.only or known
        found.append(Effective(model, recognize, frozenset(wanted) & frozenset(model.labels) - set(SPECIAL_LABELS)))
    faults += _check_together(settings, found)
    if faults:
        raise ConfigError(*dict.fromkeys(faults))
    return tuple(found)


def effective_of_all(
    plan: Plan, keep: "Mapping[str, Sequence[Model]]" = MappingProxyType({})
) -> dict[str, tuple[Effective, ...]]:
    """The same for each listener of a plan, by name, as is ``keep``.

    Raises:
        ModelError, ConfigError, UnavailableError: as `effective`; a ConfigError has the faults of all listeners.
    """
    found, faults = {}, list[str]()
    for name, settings in plan.settings.listeners.items():
        try:
            found[name] = effective(Plan(settings, plan.recognize_flags), keep.get(name, ()))
        except ConfigError as error:
            faults += error.faults
    if not faults:
        known = list(dict.fromkeys(label for heard in found.values() for each in heard for label in each.model.labels))
        faults = check_sink_labels(plan.settings, known)
    if faults:
        raise ConfigError(*faults)
    return found


def load_models(settings: Settings, keep: "Sequence[Model]" = ()) -> "list[Model]":
    """The models of the settings, taken from ``keep`` if they are the same. Raises KwsdError."""
    from kwsd.model import load

    models: list[Model] = []
    for choice in settings.models:
        # The one of that file; a model serves a single pipeline of a single listener.
        kept = next((model for model in keep if model not in models and _is_of(model, choice.model)), None)
        models.append(load(choice.model, labels=settings.labels, frontend=settings.frontend, keep=kept))
    return models


def _is_of(model: "Model", name: str) -> bool:
    from kwsd.model.catalogue import find, parts

    first, second = parts(name)
    if (model.verifier is None) != (second is None) or str(model.path) != str(find(first, model.backend)):
        return False
    return model.verifier is None or second is None or _is_of(model.verifier, second)


def _of_words(layer: RecognizeSettings, labels: Sequence[str]) -> RecognizeSettings:
    """The layer without its settings for other models' words."""
    thresholds = {word: own for word, own in (layer.thresholds or {}).items() if word in labels}
    on_demand = layer.on_demand and tuple(word for word in layer.on_demand if word in labels)
    return replace(layer, thresholds=thresholds, on_demand=on_demand)


def _check_together(settings: Settings, found: Sequence[Effective]) -> list[str]:
    """The faults of models that cannot share a listener."""
    faults = []
    for at, one in enumerate(found):
        for other in found[:at]:
            names = f"{other.model.name} and {one.model.name}"
            if one.model.sample_rate_hz != other.model.sample_rate_hz:
                rates = f"{other.model.sample_rate_hz} and {one.model.sample_rate_hz} Hz"
                faults.append(settings.fault(("model", at), f"{names} have {rates}; all models must have one rate"))
            if both := sorted(one.only & other.only):
                mend = "leave them out of `only` of one, as in [default, {model: own.tflite, only: [lumos]}]"
                faults.append(settings.fault(("model", at), f"{names} both report {', '.join(both)}; {mend}"))
    return faults


def recognize_in_force(model: "Model", *layers: RecognizeSettings) -> CompleteRecognizeSettings:
    """The recogniser's settings: these layers, nearest first, override the model's own and the defaults."""
    layers += (RecognizeSettings(**model.recognize),)
    return layer_recognize(*layers, row_stride_ms=model.frontend.get("stride_ms"))


def check_labels(settings: Settings, labels: Iterable[str]) -> list[str]:
    """Faults of words in the settings that no label of the models matches; each names the nearest label."""
    known = list(labels)
    asked: list[tuple[Path, str]] = [(("only", at), word) for at, word in enumerate(settings.only or ())]
    asked += [(("recognize", "thresholds", word), word) for word in settings.recognize.thresholds or ()]
    asked += [(("recognize", "on_demand", at), word) for at, word in enumerate(settings.recognize.on_demand or ())]
    return [
        *(fault for path, word in asked for fault in _check_word(settings, path, word, known)),
        *check_sink_labels(settings, known),
    ]


def check_sink_labels(settings: Settings, known: Sequence[str]) -> list[str]:
    """Faults of words in the sinks' settings."""
    asked: list[tuple[Path, str]] = []
    for index, sink in enumerate(settings.sinks or ()):
        asked += [(("sinks", index, *path), word) for path, word in sink.words()]
    return [fault for path, word in asked for fault in _check_word(settings, path, word, known)]


def _check_words(settings: Settings, path: Path, words: Sequence[str], known: Sequence[str]) -> list[str]:
    return [fault for at, word in enumerate(words) for fault in _check_word(settings, (*path, at), word, known)]


def _check_word(settings: Settings, path: Path, word: str | None, known: Sequence[str]) -> list[str]:
    never = word in SPECIAL_LABELS and "thresholds" not in path
    if word is None or (word in known and not never):  # None: its fault has been reported already
        return []
    words = [label for label in known if label not in SPECIAL_LABELS]
    fault = f"{word} is never an event" if never else f"the model has no word {shown(word)}"
    return [settings.fault(path, f"{fault}; {nearest(word, words)}")]


def check_stride(settings: Settings, clip_stride_ms: float, row_stride_ms: float | None) -> list[str]:
    """Faults of the clip stride in effect against the front end's row stride (None: a model that takes samples)."""
    if row_stride_ms is None:
        least, fits = "at least 10 ms", clip_stride_ms >= 10
    else:
        least = f"a multiple of the model's row stride of {row_stride_ms:g} ms"
        fits = abs(clip_stride_ms / row_stride_ms - round(clip_stride_ms / row_stride_ms)) < 1e-9
    if fits:
        return []
    return [settings.fault(("recognize", "clip_stride_ms"), f"got {clip_stride_ms:g}; allowed: {least}")]


def sinks_in_force(
    configured: Sequence[SinkSettings] | None,
    *,
    stdout: bool = True,
    stdout_format: str | None = None,
    socket_path: str | None = None,
    webhook_urls: "Sequence[Url]" = (),
) -> tuple[SinkSettings, ...]:
    """The configured sinks, or standard output and, under systemd, the socket; overridden by flags.

    Args:
        stdout: whether standard output may be one of them.
        stdout_format: its format; standard output is added if there is none.
        socket_path: replaces the configured path; a socket is added if there is none.
        webhook_urls: webhooks to add.
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
    """The sinks with these settings applied to the first one of a kind, or to a new one."""
    first = next((sink for sink in sinks if isinstance(sink, kind)), None)
    if first is None:
        return [*sinks, kind(**changed)]
    return [replace(sink, **changed) if sink is first else sink for sink in sinks]
