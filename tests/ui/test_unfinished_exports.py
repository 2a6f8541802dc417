"""An export that was cut off is gone on with, or begun anew, from the run's page."""

from pathlib import Path

from core import files
from core.api import Thaw
from core.domain.run import JobKind
from core.export import places, unfinished
from core.store import Store
from tests.conftest import WORKSPACE
from tests.ui.conftest import shown


def cut_off(run: str, settings, *, whole: bool) -> Path:
    """What an attempt that was killed leaves."""
    place = places.unfinished(Path(Thaw(settings).runs.get(WORKSPACE, run).folder), "adapter")
    with unfinished.opened(place, {"form": "adapter"}) as opened:
        opened.once(unfinished.WRITTEN if whole else "weights",
                    lambda: (opened.files / "README.md").write_bytes(b"x" * 2_000_000))
    return place


def test_going_on_and_starting_over_are_offered_side_by_side(app, ended, settings):
    run = ended.done[1]
    assert [b.label for b in app("run", run=run).button if b.key == "export_adapter"] == ["Export as adapter"]
    cut_off(run, settings, whole=False)
    at = app("run", run=run)
    labels = {button.key: button.label for button in at.button}
    assert labels["export_adapter"] == "Go on" and labels["export_afresh_adapter"] == "Start over"
    assert "2 MB are written: a part of its files." in shown(at)
    at.button(key="export_adapter").click().run()
    assert not at.exception
    (job,) = Store(settings).jobs.list(WORKSPACE, kind=JobKind.EXPORT)
    assert job.payload["as"] == "adapter" and "afresh" not in job.payload
    assert {"export_adapter", "export_afresh_adapter"}.isdisjoint(button.key for button in at.button)  # it is under way
    assert "are written" not in shown(at)


def test_starting_over_says_so_to_the_job(app, ended, settings):
    place = cut_off(ended.done[1], settings, whole=True)
    at = app("run", run=ended.done[1])
    assert "all of its files; only the certificate is left to do" in shown(at)
    at.button(key="export_afresh_adapter").click().run()
    (job,) = Store(settings).jobs.list(WORKSPACE, kind=JobKind.EXPORT)
    assert job.payload["afresh"] is True and files.read_json(place / unfinished.NOTES)  # the job throws it away
