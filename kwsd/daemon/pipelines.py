"""Pipelines for audio that clients send: each with its own recogniser, sharing models that are loaded when needed."""

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
    """Makes pipelines with the settings in effect.

    Args:
        settings: for the models' files and their description.
        hearing: the recognisers' settings. Its models are not used, since pipelines must not wait for the listener.
    """

    def __init__(self, settings: Settings, hearing: Sequence[Effective]) -> None:
        self._settings, self._hearing = settings, hearing
        self._models: list[Any] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> "Pipeline":
        """A new pipeline. Raises KwsdError."""
        with self._lock:
            if self._models is None:
                self._models = [_Shared(model) for model in load_models(self._settings)]
        return Pipeline([plan._replace(model=model) for plan, model in zip(self._hearing, self._models, strict=True)])


class Pipeline:
    """Samples in, words out, like `kwsd.Spotter`, by all models of a listener.

    Attributes:
        model: the first one.
    """

    def __init__(self, plans: Sequence[Effective]) -> None:
        self.model = plans[0].model
        self._ensemble = Ensemble(plans)

    def push(self, samples: NDArray[np.float32]) -> list[Detection]:
        """The new words, in order, from each model those that it reports."""
        return [detection for member, detection in self._ensemble.push(samples) if detection.label in member.only]


class _Shared:
    """A model shared by several threads, which score one at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            scores: NDArray[np.float32] = self._model.scores(features).copy()
        return scores
