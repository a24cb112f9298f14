"""A promise in docs/ names the test that shows it: the test is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", ["reliability.md", "security.md"])
def test_every_test_and_file_that_a_page_names_exists(page: str) -> None:
    """A test that is renamed or deleted takes its row along."""
    text = (ROOT / "docs" / page).read_text()
    tests = {name for file in ROOT.glob("tests/**/*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named and named <= tests, named - tests
    links = [link.partition("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    missing = [link for link in links if link and not (ROOT / "docs" / link).exists()]
    assert not missing
