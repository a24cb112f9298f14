"""The models of a listener: all get the same samples, each with its own recogniser and settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.config.effective import Effective
from kwsd.daemon.pacing import Pacing
from kwsd.events import Detection
from kwsd.frontend import create
from kwsd.frontend.shared import SharedRows
from kwsd.recognize.peaks import Peak
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.spotter import Spotter


def new_spotter(plan: Effective, shared: SharedRows | None = None) -> Spotter:
    """The pipeline with the settings in effect."""
    return Spotter(plan.model, shared=shared, **spotter_settings(plan.recognize))


def new_pacing(plan: Effective) -> Pacing:
    settings = plan.recognize
    return Pacing(settings.clip_stride_ms, settings.max_clip_stride_ms, plan.model.frontend.get("stride_ms"))


def spotter_settings(settings: CompleteRecognizeSettings) -> dict[str, Any]:
    """The settings that a Spotter takes; widening strides is handled here."""
    return {
        field.name: getattr(settings, field.name) for field in fields(settings) if field.name != "max_clip_stride_ms"
    }


class Member:
    """One model's part.

    Attributes:
        plan: model, settings, and the words that produce events.
        spotter: detects them.
        pacing: determines its clip stride, if the source is paced by the clock.
    """

    def __init__(self, plan: Effective, shared: SharedRows | None) -> None:
        self.plan, self.spotter, self.pacing = plan, new_spotter(plan, shared), new_pacing(plan)

    @property
    def only(self) -> frozenset[str]:
        return self.plan.only

    @property
    def name(self) -> str:
        return self.plan.model.name

    def configure(self, plan: Effective) -> None:
        """Applies other settings for the same model."""
        self.spotter.configure(**spotter_settings(plan.recognize))
        self.plan, self.pacing = plan, new_pacing(plan)


class Ensemble:
    """See above. A pure object, like `kwsd.Spotter`.

    Frames are computed once if front ends agree.

    Args:
        plans: one for each model; all of one rate, and no two that report the same word.
    """

    def __init__(self, plans: Sequence[Effective]) -> None:
        self._shared = _shared_rows(plans)
        self.members = tuple(Member(plan, shared) for plan, shared in zip(plans, self._shared, strict=True))
        self._first = self.members[0].spotter

    @property
    def plans(self) -> tuple[Effective, ...]:
        return tuple(member.plan for member in self.members)

    def has_models_of(self, plans: Sequence[Effective]) -> bool:
        """Whether these plans have the same models."""
        return [plan.model for plan in plans] == [member.plan.model for member in self.members]

    def configure(self, plans: Sequence[Effective]) -> None:
        """Applies other settings for the same models, without losing samples or state."""
        for member, plan in zip(self.members, plans, strict=True):
            member.configure(plan)

    def push(self, samples: NDArray[np.float32]) -> list[tuple[Member, Detection]]:
        """Processes the next samples; returns the new words, in order."""
        if len(self.members) == 1:
            return [(self.members[0], detection) for detection in self._first.push(samples)]
        found = [(member, detection) for member in self.members for detection in member.spotter.push(samples)]
        return sorted(found, key=lambda pair: pair[1].audio_ms)

    def reset(self, lost_samples: int = 0) -> None:
        """Starts afresh after a gap, like `Spotter.reset`."""
        for shared in self._shared:
            if shared is not None:
                shared.reset()
        for member in self.members:
            member.spotter.reset(lost_samples)

    def end(self) -> None:
        """Reports the peaks that are not over, since no more samples will follow."""
        for member in self.members:
            member.spotter.end()

    def arm(self, thresholds: Mapping[str, float | None]) -> None:
        """Makes exactly these the armed words."""
        for member in self.members:
            labels = member.spotter.labels
            member.spotter.arm({word: own for word, own in thresholds.items() if word in labels})

    def tell_peaks(self, tell: Callable[[Member, Peak], None]) -> None:
        """Calls ``tell`` with each peak that is over, and the model whose it is."""
        for member in self.members:
            member.spotter.tell_peaks(lambda peak, member=member: tell(member, peak))  # type: ignore[misc]

    def keep_up(self, lag_s: float, now_s: float) -> bool:
        """Widens or narrows strides as determined by `Pacing`; returns whether any changed."""
        changed = False
        for member in self.members:
            stride_ms = member.pacing.take(lag_s, now_s)
            if stride_ms != member.spotter.clip_stride_ms:
                member.spotter.clip_stride_ms, changed = stride_ms, True
        return changed

    @property
    def slow(self) -> str | None:
        """The fault in words if a stride is widened."""
        return next((reason for member in self.members if (reason := member.pacing.reason) is not None), None)

    @property
    def idle_s(self) -> tuple[float, float]:
        """For how long no new audio can make a word fire, and the stride in which this is counted."""
        return min(
            (member.spotter.idle_strides * stride_s, stride_s)
            for member in self.members
            if (stride_s := member.spotter.clip_stride_ms / 1000)
        )

    @property
    def averages(self) -> dict[str, float] | None:
        """The averaged scores of all models; None while there are too few. Of a shared label, the reported one."""
        found: dict[str, float] = {}
        for member in self.members:
            if (averages := member.spotter.averages) is None:
                return None
            for label, score in zip(member.spotter.labels, averages.tolist(), strict=True):
                if label not in found or label in member.only:
                    found[label] = score
        return found

    def newest_rows(self, strides: int) -> NDArray[np.float32] | None:
        """`Spotter.newest_rows` of the first model."""
        return self._first.newest_rows(strides)

    @property
    def only(self) -> frozenset[str]:
        """The words that produce events."""
        return frozenset().union(*(member.only for member in self.members))

    @property
    def strides(self) -> int:
        """How many clips were scored, by all models."""
        return sum(member.spotter.strides for member in self.members)

    @property
    def first_strides(self) -> int:
        """How many clips the first model scored."""
        return self._first.strides

    @property
    def clip_stride_ms(self) -> float:
        """The first model's."""
        return self._first.clip_stride_ms

    @property
    def position_ms(self) -> int:
        """How much audio has passed, lost samples included."""
        return self._first.position_ms

    @property
    def sample_rate_hz(self) -> int:
        """The rate of all models."""
        return self._first.model.sample_rate_hz


def _shared_rows(plans: Sequence[Effective]) -> list[SharedRows | None]:
    """For each model the rows that it shares with others; None if no other has the same front end."""
    found: list[tuple[Mapping[str, Any], SharedRows]] = []
    shared: list[SharedRows | None] = []
    for plan in plans:
        params = plan.model.frontend
        same = [other for other in plans if dict(other.model.frontend) == dict(params)]
        if len(same) < 2 or params["type"] == "waveform":
            shared.append(None)
            continue
        rows = next((rows for known, rows in found if dict(known) == dict(params)), None)
        if rows is None:
            found.append((params, rows := SharedRows(create(params))))
        shared.append(rows)
    return shared
