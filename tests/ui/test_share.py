"""What is handed on from the pages: the button of Compare, an experiment and a run."""

import pytest

from core.api import Thaw
from tests.conftest import WORKSPACE
from tests.ui.conftest import shown


def downloads(at):
    return {button.proto.label for button in at.get("download_button")}


def test_compare_an_experiment_and_a_run_offer_one_file(app, ended):
    for page, params in (("compare", {}), ("run", {"run": ended.done[0]})):
        at = app(page, **params)
        assert not at.exception and not at.error
        assert "One HTML file" in downloads(at)
        assert "without this server" in shown(at)
    at = app("run", run=ended.failed)
    assert "One HTML file" not in downloads(at)


@pytest.fixture
def came(settings, ended, tmp_path):
    """The same runs once more, imported; the id of their experiment."""
    thaw = Thaw(settings)
    thaw.share.archive(WORKSPACE, [*ended.done, ended.failed], tmp_path / "a.zip")
    return thaw.share.take_in(WORKSPACE, tmp_path / "a.zip")


def keys(at):
    return {button.key for button in at.main.button}


def test_imported_runs_are_marked_and_offer_nothing_that_changes_them(app, came, facts):
    at = app("runs")
    assert not at.exception and not at.error
    assert "Tiny, MiniLM (imported)" in shown(at).replace("\\", "")
    assert "Import an archive" in [part.label for part in at.expander]
    at = app("experiment", experiment=came.experiments[0])
    assert not at.exception and not at.error
    assert "Imported: trained elsewhere" in shown(at)
    assert {"fork_imported", "delete_all"} <= keys(at) and not {"resume_all", "rename_all", "duplicate"} & keys(at)
    at = app("run", run=came.runs[0])
    assert not at.exception and not at.error
    assert "Imported: trained elsewhere" in shown(at)
    assert not {"resume", "fork", "rename", "delete", "stop"} & keys(at)
    at.button(key="fork_imported").click().run()
    assert not at.exception and not at.error and "Train" in [title.value for title in at.title]


def test_what_an_imported_recipe_needs_is_named(app, came, settings, dataset, facts):
    Thaw(settings).data.delete(WORKSPACE, dataset.id)
    at = app("run", run=came.runs[0])
    at.button(key="fork_imported").click().run()
    assert not at.exception
    assert "tiny (90 rows) is not in this workspace" in "".join(error.value for error in at.error)


def test_compare_sets_an_imported_run_beside_an_own_one(app, ended, came):
    at = app("compare", runs=f"{ended.done[1]},{came.runs[0]}")
    assert not at.exception and not at.error
    assert "(imported)" in " ".join(at.multiselect[0].options)
    assert "Archive for another Thaw" in downloads(at)
