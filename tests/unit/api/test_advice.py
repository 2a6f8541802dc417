"""Advice of a workspace: own runs are found, test rows choose nothing, and the experiment fits the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.advice import Ground
from core.api import Thaw
from core.api.advice import SMALLER, Settling
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.errors import NotFoundError
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import put_facts, put_results

ROWS = 300


@pytest.fixture
def data(settings: Settings) -> Dataset:
    put_facts(settings)
    return write_dataset(settings, n_rows=90)


def put_run(settings: Settings, dataset: Dataset, method: str, *, right: float, seed: int = 0,
            test_right: float = 0.5) -> Path:
    """A finished run whose validation rows are right in so many cases."""
    store = Store(settings)
    experiment = store.experiments.create(WORKSPACE, method)
    [id] = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name=method, experiment=experiment,
                                     recipe=Recipe(dataset=dataset.id, base_model="minilm", method=method, seed=seed),
                                     runs_folder=settings.workspace(WORKSPACE) / "runs")])
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    assert claim is not None
    store.queue.begin(id, fence=claim.fence, pid=1, pid_created=0.0)
    folder = Path(claim.run.folder)
    put_results(folder, dataset, wrong=0)
    for split, share in (("validation", right), ("test", test_right)):
        put_rows(folder, split, share)
    store.queue.finish(id, fence=claim.fence, status=Status.DONE)
    return folder


def put_rows(folder: Path, split: str, share: float) -> None:
    labels = np.arange(ROWS) % 3
    guesses = np.where(np.arange(ROWS) < share * ROWS, labels, (labels + 1) % 3)
    pq.write_table(pa.table({"row_id": pa.array(range(ROWS), pa.int64()), "label": pa.array(labels, pa.int32()),
                             "prediction": pa.array(guesses, pa.int32()), "probabilities": [[0.4, 0.3, 0.3]] * ROWS}),
                   folder / f"predictions-{split}.parquet")


def test_own_runs_on_these_data_decide_and_others_do_not(settings: Settings, data: Dataset) -> None:
    thaw = Thaw(settings)
    before = thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm")
    assert before.ground is not Ground.OWN and before.own is None
    put_run(settings, data, "probe", right=0.6)
    assert thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm").own is None, "one method says nothing of others"
    put_run(settings, data, "full", right=0.95)
    found = thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm")
    assert (found.method, found.ground) == ("full", Ground.OWN)
    assert found.situation.probe == pytest.approx(0.6), "how near the data are to the base model's world"
    assert thaw.advice.of("another-workspace-0123", dataset="bbc-news", model="minilm").own is None
    assert thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm", budget=20).own is None, "other labels"


def test_runs_of_a_method_that_this_version_does_not_know_are_left_out(settings: Settings, data: Dataset) -> None:
    for method, right in (("retired", 0.99), ("lora", 0.9), ("full", 0.7)):
        put_run(settings, data, method, right=right)
    found = Thaw(settings).advice.of(WORKSPACE, dataset=data.id, model="minilm")
    assert found.method == "lora" and found.own is not None
    assert [each.method for each in found.own.methods] == ["lora", "full"]


def test_test_rows_have_no_part_in_it(settings: Settings, data: Dataset) -> None:
    folders = [put_run(settings, data, method, right=right) for method, right in (("lora", 0.9), ("full", 0.7))]
    thaw = Thaw(settings)
    before = thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm")
    for folder, share in zip(folders, (0.0, 1.0), strict=True):
        put_rows(folder, "test", share)
    assert thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm") == before
    assert before.method == "lora"


def test_the_experiment_grows_with_the_time_and_is_the_shortest_where_none_fits(settings: Settings,
                                                                              data: Dataset) -> None:
    thaw = Thaw(settings)
    found = thaw.advice.of(WORKSPACE, dataset=data.id, model="minilm")
    sizes = []
    for minutes in (0.01, 3, 10, 10_000):
        settling = thaw.advice.settling(WORKSPACE, found, dataset=data.id, model="minilm", minutes=minutes)
        assert settling is not None and settling.plan.seconds is not None
        assert settling.fits == (settling.plan.seconds <= 60 * minutes)
        assert settling.plan.experiment.arms[0].recipe.method == found.method
        sizes.append(len(settling.plan.runs))
    assert sizes == sorted(sizes) and sizes[0] == 2 and sizes[-1] == 5 * (1 + len(found.rivals))


def test_where_nothing_fits_with_all_labels_fewer_are_proposed_and_said(settings: Settings) -> None:
    put_facts(settings)
    many = write_dataset(settings, n_rows=6_000)
    thaw = Thaw(settings)
    found = thaw.advice.of(WORKSPACE, dataset=many.id, model="minilm")

    def settle(minutes: float) -> Settling:
        settling = thaw.advice.settling(WORKSPACE, found, dataset=many.id, model="minilm", minutes=minutes)
        assert settling is not None and settling.plan.seconds is not None
        return settling

    shortest = settle(0.01)
    assert not shortest.fits and shortest.budget is None and shortest.plan.seconds is not None
    few = settle(0.8 * shortest.plan.seconds / 60)
    labels = many.rows("train") + many.rows("validation")
    assert few.fits and few.budget in {round(share * labels) for share in SMALLER}
    assert {arm.recipe.label_budget for arm in few.plan.experiment.arms} == {few.budget}
    assert settle(10_000).budget is None, "with time enough all labels are taken"


def test_what_is_not_known_says_what_to_do(settings: Settings, data: Dataset) -> None:
    with pytest.raises(NotFoundError, match="Nothing is known"):
        Thaw(settings).advice.of(WORKSPACE, dataset=data.id, model="someone/some-model")
