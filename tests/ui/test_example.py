"""The recorded example in the app: the way in from an empty data folder, nothing to change, the way out."""

import pytest

from core import files
from core.api import RECORDED, Thaw
from tests.conftest import WORKSPACE
from tests.ui.conftest import shown


def links(at):
    """(page, query) of every link on the page."""
    return [(link.proto.page, link.proto.query_string) for link in at.get("page_link")]


def values(part):
    return [element.value for kind in ("markdown", "caption") for element in part.get(kind)]


@pytest.fixture
def example(app):
    """`example("compare")`: that page of the recorded example, opened from the workspace of the tests."""
    return lambda page, **params: app(page, **{"ws": RECORDED, "own": WORKSPACE, **params})


@pytest.mark.parametrize("page", ["home", "data", "train", "runs", "compare", "features"])
def test_every_empty_page_offers_the_comparison_and_the_example(app, page):
    at = app(page)
    if page != "train":  # which offers the comparison as its form
        assert at.button(key="first_comparison").label == "Compare on BBC News with MiniLM"
    way_in = f"ws={RECORDED}&own={WORKSPACE}&experiment="
    assert any(name == "experiment" and query.startswith(way_in) for name, query in links(at))


def test_the_first_layer_of_home_says_what_and_how_long_and_keeps_the_machine_for_later(app, settings):
    device = {"kind": "cpu", "name": "X", "memory_bytes": 8 * 10**9, "cores": 2, "fp32_gflops": 100.0,
              "bf16_gflops": 300.0, "precision": "bf16", "versions": {}, "measured": 1.0}
    files.write_json(settings.home / "device.json", device)
    at = app("home")
    folded = [words for part in at.expander for words in values(part)]
    first = " ".join(words for words in values(at.columns[0]) if words not in folded)
    assert "Six ways to train" in first and "about" in first and "86 MB are fetched once" in first
    assert not any(word in first for word in ("bf16", "fp32", "SHA-256"))
    assert "bf16" in shown(at) and "SHA-256" in shown(at)


@pytest.mark.parametrize("page", ["compare", "features", "runs", "data"])
def test_pages_show_it_marked_as_recorded_elsewhere(example, page):
    at = example(page)
    assert not at.exception and not at.error
    text = shown(at)
    assert "Not your runs" in text and "Nothing can be changed" in text
    assert "From scratch" in text or "BBC News" in text


def test_a_run_of_it_offers_nothing_that_changes_it(example, settings):
    run = Thaw(settings).recorded_example().runs.all(RECORDED)[0]
    at = example("run", run=run.id)
    assert not at.exception and not at.error
    assert "Test accuracy" in [metric.label for metric in at.metric]
    assert not {"resume", "fork", "rename", "delete", "stop"} & {button.key for button in at.button}


def test_its_dataset_is_looked_at_and_not_mended(example, settings):
    dataset = Thaw(settings).recorded_example().data.all(RECORDED)[0]
    at = example("dataset", dataset=dataset.id)
    assert not at.exception and not at.error
    assert "Import report" in shown(at) and "Rows by class and split" in shown(at)
    assert {button.key for button in at.main.button} <= {"close_example"} | {
        button.key for button in at.main.button if str(button.key).startswith("example_")}


def test_nothing_is_started_in_it_and_the_way_back_leads_home(example):
    at = example("train")
    assert "Nothing can be started in the recorded example" in shown(at)
    at.button(key="leave_example").click().run()
    assert not at.exception
    assert at.session_state["ws"] == WORKSPACE and at.title[0].value == "Thaw"


def test_home_leaves_it(example):
    at = example("home")
    assert at.session_state["ws"] == WORKSPACE and "Not your runs" not in shown(at)


def test_what_was_chosen_in_the_own_workspace_is_not_carried_into_it(app, ended):
    at = app("run", run=ended.done[0])
    at.query_params["ws"] = RECORDED
    at.query_params["run"] = ""
    at.switch_page("pages/compare.py")
    at.run()
    assert not at.exception and not at.error
    assert at.session_state["own_ws"] == WORKSPACE
