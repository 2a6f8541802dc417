"""From a dataset for language models to runs: the mask beforehand, methods and knobs of the task, the tied head."""

from __future__ import annotations

import json

import pytest

from core import files
from core.api import Thaw
from core.domain.run import JobKind, Status
from core.models import facts as model_facts
from core.store import Store
from core.tasks import teaching_report
from tests.conftest import WORKSPACE, write_language_dataset
from tests.ui.conftest import shown
from tests.ui.test_teaching import survey


@pytest.fixture
def tales(settings):
    return write_language_dataset(settings, n_rows=40)


def masked(settings, dataset, limit=256):
    """The mask as a worker leaves it."""
    facts = Thaw(settings).models.facts("smollm2")
    model_facts.write(facts, settings)
    folder = teaching_report.folder(settings.cache, dataset_hash=dataset.content_hash, revision=facts.revision,
                                    limit=limit)
    files.write_json(folder / teaching_report.FILE, survey())


def test_the_mask_of_a_dataset_is_asked_for_waited_for_and_shown(app, tales, settings):
    at = app("dataset", dataset=tales.id)
    assert not at.exception and not at.error and "Which tokens teach" in shown(at)
    button = next(b for b in at.button if b.label == "See which tokens teach")
    button.click().run()
    (job,) = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.MASK)
    assert job.payload == {"dataset": tales.id, "model": "smollm2", "max_length": 256}
    at = app("dataset", dataset=tales.id)
    assert not at.exception and "See which tokens teach" not in [b.label for b in at.button]
    masked(settings, tales)
    at = app("dataset", dataset=tales.id)
    assert {metric.label for metric in at.metric} >= {"Taught tokens", "Rows cut"}


def test_a_mask_that_failed_says_why_and_can_be_asked_for_again(app, tales, settings):
    from core.domain.run import Failure
    from core.errors import FailureKind

    Thaw(settings).teaching.ask(WORKSPACE, tales.id, "smollm2", 256)
    store = Store(settings)
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    store.queue.finish(claim.run.id, fence=claim.fence, status=Status.FAILED, failure=Failure(
        kind=FailureKind.OUT_OF_MEMORY, what="The model could not be fetched.", why="No connection.",
        remedy="Connect."))
    at = app("dataset", dataset=tales.id)
    assert "could not be fetched" in at.error[0].value
    assert "See which tokens teach" in [b.label for b in at.button]


def test_the_train_page_follows_the_task(app, tales, settings):
    at = app("train", dataset=tales.id)
    assert not at.exception and not at.error, [e.value for e in at.error]
    assert at.selectbox(key="train_model_language-modelling").value == "smollm2"
    labels = [box.label for box in at.checkbox]
    assert "Untouched model" in labels and "Linear probe" not in labels
    cells = next(json.loads(e.proto.json)["cells"] for e in at.get("bidi_component") if "cells" in e.proto.json)
    assert cells[-1]["text"] == "head: shares the embeddings" and cells[-1]["follows"] == 0 and len(cells) == 32
    assert "5,000 is" not in shown(at) and any(m.label.startswith("Row budgets") for m in at.multiselect)
    keys = {str(element.key) for kind in (at.number_input, at.selectbox, at.text_input) for element in kind}
    assert {"set_gradient_accumulation", "set_taught", "set_forgetting_bound"} <= keys
    assert not {"set_augmentation", "set_head_init", "set_head_learning_rate"} & keys
    for box in at.checkbox:
        if str(box.key).startswith("method_") and box.value and box.key != "method_lora":
            box.uncheck()
    at.text_area(key="train_prompts").set_value("What is it?\n\n  Once upon a time \nWhat is it?")
    at.number_input(key="set_forgetting_bound").set_value(0.05).run()
    at.button(key="start").click().run()
    assert not at.exception and not at.error, [e.value for e in at.error]
    (run,) = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.TRAIN)
    assert (run.recipe.task, run.recipe.method, run.recipe.forgetting_bound) == (tales.task, "lora", 0.05)
    assert run.recipe.sample_prompts == ("What is it?", "Once upon a time")


def test_the_mask_of_a_plan_is_on_the_train_page(app, tales, settings):
    masked(settings, tales)
    at = app("train", dataset=tales.id)
    at.session_state["teaching_drawer"] = True
    at.run()
    assert not at.exception and any(metric.label == "Taught tokens" for metric in at.metric)


def test_the_home_page_starts_a_language_model(app, settings):
    at = app()
    assert "A language model, and what it forgets" in shown(at)
    at.button(key="first_language").click().run()
    assert not at.exception and not at.error, [e.value for e in at.error]
    (run,) = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.TRAIN)
    assert (run.recipe.method, run.recipe.dataset, run.recipe.effort) == ("lora", "tales", "quick")
    at = app()
    at.toggle(key="language_arms").set_value(True).run()
    at.button(key="first_language").click().run()
    assert [r.recipe.method for r in Thaw(settings).runs.all(WORKSPACE, kind=JobKind.TRAIN)][:3] == [
        "qlora", "partial", "lora"]
