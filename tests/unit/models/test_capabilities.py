"""What docs/methods.json says of methods and families is whole, and docs/methods.md is drawn from it. That it is what
inspection finds of each family is held by test_families.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.models import methods
from tests import capabilities, families

STORED = capabilities.stored()


def test_every_family_and_every_method_is_in_the_matrix() -> None:
    assert list(STORED["families"]) == sorted(families.FAMILIES) and list(STORED["methods"]) == list(methods.REGISTRY)
    refused = {name for says in STORED["families"].values() for name in says["refused"]}
    assert {"qlora", "lora", "bitfit", "shira"} <= refused <= set(methods.REGISTRY)
    applied = {name for says in STORED["families"].values() for name in methods.REGISTRY if name not in says["refused"]}
    assert applied == set(methods.REGISTRY)


@pytest.mark.parametrize("name", methods.REGISTRY)
def test_what_is_said_of_a_method_is_what_its_card_and_the_exports_say(name: str) -> None:
    assert STORED["methods"][name] == capabilities.of_method(name)


def test_the_page_is_drawn_from_the_matrix() -> None:
    assert capabilities.PAGE.read_text(encoding="utf-8") == capabilities.drawn(STORED)


def test_a_family_that_is_probed_again_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {"methods": {}, "families": {"z": {"architecture": "Z", "tasks": [], "refused": {}}}}
    monkeypatch.setattr(capabilities, "STORED", tmp_path / "methods.json")
    monkeypatch.setattr(capabilities, "PAGE", tmp_path / "methods.md")
    capabilities.STORED.write_text(json.dumps(known), encoding="utf-8")
    found = {"architecture": "A", "tasks": ["language-modelling"], "refused": {"lora": "a | b", "dora": "a | b"}}
    capabilities.write({"a": found})
    text = capabilities.PAGE.read_text(encoding="utf-8")
    assert list(capabilities.stored()["families"]) == ["a", "z"] and capabilities.stored()["families"]["a"] == found
    assert "| a (A) | `lora`, `dora` | a / b |" in text and "applies to 1 of 2 families: z." in text
