"""The README names what there is: every setting, every command, and commands that exist."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from core.__main__ import HANDLERS
from core.cli import parser
from core.models.methods import REGISTRY
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [spec.name for spec in dataclasses.fields(Settings)])
def test_every_setting_is_listed(name: str) -> None:
    assert f"`THAW_{name.upper()}`" in README


def test_no_setting_is_listed_that_does_not_exist() -> None:
    known = {f"THAW_{spec.name.upper()}" for spec in dataclasses.fields(Settings)}
    assert set(re.findall(r"`(THAW_[A-Z_]+)`", README)) <= known


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_has_a_handler_and_is_shown() -> None:
    commands = next(action for action in parser.build()._actions if action.dest == "command")
    for command in commands.choices or ():
        assert f"core {command}" in README, command
    assert len(HANDLERS) == len(set(HANDLERS.values()))


def test_every_method_is_described() -> None:
    for name in REGISTRY:
        assert f"`{name}`" in README


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_guide_to_adding_names_files_and_names_that_exist() -> None:
    """docs/adding.md: every path is there, and each registry line stands in the file that is said to hold it."""
    guide = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:core|pages|tests|docs)/[\w./]*)`", guide)
    assert len(paths) > 15
    for path in paths:
        assert (ROOT / path).exists(), path
    for name, path in re.findall(r"`([A-Z]+)` in `([\w./]+)`", guide):
        assert re.search(rf"^{name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (name, path)
