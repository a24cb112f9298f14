"""Pipelines for audio that others bring: a recogniser each, and one model between them, loaded when it is needed."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.config import Settings
from kwsd.config.effective import Effective
from kwsd.daemon.listener import new_spotter
from kwsd.spotter import Spotter


class Pipelines:
    """Makes pipelines with the settings in force.

    Args:
        settings: of them the model's file and its description.
        hearing: the recogniser's settings. Its model stays with the listener, whose thread it must not wait for.
    """

    def __init__(self, settings: Settings, hearing: Effective) -> None:
        self._settings, self._hearing = settings, hearing
        self._model: Any = None
        self._lock = threading.Lock()

    def __call__(self) -> Spotter:
        """A pipeline of one's own. Raises KwsdError."""
        from kwsd.model import load

        settings = self._settings
        with self._lock:
            if self._model is None:
                self._model = _Shared(load(settings.model, labels=settings.labels, frontend=settings.frontend))
        return new_spotter(self._hearing._replace(model=self._model))


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
