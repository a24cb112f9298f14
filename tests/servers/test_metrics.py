"""Metrics: what Prometheus reads, by its own parser and its own checker, and the dashboard that shows them."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kwsd.servers.http.metrics import LATENCY_BUCKETS_S, Heard, Metrics
from kwsd.status import State
from tests.servers.conftest import Daemon, Served
from tests.servers.test_http import heard

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "examples" / "grafana-kwsd.json"
Serve = Callable[..., Served]


def scraped(served: Served) -> str:
    for label, latency_ms in [("stop", 31.4), ("stop", 700.0), ("go", None), ('a"\\\nb', 5000.0)]:
        served.bus.publish(heard(label=label, latency_ms=latency_ms))
    return served.get("/metrics").body.decode()


def test_the_values_are_those_of_the_snapshot_and_of_the_events(serve: Serve) -> None:
    text = scraped(serve())
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["kwsd_audio_seconds_total",] == 9.5
    assert samples["kwsd_samples_lost_total",] == 320
    assert samples["kwsd_clips_scored_total",] == 230
    assert samples["kwsd_stride_seconds",] == 0.04
    assert samples["kwsd_level_dbfs",] == -41.5
    assert samples["kwsd_armed_words",] == 1
    assert samples["kwsd_detections_total", "stop"] == 2
    assert samples["kwsd_detections_total", 'a"\\\nb'] == 1
    assert samples["kwsd_sink_events_total", "sent", "stdout"] == 2
    assert samples["kwsd_latency_seconds_bucket", "0.05"] == 1
    assert samples["kwsd_latency_seconds_bucket", "1.0"] == 2
    assert samples["kwsd_latency_seconds_bucket", "+Inf"] == samples["kwsd_latency_seconds_count",] == 3
    states = [samples["kwsd_state", state] for state in State]
    assert sum(states) == samples["kwsd_state", "listening"] == 1


def test_buckets_count_what_is_at_most_so_late() -> None:
    seen = Heard()
    for limit in LATENCY_BUCKETS_S:
        seen.take(heard(latency_ms=1000 * limit))
    assert [count for _, count in seen.buckets()] == [*range(1, len(LATENCY_BUCKETS_S) + 1), len(LATENCY_BUCKETS_S)]


def test_a_file_whose_name_is_not_utf_8_may_be_the_device() -> None:
    snapshot = Daemon().snapshot() | {"device": "a\udcff.flac"}
    page, _ = Metrics(lambda: snapshot, Heard()).page("")
    assert b'device="a?.flac"' in page


@pytest.mark.parametrize("accept", ["", "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"])
def test_it_speaks_what_the_scraper_asks_for(serve: Serve, accept: str) -> None:
    answer = serve().get("/metrics", Accept=accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(accept.partition(";")[0] or "text/plain")


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20)
    | st.from_regex(r"[a-z]{1,3}", fullmatch=True)
)
@example("x.y")
def test_any_version_that_the_scraper_accepts_is_answered(version: str) -> None:
    for kind in ("application/openmetrics-text", "text/plain"):
        body, content_type = Metrics(Daemon().snapshot, Heard()).page(f"{kind};version={version};escaping={version}")
        assert body.startswith(b"# HELP") and content_type


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)")
def test_promtool_finds_nothing_to_complain_about(serve: Serve) -> None:
    text = scraped(serve())
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_dashboard_asks_for_metrics_that_there_are(serve: Serve) -> None:
    text = scraped(serve())
    there = {name for name in re.findall(r"^(\w+)(?:\{| )", text, re.MULTILINE)}
    board = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"kwsd_\w+", target["expr"])
    }
    assert len(asked) > 8
    assert asked <= there
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
