"""Makes the answers in recognize_commands.json again.

    python -m tests.golden.regenerate_recognize

The scripted cases (settings, times, scores) stay; their answers come from the transcription of TensorFlow's C++ class
in tests/recognize/test_recognize_commands.py, which shares no line with kwsd. The file's own answers were first made
by two further transcriptions, one compiled with float32 and a standard-library sort.
"""

import json
from pathlib import Path
from typing import Any

from tests.test_recognize import Oracle

PATH = Path(__file__).with_name("recognize_commands.json")
ERRORS = {"count": "wrong_result_count", "time": "time_before_oldest_result"}


def answers(case: dict[str, Any]) -> list[dict[str, Any]]:
    """What the class says at each step of a case."""
    said = case["settings"]
    oracle = Oracle(
        said["labels"],
        said["average_window_duration_ms"],
        said["detection_threshold"],
        said["suppression_ms"],
        said["minimum_count"],
        "tensorflow",
        {},
    )
    expected = []
    for step in case["steps"]:
        try:
            label, score, fires = oracle.process(step["scores"], step["time_ms"])
        except ValueError as error:
            expected.append({"error": ERRORS[str(error)]})
        else:
            expected.append({"label": label, "score": round(float(score), 6), "is_new_command": fires})
    return expected


def main() -> None:
    golden = json.loads(PATH.read_text())
    for case in golden["cases"]:
        for step, expected in zip(case["steps"], answers(case), strict=True):
            step["expect"] = expected
    head = {key: value for key, value in golden.items() if key != "cases"}
    cases = ",\n".join(json.dumps(case) for case in golden["cases"])  # a line each, so that a diff names the case
    PATH.write_text(f'{json.dumps(head)[:-1]}, "cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    main()
