"""What is told of lost audio."""

import logging
from types import SimpleNamespace

from kwsd.daemon.announcer import LOSSES_EVERY_S, Announcer


def test_losses_are_told_from_0_again_after_a_pause(caplog):
    announcer, listener = Announcer(None), SimpleNamespace(name="default", samples_lost=0, sample_rate_hz=16_000)
    caplog.set_level(logging.WARNING)
    for look, lost_s in enumerate((0, 2, 2, 0, 1)):  # the pause comes before the fourth look
        listener.samples_lost = lost_s * 16_000
        announcer.tell_losses(listener, look * LOSSES_EVERY_S)
    assert [record.message.split()[0] for record in caplog.records] == ["2.00", "1.00"]
