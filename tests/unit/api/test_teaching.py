"""The mask of a dataset and a model: asked for, made by a worker's handler, looked at; the one that training uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.api import Thaw
from core.domain.run import JobKind
from core.jobs.handlers import HANDLERS, Job
from core.models import inspect as model_inspect
from core.settings import Settings
from core.tasks import taught_rows, teaching
from core.training.session import read_rows
from tests import chat_templates
from tests.conftest import WORKSPACE, Notes, write_language_dataset


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_templates.talker(tmp_path_factory.mktemp("models") / "talker", "smollm2", length=256)


def test_the_mask_is_asked_for_made_and_looked_at(talker: Path, settings: Settings) -> None:
    thaw, dataset, model = Thaw(settings), write_language_dataset(settings, n_rows=30, chat=True), str(talker)
    assert thaw.teaching.look(WORKSPACE, dataset.id, model, 200) is None
    id = thaw.teaching.ask(WORKSPACE, dataset.id, model, 200)
    assert thaw.teaching.ask(WORKSPACE, dataset.id, model, 200) == id  # one is enough
    job = thaw.teaching.job(WORKSPACE, dataset.id, model, 200)
    assert job is not None and job.id == id and job.kind is JobKind.MASK
    HANDLERS[JobKind.MASK](Job(run=job, settings=settings, observer=Notes(), resume=False))

    found = thaw.teaching.look(WORKSPACE, dataset.id, model, 200)
    assert found is not None and found["schema_version"] == 1 and found["max_length"] == 200
    assert thaw.teaching.look(WORKSPACE, dataset.id, model, 128) is None  # of another length
    assert thaw.teaching.look(WORKSPACE, dataset.id, model, 200, taught="everything") is None

    # the counts are those of the rows that training would be given, and the pieces hold the whole row
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    facts = model_inspect.inspect_model(model, settings=settings)
    encoded = taught_rows.encode(rows, chat_templates.tokenizer("smollm2"), taught="auto", limit=200,
                                 revision=facts.revision, cache=settings.cache / "apart")
    totals = found["totals"]
    assert totals["rows"] == 30 and totals["taught"] == encoded.n_taught.sum() == encoded.arrays["taught"].sum()
    assert totals["taught"] + totals["context"] == len(encoded.ids) and totals["cut"] == encoded.arrays["cut"].sum()
    labels = encoded.labels(np.arange(30))
    for row in found["rows"]:
        said = "".join(piece["text"] for piece in row["pieces"] if piece["kind"] == "taught")
        kept = labels[row["row_id"]]
        assert teaching.format_of(chat_templates.tokenizer("smollm2")).tokenizer.decode(
            kept[kept != taught_rows.IGNORED]) == said
        assert row["taught"] == int((kept != taught_rows.IGNORED).sum())
    assert sum(found["lengths"]["counts"]) == 30 and found["format"]["notes"]


def test_rows_that_teach_nothing_are_named_and_shown(talker: Path, settings: Settings) -> None:
    thaw, dataset = Thaw(settings), write_language_dataset(settings, n_rows=30, chat=True)
    thaw.teaching.ask(WORKSPACE, dataset.id, str(talker), 60)
    job = thaw.teaching.job(WORKSPACE, dataset.id, str(talker), 60)
    assert job is not None
    HANDLERS[JobKind.MASK](Job(run=job, settings=settings, observer=Notes(), resume=False))
    found = thaw.teaching.look(WORKSPACE, dataset.id, str(talker), 60)
    assert found is not None and found["totals"]["rows_without_taught"] > 0
    assert len(found["row_ids_without_taught"]) == found["totals"]["rows_without_taught"]
    assert {"cut"} <= {piece["kind"] for row in found["rows"] for piece in row["pieces"]}
