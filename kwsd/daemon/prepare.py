"""What a plan comes to: its model, loaded and tried, and the settings in force."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from kwsd import config
from kwsd.daemon.pacing import Pacing
from kwsd.errors import ConfigError
from kwsd.model import Model, load
from kwsd.recognize import SILENCE, UNKNOWN
from kwsd.recognize.settings import CompleteRecognizeSettings, RecognizeSettings, layer_recognize
from kwsd.spotter import Spotter

if TYPE_CHECKING:
    from kwsd.cli.run import Plan


class Prepared(NamedTuple):
    """What a plan comes to once its model is known."""

    model: Model
    settings: CompleteRecognizeSettings
    only: frozenset[str]

    def spotter(self) -> Spotter:
        return Spotter(self.model, **spotter_settings(self.settings))

    def pacing(self) -> Pacing:
        settings, row_stride_ms = self.settings, self.model.frontend.get("stride_ms")
        return Pacing(settings.clip_stride_ms, settings.max_clip_stride_ms, row_stride_ms)


def spotter_settings(settings: CompleteRecognizeSettings) -> dict[str, Any]:
    """What of the settings a Spotter takes; how far a stride may widen is this side's business."""
    return {
        field.name: getattr(settings, field.name) for field in fields(settings) if field.name != "max_clip_stride_ms"
    }


def prepare(plan: "Plan", keep: Model | None = None) -> Prepared:
    """Loads the model and lays the layers of settings over each other.

    Args:
        keep: the model in use, which stays where the plan's file and its description are the same to the last byte.

    Raises:
        ModelError: the model is refused.
        ConfigError: a word in ``only`` or ``thresholds`` is none of the model's, or the strides do not fit.
    """
    settings = plan.settings
    if plan.recognize_flags.clip_stride_ms is not None:  # a fault of it is the flag's, not the file's
        settings = replace(settings, lines={**settings.lines, ("recognize", "clip_stride_ms"): 0})
    model = load(settings.model, labels=settings.labels, frontend=settings.frontend, keep=keep)
    row_stride_ms = model.frontend.get("stride_ms")
    layers = (plan.recognize_flags, settings.recognize, RecognizeSettings(**model.recognize))
    recognize = layer_recognize(*layers, row_stride_ms=row_stride_ms)
    faults = config.check_labels(settings, model.labels)
    faults += config.check_stride(settings, recognize.clip_stride_ms, row_stride_ms)
    if faults:
        raise ConfigError(*faults)
    words = [label for label in model.labels if label not in (SILENCE, UNKNOWN)]
    only = frozenset(words if settings.only is None else settings.only)
    return Prepared(model, recognize, only)
