"""Widens the clip stride while scoring cannot keep up with a source that is paced by the clock.

If the network is too large for the machine, or the machine is busy, each block is scored later than the one before.
Scoring less often is better than falling ever further behind: the stride is widened step by step until scoring keeps
up, and narrowed again, step by step, when it has kept up for a while.
"""

LATE_S = 0.3  # a block scored this long after it arrived is late; ordinary jitter stays below 0.1 s
IN_TIME_S = 0.1
CHECK_S = 0.5  # for this long, since a burst after a short stall is late too, and soon worked off
CALM_S = 5.0  # after this long in time, a narrower stride is tried
CALM_MAX_S = 320.0  # a trial that failed doubles the time until the next one, up to this


class Pacing:
    """The clip stride in effect. Pure: the caller passes lag and time.

    Args:
        clip_stride_ms: the wanted stride, a multiple of the row stride.
        max_clip_stride_ms: how far it may widen.
        row_stride_ms: the front end's; None for a model that takes samples, which accepts any stride.

    Attributes:
        clip_stride_ms: the stride in effect, at first the wanted one.
    """

    def __init__(self, clip_stride_ms: float, max_clip_stride_ms: float, row_stride_ms: float | None) -> None:
        widest_ms = max_clip_stride_ms
        if row_stride_ms is not None:
            # A little is added because 200 / 0.1 is not always 2000.
            widest_ms = int(max_clip_stride_ms / row_stride_ms + 1e-9) * row_stride_ms
        self._strides_ms = [clip_stride_ms]
        while self._strides_ms[-1] < widest_ms:
            self._strides_ms.append(min(2 * self._strides_ms[-1], widest_ms))
        self._step = 0
        self._checked_s = float("-inf")
        self._lag_s = 0.0  # at the last check
        self._calm_from_s: float | None = None  # in time since then
        self._calm_s = CALM_S
        self._on_trial = False  # the stride was narrowed, and the narrower one is on trial

    @property
    def clip_stride_ms(self) -> float:
        return self._strides_ms[self._step]

    @property
    def reason(self) -> str | None:
        """The fault in words if the stride is widened."""
        if self._step == 0:
            return None
        wanted_ms, stride_ms = self._strides_ms[0], self.clip_stride_ms
        return f"scoring cannot keep up: a clip is scored every {stride_ms:g} ms in place of {wanted_ms:g}"

    def take(self, lag_s: float, now_s: float) -> float:
        """Records a block that has just been scored.

        Args:
            lag_s: from the arrival of its last sample to now.
            now_s: a monotonic clock.

        Returns:
            The new stride, in ms.
        """
        if now_s - self._checked_s < CHECK_S:
            return self.clip_stride_ms
        growing = lag_s >= self._lag_s > LATE_S
        self._checked_s, self._lag_s = now_s, lag_s
        if lag_s > IN_TIME_S:
            self._calm_from_s = None
        elif self._calm_from_s is None:
            self._calm_from_s = now_s
        if growing:
            self._widen()
        elif self._calm_from_s is not None and now_s - self._calm_from_s >= self._calm_s:
            self._calm_from_s = now_s
            self._narrow()
        return self.clip_stride_ms

    def _widen(self) -> None:
        if self._on_trial:
            self._calm_s = min(2 * self._calm_s, CALM_MAX_S)
            self._on_trial = False
        self._step = min(self._step + 1, len(self._strides_ms) - 1)

    def _narrow(self) -> None:
        """Tries the next narrower stride; if the last trial succeeded, the waiting time is reset."""
        if self._on_trial:
            self._calm_s = CALM_S
        self._on_trial = self._step > 0
        self._step = max(self._step - 1, 0)
