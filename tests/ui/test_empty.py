"""Every page from an empty data folder: no exception, and the next step is on screen."""

import pytest
from streamlit.testing.v1 import AppTest

from core.api import Thaw
from core.models.methods import REGISTRY
from pages._ui.sitemap import PAGES
from tests.conftest import WORKSPACE
from tests.ui.conftest import ENTRYPOINT, heading, shown

WHOLE = [name for name, entry in PAGES.items() if not entry.shows]
ONE_THING = {name: entry.shows for name, entry in PAGES.items() if entry.shows}
NEXT = {"home": "No runs yet", "data": "No dataset yet", "train": "Before the start", "runs": "No runs yet",
        "ask": "Before the start",
        "compare": "Nothing to compare yet", "features": "There are no runs yet",
        "try_it": "There is no model to try yet", "strength": "There are no models yet"}
"""The next step, on pages that have little to show before there are data and runs."""


def assert_empty(at, page):
    assert not at.exception
    assert not at.error
    assert at.title[0].value == heading(page)
    assert NEXT.get(page, "") in shown(at)


@pytest.mark.parametrize("page", WHOLE)
def test_a_page_opens_from_an_empty_folder_and_names_the_next_step(app, page):
    assert_empty(app(page), page)


@pytest.mark.parametrize("page", list(ONE_THING))
def test_an_unknown_id_is_refused_in_three_parts(app, page):
    at = app(page, **{ONE_THING[page]: "nope"})
    assert not at.exception
    assert len(at.error) == 1
    assert ("another version" if page == "lesson" else "another workspace") in at.error[0].value


@pytest.mark.parametrize("workspace", ["../../etc", "short"])
def test_a_bad_workspace_address_is_refused_and_makes_no_folder(app, settings, workspace):
    app()
    at = AppTest.from_file(ENTRYPOINT, default_timeout=90)
    at.query_params["ws"] = workspace
    at.run()
    assert not at.exception
    assert "not valid" in at.error[0].value
    assert not settings.home.joinpath("workspaces", workspace).exists()


def test_a_first_visit_gets_a_workspace_that_cannot_be_guessed(app):
    app()
    at = AppTest.from_file(ENTRYPOINT, default_timeout=90).run()
    assert len("".join(at.query_params["ws"])) >= 16


def test_the_home_button_queues_one_run_a_method_and_opens_their_experiment(app, settings):
    at = app()
    at.button(key="first_comparison").click().run()
    assert not at.exception
    assert not at.error
    runs = Thaw(settings).runs.all(WORKSPACE)
    assert [r.recipe.method for r in reversed(runs)] == ["probe", "partial", "lora", "qlora", "full", "scratch"]
    assert at.title[0].value == "BBC News, MiniLM"
    for run in runs:
        assert REGISTRY[run.recipe.method].card.summary in shown(at)


@pytest.mark.parametrize("page", WHOLE)
def test_a_page_opened_first_on_a_cold_server_goes_through_the_entrypoint(cold, page):
    at = AppTest.from_file(ENTRYPOINT, default_timeout=90)
    at.query_params["ws"] = WORKSPACE
    assert_empty(at.switch_page(f"pages/{page}.py").run(), page)


def test_a_page_without_the_entrypoint_goes_through_it(app, monkeypatch):
    """The guard: a page file that Streamlit runs on its own hands over to the entrypoint before it draws anything."""
    from pages._ui import shell

    calls = []
    monkeypatch.setattr(shell.st, "navigation", lambda *a, **k: calls.append("navigation"))
    monkeypatch.setattr(shell.st, "rerun", lambda: calls.append("rerun"))
    monkeypatch.setattr(shell.st, "session_state", {})
    shell.require_entrypoint()
    assert calls == ["navigation", "rerun"]
    shell.mark_entrypoint()
    shell.require_entrypoint()
    assert calls == ["navigation", "rerun"]
    shell.require_entrypoint()
    assert len(calls) == 4
