"""Importing through the façade: submit, let a worker's code do it, look at report and dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.api import Thaw
from core.domain.run import JobKind, Status
from core.errors import DataError, NotFoundError
from core.jobs import process
from core.jobs.worker import run_job
from core.settings import Settings
from core.store import Store


@pytest.fixture
def api(tmp_path: Path) -> Thaw:
    return Thaw(Settings(home=tmp_path / "home", hub=False))


def work(api: Thaw) -> None:
    """What supervisor and worker do for the next queued job, in this process."""
    claim = Store(api.settings).queue.claim(supervisor="test", host=process.host(), slots=1)
    assert claim is not None
    run_job(claim.run.id, fence=claim.fence, settings=api.settings)


def write(path: Path, labels: str = "ab", n: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"row number {i} with words,{labels[i % len(labels)]}\n" for i in range(n))
    path.write_text("text,label\n" + "".join(rows))
    return path


def test_a_file_is_imported_by_a_job(api: Thaw, tmp_path: Path) -> None:
    ws = api.new_workspace()
    job = api.data.submit_import(ws, write(tmp_path / "a.csv"), name="Mine")
    assert (api.runs.get(ws, job).kind, api.runs.get(ws, job).status) == (JobKind.IMPORT, Status.QUEUED)
    assert api.data.job_report(ws, job) is None and api.data.job_dataset(ws, job) is None
    work(api)
    assert api.runs.get(ws, job).status is Status.DONE
    dataset = api.data.job_dataset(ws, job)
    assert dataset is not None and dataset.name == "Mine" and dataset.rows_kept == 60
    report = api.data.job_report(ws, job)
    assert report is not None and report == api.data.report(ws, dataset.id)
    events = api.runs.progress(ws, job).events
    assert any(event.kind == "progress" and event.data["note"] for event in events)


def test_a_refused_file_ends_with_the_three_parts_and_its_report(api: Thaw, tmp_path: Path) -> None:
    ws = api.new_workspace()
    job = api.data.submit_import(ws, write(tmp_path / "a.csv", labels="a"), name="Mine")
    work(api)
    run = api.runs.get(ws, job)
    assert run.status is Status.FAILED and run.failure is not None and "same label" in run.failure.what
    report = api.data.job_report(ws, job)
    assert report is not None and [finding.code for finding in report.errors] == ["one-class"]
    assert api.data.job_dataset(ws, job) is None


def test_jobs_of_other_workspaces_are_not_found(api: Thaw, tmp_path: Path) -> None:
    ws, other = api.new_workspace(), api.new_workspace()
    job = api.data.submit_import(ws, write(tmp_path / "a.csv"), name="Mine")
    for call in (api.data.job_report, api.data.job_dataset):
        with pytest.raises(NotFoundError):
            call(other, job)


def test_importing_does_not_wait_for_training(api: Thaw, tmp_path: Path) -> None:
    ws = api.new_workspace()
    queue = Store(api.settings).queue
    recipe = api.experiments.default_recipe(ws, dataset="bbc-news", model="minilm", method="probe")
    api.experiments.submit(ws, [recipe], name="training")
    api.data.submit_import(ws, write(tmp_path / "a.csv"), name="Mine")
    claims = [queue.claim(supervisor="test", host=process.host(), slots=1) for _ in range(2)]
    assert [claim and claim.run.kind for claim in claims] == [JobKind.TRAIN, JobKind.IMPORT]


def test_hub_and_paste(api: Thaw) -> None:
    ws = api.new_workspace()
    assert "THAW_HUB" in (api.data.hub_reason() or "")
    with pytest.raises(DataError):
        api.data.fetch_hub_set(ws, "../secret")
    job = api.data.fetch_hub_set(ws, "fancyzhx/ag_news", split="train")
    work(api)
    failure = api.runs.get(ws, job).failure
    assert failure is not None and "fancyzhx/ag_news" in failure.what and failure.remedy
    assert api.data.fetched_upload(ws, job) is None
    path = api.data.keep_paste(ws, "text\tlabel\n" + "".join(f"pasted row {i}\t{'ab'[i % 2]}\n" for i in range(40)))
    pasted = api.data.submit_import(ws, path, name="Pasted", discard=True)
    work(api)
    dataset = api.data.job_dataset(ws, pasted)
    assert dataset is not None and dataset.rows_kept == 40 and not path.exists()
