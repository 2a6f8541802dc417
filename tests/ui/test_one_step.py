"""Try one step, on the Train page: asked for, followed, ended, and what came of it beside the plan."""

from __future__ import annotations

import pytest

from core.api import Thaw
from core.domain import codec
from core.domain.one_step import OneStep
from core.domain.run import Failure, JobKind, Status
from core.errors import FailureKind
from core.models import facts as model_facts
from core.store import Store
from tests.conftest import WORKSPACE, write_language_dataset
from tests.ui.conftest import shown

FOUND = OneStep(method="lora", peak_memory_bytes=2_000_000_000, estimated_memory_bytes=1_500_000_000, step_seconds=3.8,
                estimated_step_seconds=3.0, steps=300, training_seconds=1000.0, seconds=1200.0, estimated_seconds=960.0,
                rows=4, tokens=1024, taught=1020, precision="bf16", device="two cores")


@pytest.fixture
def tales(settings):
    model_facts.write(Thaw(settings).models.facts("smollm2"), settings)
    return write_language_dataset(settings, n_rows=40)


def asked(app, tales, settings):
    """The page after the button was pressed, and the job that it queued."""
    at = app("train", dataset=tales.id)
    assert not at.exception and not at.error, [e.value for e in at.error]
    at.button(key="try_step").click().run()
    assert not at.exception and not at.error, [e.value for e in at.error]
    (job,) = Thaw(settings).runs.all(WORKSPACE)
    return at, job


def ended(settings, status, *, failure=None, found=None):
    store = Store(settings)
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    if found is not None:
        store.events.append(claim.run.id, [(1.0, "result", codec.to_json(found))])
    store.queue.finish(claim.run.id, fence=claim.fence, status=status, failure=failure)


def test_a_step_is_asked_for_and_followed_and_is_no_run(app, tales, settings):
    at, job = asked(app, tales, settings)
    assert job.kind is JobKind.TRIAL and job.payload["recipe"]["method"] == "partial"  # the first that takes steps
    assert "try_step" not in [b.key for b in at.button] and "stop_step" in [b.key for b in at.button]
    at.button(key="stop_step").click().run()
    assert Thaw(settings).runs.get(WORKSPACE, job.id).status is Status.STOPPED
    at = app("train", dataset=tales.id)
    assert "The step was stopped." in shown(at) and at.button(key="try_step").label == "Try again"
    at = app("runs")
    assert not at.exception and "One step of Partly frozen" in shown(at)
    assert Thaw(settings).runs.all(WORKSPACE, kind=JobKind.TRAIN) == []


def test_what_it_took_stands_beside_the_plan(app, tales, settings):
    asked(app, tales, settings)
    ended(settings, Status.DONE, found=FOUND)
    at = app("train", dataset=tales.id)
    metrics = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert metrics["Peak memory"] == ("2.00 GB", "planned 1.50 GB") and metrics["A step"] == ("3.8 s", "planned 3 s")
    assert metrics["Whole run"] == ("about 20 min", "planned about 16 min")
    assert metrics["Taught tokens"][0].replace(",", "").startswith("1") and "read" in metrics["Taught tokens"][1]
    assert "33 % more than planned" in shown(at) and "300 steps" in shown(at)


def test_out_of_memory_says_what_to_change(app, tales, settings):
    asked(app, tales, settings)
    ended(settings, Status.FAILED, failure=Failure(
        kind=FailureKind.OUT_OF_MEMORY, what="The run needed more memory than there is.", why="CUDA out of memory.",
        remedy="Fork the run."))
    at = app("train", dataset=tales.id)
    said = at.error[0].value
    assert "One step needs more memory" in said and "Halve the batch size" in said and "Fork" not in said


def test_methods_that_take_no_steps_offer_none(app, dataset, facts):
    at = app("train")
    for box in at.checkbox:
        if str(box.key).startswith("method_") and not box.disabled:
            (box.check if box.key == "method_probe" else box.uncheck)()
    at.run()
    assert not at.exception and "try_step" not in [b.key for b in at.button]
