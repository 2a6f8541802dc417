"""The lock files pin what requirements allow, each version with checksums, and both agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def pinned(path: Path) -> dict[str, str]:
    """Package -> version; every one of them must carry a checksum."""
    found = {}
    for block in re.split(r"\n(?=\S)", path.read_text()):
        if block.startswith("#") or not block.strip():
            continue
        name, version = re.match(r"([\w.\-]+)(?:\[.*?\])?==([^\s;]+)", block).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in block, name
        found[canonicalize_name(name)] = version
    return found


def required(path: Path) -> list[Requirement]:
    return [Requirement(line) for line in path.read_text().splitlines() if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize(("wanted", "lock"), [("requirements.txt", "requirements.lock"),
                                              ("requirements.txt", "tests/requirements.lock"),
                                              ("tests/requirements.txt", "tests/requirements.lock")])
def test_every_requirement_is_pinned_within_its_bounds(wanted: str, lock: str) -> None:
    there = pinned(ROOT / lock)
    for requirement in required(ROOT / wanted):
        version = there[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"run make lock: {requirement}"


def test_the_app_and_its_tests_run_with_the_same_versions() -> None:
    app, tests = pinned(ROOT / "requirements.lock"), pinned(ROOT / "tests" / "requirements.lock")
    assert app.items() <= tests.items()
