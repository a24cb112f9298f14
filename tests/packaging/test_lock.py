"""What is pinned in tools/locks: all of it, with hashes, once, and from nowhere in particular.

This is the check of dependencies that needs no network; `make audit` asks a service for known vulnerabilities.
"""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
WANTED = {
    "development": [
        *PROJECT["project"]["dependencies"],
        *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
        *GROUPS["build"],
        *PROJECT["build-system"]["requires"],
    ],
    "fuzz": GROUPS["fuzz"],
    "tflite": GROUPS["tflite"],
}
ENVIRONMENTS = {
    f"{python} {machine}": {
        "python_version": python,
        "python_full_version": f"{python}.2",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for python in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
}


def entries(name: str) -> dict[str, list[str]]:
    """The requirements of a lock, each with its hashes."""
    text = (ROOT / "tools" / "locks" / f"{name}.txt").read_text().replace("\\\n", " ")
    return {line.split(" --hash=")[0].strip(): line.split(" --hash=")[1:] for line in text.splitlines()}


def applies(requirement: Requirement, environment: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(ENVIRONMENTS[environment])


def test_every_lock_is_checked() -> None:
    assert {path.name for path in (ROOT / "tools" / "locks").iterdir()} == {f"{name}.txt" for name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_each_line_is_one_exact_version_with_hashes_and_nothing_else(name: str) -> None:
    """No address of an index or a file, no option, no comment, no range, no hash but SHA-256."""
    assert entries(name)
    for line, hashes in entries(name).items():
        requirement = Requirement(line)
        assert requirement.url is None and not requirement.extras, line
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(requirement.specifier)), line
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes), line
        assert len(set(hashes)) == len(hashes), line


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", WANTED)
def test_no_package_is_pinned_twice_for_one_environment(name: str, environment: str) -> None:
    pinned = [canonicalize_name(each.name) for each in map(Requirement, entries(name)) if applies(each, environment)]
    assert [package for package, count in Counter(pinned).items() if count > 1] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", WANTED)
def test_whatever_pyproject_asks_for_is_pinned_within_its_range(name: str, environment: str) -> None:
    """So a dependency that is added or raised without `make lock` is found here, not on somebody's machine."""
    pinned = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in map(Requirement, entries(name))
        if applies(each, environment)
    }
    wanted = [each for each in map(Requirement, WANTED[name]) if applies(each, environment)]
    assert wanted
    for requirement in wanted:
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in tools/locks/{name}.txt: make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: {version} is pinned: make lock"
        )
