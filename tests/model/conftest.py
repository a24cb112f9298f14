"""The small models of tests/fixtures (made by make_models.py there), their inputs, and the runtimes there are."""

import json
from pathlib import Path

import numpy as np
import pytest

from kwsd.model import runtime

MODELS = Path(__file__).parents[1] / "fixtures" / "models"


@pytest.fixture
def models():
    """The folder of the models."""
    return MODELS


@pytest.fixture(params=runtime.BACKENDS)
def backend(request):
    """Each runtime; one that does not work here is skipped, with the reason."""
    if problem := runtime.fault(request.param):
        pytest.skip(f"{request.param}: {problem}")
    return request.param


@pytest.fixture
def golden():
    """What each model must answer to its input."""
    return {name: np.array(scores) for name, scores in json.loads((MODELS / "golden.json").read_text()).items()}


@pytest.fixture
def features():
    """The input of the goldens of rows, as in make_models.py."""
    return np.sin(np.arange(490, dtype=np.float32) * np.float32(0.37)).reshape(49, 10) * 3


@pytest.fixture
def waveform():
    """The input of the goldens of samples, as in make_models.py."""
    t = np.arange(16000, dtype=np.float32) / 16000
    return (np.sin(1500 * t * (1 + t)) * (np.sin(20 * t) > 0) * 0.4).astype(np.float32)
