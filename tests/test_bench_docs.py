"""docs/performance.md names every key that `make bench` prints."""

import json
import re
from pathlib import Path

from tools import bench_microphone

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "performance.md").read_text()


def test_every_key_of_the_printed_line_is_in_the_table():
    line = json.loads(re.search(r"```\n(\{.*?\})\n```", PAGE, re.DOTALL)[1])
    nothing = bench_microphone.Cost(0.0, 0.0, 0.0)
    assert bench_microphone.figures(nothing, nothing._replace(cpu_s=1.0)).keys() <= line.keys()
    table = "".join(row for row in PAGE.splitlines() if row.startswith("| `"))
    patterns = [name.replace("*", ".*") for name in re.findall(r"`([\w*]+)`", table)]
    for name in line:
        stem = re.sub(r"^paced_|_(median|max)$", "", name)
        assert any(re.fullmatch(pattern, each) for pattern in patterns for each in (name, stem, f"{stem}_median")), name
