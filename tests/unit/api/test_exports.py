"""Exports asked for by pages: what is offered, the job that writes one, what is found and fetched afterwards."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.api import Thaw
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import JobKind
from core.errors import NotFoundError, ThawError
from core.jobs.handlers import HANDLERS, Job
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> str:
    """Id of a finished run in the queue."""
    model, dataset = tiny.bert(tmp_path / "bert"), write_dataset(settings, n_rows=60)
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="lora", epochs=1.0, precision="fp32",
                    max_length=32, lora=LoraSpec(rank=4), effort="quick")
    store = Store(settings)
    (id,) = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="a run", recipe=recipe,
                                      runs_folder=settings.workspace(WORKSPACE) / "runs")])
    folder = Path(store.jobs.get(WORKSPACE, id).folder)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    return id


def work(thaw: Thaw, id: str, observer: Notes) -> dict[str, Any]:
    """What a worker does with a queued job."""
    job = thaw.runs.get(WORKSPACE, id)
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    found = HANDLERS[JobKind.EXPORT](Job(run=job, settings=thaw.settings, observer=observer, resume=False))
    assert isinstance(found, dict)
    return found


@pytest.mark.timeout(600)
def test_an_export_is_asked_for_written_by_a_job_shown_and_fetched(run: str, settings: Settings) -> None:
    thaw = Thaw(settings)
    offers = {offer.form: offer for offer in thaw.exports.offered(WORKSPACE, run)}
    assert offers["folder"].reason is None and offers["adapter"].checked
    assert thaw.exports.found(WORKSPACE, run) == []
    id = thaw.exports.start(WORKSPACE, run, "folder")
    assert thaw.exports.start(WORKSPACE, run, "folder") == id  # not twice
    assert work(thaw, id, Notes(stop_at=0)) == {} and thaw.exports.found(WORKSPACE, run) == []  # stopped
    assert not list(Path(thaw.runs.get(WORKSPACE, id).folder).iterdir())
    assert thaw.exports.cut_off(WORKSPACE, run, "folder") is None  # its job is under way
    Store(settings).queue.ask_stop(WORKSPACE, id)
    left = thaw.exports.cut_off(WORKSPACE, run, "folder")
    assert left is not None and left.whole and left.bytes > 100_000  # stopped before the certificate
    again = thaw.exports.start(WORKSPACE, run, "folder", afresh=True)
    assert again != id and thaw.runs.get(WORKSPACE, again).payload["afresh"]
    Store(settings).queue.ask_stop(WORKSPACE, again)
    id = thaw.exports.start(WORKSPACE, run, "folder")

    observer = Notes()
    assert work(thaw, id, observer)["passed"] is True
    assert observer.notes[0].startswith("Goes on with the files")
    assert thaw.exports.cut_off(WORKSPACE, run, "folder") is None
    (there,) = thaw.exports.found(WORKSPACE, run)
    assert there.form == "folder" and there.certificate is not None and there.certificate["passed"]
    assert there.said[0].startswith("Certificate: passed") and "XLMForSequenceClassification" in there.notes[0]
    name, pieces = thaw.exports.download(WORKSPACE, run, "folder")
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        names = archive.namelist()
    assert {f"{name}/config.json", f"{name}/model.safetensors", f"{name}/certificate.json"} <= set(names)
    with pytest.raises(NotFoundError):
        thaw.exports.download(WORKSPACE, run, "merged")
    with pytest.raises(NotFoundError):
        thaw.exports.download(WORKSPACE, run, "../artifact")
    with pytest.raises(ThawError):
        thaw.exports.start(WORKSPACE, run, "nothing")


def test_what_is_not_offered_says_why(run: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.export import onnx

    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "no_such_package_anywhere"))
    thaw = Thaw(settings)
    reason = next(offer.reason for offer in thaw.exports.offered(WORKSPACE, run) if offer.form == "onnx")
    assert reason is not None and "pip install no_such_package_anywhere" in reason
    with pytest.raises(ThawError) as error:
        thaw.exports.start(WORKSPACE, run, "onnx")
    assert "pip install" in error.value.why


def test_no_room_is_said_before_anything_is_written(run: str, settings: Settings, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    from core.export import exporting

    monkeypatch.setattr(exporting.shutil, "disk_usage", shutil_like(5_000_000))
    folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
    with pytest.raises(ThawError, match="no room") as error:
        exporting.export(folder, tmp_path / "out", form="merged", settings=settings, workspace=WORKSPACE)
    assert "5 MB are free" in error.value.why and not (tmp_path / "out").exists()


def shutil_like(free: int) -> Any:
    """A disk with so many bytes left."""
    from collections import namedtuple

    return lambda path: namedtuple("usage", "total used free")(10**12, 10**12 - free, free)
