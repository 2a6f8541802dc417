"""What is handed on from the pages: the button of Compare, an experiment and a run."""

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
