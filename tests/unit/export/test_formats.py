"""The registry of export formats: each file says its own name, and what cannot be written is refused before anything
is."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from core.cli import parser
from core.errors import NotFoundError, ThawError
from core.export import FILES, FORMATS
from core.export.exporting import export
from core.settings import Settings


def test_a_format_is_called_as_its_file() -> None:
    assert tuple(FORMATS) == FILES
    assert all(form.name == name and form.summary for name, form in FORMATS.items())


def test_the_command_line_offers_what_the_registry_holds() -> None:
    commands = next(action for action in parser.build()._actions if isinstance(action, argparse._SubParsersAction))
    form = next(action for action in commands.choices["export"]._actions if action.dest == "form")
    assert tuple(form.choices or ()) == FILES
    assert all(name in str(form.help) for name in FILES)


@pytest.mark.parametrize("form", FILES)
def test_a_used_folder_and_a_run_without_artifact_are_refused(form: str, tmp_path: Path) -> None:
    used, free, run = tmp_path / "used", tmp_path / "free", tmp_path / "run"
    used.mkdir()
    (used / "mine.txt").write_text("mine")
    run.mkdir()
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(ThawError, match="not an empty folder"):
        export(run, used, form=form, settings=settings, workspace="workspace-0001")
    with pytest.raises(NotFoundError, match="no artifact"):
        export(run, free, form=form, settings=settings, workspace="workspace-0001")
    assert [path.name for path in used.iterdir()] == ["mine.txt"] and not free.exists()
