"""Pipelines for audio that others bring: a recogniser each, and the models between them, loaded when needed."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.config import Settings
from kwsd.config.effective import Effective, load_models
from kwsd.daemon.ensemble import Ensemble
from kwsd.events import Detection


class Pipelines:
    """Makes pipelines with the settings in force.

    Args:
        settings: of them the models' files and their description.
        hearing: the recognisers' settings. Its models stay with the listener, whose thread must not be waited for.
    """

    def __init__(self, settings: Settings, hearing: Sequence[Effective]) -> None:
        self._settings, self._hearing = settings, hearing
        self._models: list[Any] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> "Pipeline":
        """A pipeline of one's own. Raises KwsdError."""
        with self._lock:
            if self._models is None:
                self._models = [_Shared(model) for model in load_models(self._settings)]
        return Pipeline([plan._replace(model=model) for plan, model in zip(self._hearing, self._models, strict=True)])


class Pipeline:
    """Samples in, words out, as `kwsd.Spotter` does it, by all the models of a listener.

    Attributes:
        model: the first one.
    """

    def __init__(self, plans: Sequence[Effective]) -> None:
        self.model = plans[0].model
        self._ensemble = Ensemble(plans)

    def push(self, samples: NDArray[np.float32]) -> list[Detection]:
        """The words that are new, in order, of each model those that are its own to tell."""
        return [detection for member, detection in self._ensemble.push(samples) if detection.label in member.only]


class _Shared:
    """A model that several threads score with, one at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            scores: NDArray[np.float32] = self._model.scores(features).copy()
        return scores
