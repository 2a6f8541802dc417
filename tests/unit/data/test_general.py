"""General texts for replay: always the same, and none of the forgetting panel."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core import files
from core.data import fetch, general, panel
from core.errors import DataError
from core.settings import Settings
from tests.unit.data.test_panel import wheel  # noqa: F401 - a fixture


def test_they_are_other_texts_of_two_of_the_panels_kinds(wheel: Path) -> None:  # noqa: F811
    made = general.from_wheel(wheel, 100)
    assert made == general.from_wheel(wheel, 100)
    held_out = panel.from_wheel(wheel, 100)
    assert {text.domain for text in made} == set(general.DOMAINS) < {text.domain for text in held_out}
    own = [text.text for text in made]
    assert len(own) == len(set(own)) and not set(made) & set(held_out)
    assert all(600 <= len(text) <= panel.CHARACTERS for text in own)
    prose = [text for text in made if text.domain == "prose"]
    assert len(prose) == 60 - panel.DOCUMENTS, "all that the panel leaves, where there are fewer than a hundred"


def test_they_are_read_once_and_checked(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    made, settings = general.from_wheel(wheel, 100), Settings(home=tmp_path / "home")
    (settings.assets / "packages").mkdir(parents=True)
    place = settings.assets / "packages" / wheel.name
    files.move(wheel, place)
    monkeypatch.setattr(panel, "PACKAGE", dataclasses.replace(panel.PACKAGE, sha256=files.sha256(place)))
    with pytest.raises(DataError, match="general texts are not those that Thaw knows"):
        general.load(settings=settings)
    monkeypatch.setattr(general, "SHA256", panel.digest(made))
    assert general.load(settings=settings) == made
    place.write_bytes(b"gone")
    assert general.load(settings=settings) == made


@pytest.mark.slow
def test_those_of_the_package_are_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "fetch_package", fetch.fetch_package)  # for real, unlike elsewhere
    made = general.load(settings=Settings(home=tmp_path, hub=False))
    assert len(made) == 2 * general.TEXTS and panel.digest(made) == general.SHA256
