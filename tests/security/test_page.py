"""docs/security.md names each target of fuzzing."""

from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_each_target_of_fuzzing_is_on_the_page() -> None:
    assert [name for name in TARGETS if name not in PAGE] == []
