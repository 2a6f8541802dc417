"""The page of an experiment: rows as they go, actions on all of them, undo, results, and its recipes on Train."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.api import Thaw
from core.domain.freeze import FreezePlan
from core.domain.run import Failure, Status
from core.errors import FailureKind
from core.models.methods import REGISTRY
from core.store import Store
from tests.conftest import WORKSPACE
from tests.ui.conftest import put_results, shown


@pytest.fixture
def api(settings):
    return Thaw(settings)


@pytest.fixture
def id(api, ended):
    return api.runs.get(WORKSPACE, ended.failed).experiment


def start(api, dataset, methods=("probe", "lora", "full"), **fields):
    """Queue an experiment that was started a minute ago; its id and runs."""
    recipes = [api.experiments.default_recipe(WORKSPACE, dataset=dataset.id, model="minilm", method=m, effort="quick")
               for m in methods]
    ids = api.experiments.submit(WORKSPACE, [recipe.replace(**fields) for recipe in recipes], name="Under way")
    Store(api.settings).database.execute("UPDATE jobs SET created = created - 60")
    return api.runs.get(WORKSPACE, ids[0]).experiment, ids


def begin(api):
    store = Store(api.settings)
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    store.queue.begin(claim.run.id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    return store, claim


def words(at):
    return shown(at).replace("\\", "") + "\n".join(bar.proto.text for bar in at.get("progress"))


# -- rows --------------------------------------------------------------------------------------------------------------


def test_a_finished_experiment_shows_a_row_a_run_and_the_results_below(app, ended, id):
    at = app("experiment", experiment=id)
    assert not at.exception and not at.error
    assert at.title[0].value == "Tiny, MiniLM"
    text = words(at)
    assert "2 of 3 done · 1 failed" in text
    for method in ("probe", "lora", "full"):
        assert REGISTRY[method].card.summary in text
    assert "**1.00 (0.90–1.00)** test accuracy" in text and "**0.94 (0.84–1.00)** test accuracy" in text
    assert "failed, while preparing" in text and "The run ran out of memory." in text
    assert at.header[0].value == "Results" and len(at.header) > 1
    assert "Full fine-tuning (failed: The run ran out of memory)" in text, "who is not in the results is named"
    assert len(at.dataframe[0].value) == 3 and set(at.multiselect[0].value) == set(ended.done)
    assert "[See results](#results)" in text


def test_running_and_waiting_runs_say_how_far_they_are_and_how_long(app, api, facts, dataset):
    id, ids = start(api, dataset)
    store, claim = begin(api)
    now = time.time()
    store.events.append(ids[0], [
        (now, "phase", {"phase": "training"}), (now, "eval", {"step": 5, "accuracy": 0.75, "loss": 1.0}),
        (now, "step", {"step": 10, "total_steps": 40, "seconds": 60.0, "loss": 1.0})])
    at = app("experiment", experiment=id)
    assert not at.exception and not at.error
    text = words(at)
    assert "0 of 3 done · 1 running · 2 waiting" in text and "left in all" in text
    assert "Training · 10 of 40 steps · about 3 min left" in text
    assert "0.75 validation accuracy so far" in text
    assert "queued, place 1" in text and "queued, place 2" in text and text.count("starts in about") == 2
    assert "starts in about 3 min" in text
    assert not at.header, "no results yet"
    failure = Failure(kind=FailureKind.NON_FINITE_LOSS, what="The loss became infinite.")
    store.queue.finish(claim.run.id, fence=claim.fence, status=Status.FAILED, failure=failure)
    at.run()
    assert "The loss became infinite. The others go on." in words(at)


def test_runs_that_train_are_drawn_as_a_race_and_the_one_far_behind_is_proposed_for_stopping(app, api, facts, dataset):
    id, ids = start(api, dataset, methods=("lora", "full"))
    assert not app("experiment", experiment=id).header, "no race before two were evaluated"
    store = Store(api.settings)
    for run, scores in zip(ids, ((0.1, 0.2), (0.9, 1.0)), strict=True):
        claim = store.queue.claim(supervisor="test", host="test", slots=2)
        store.queue.begin(claim.run.id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        store.events.append(run, [(time.time(), "phase", {"phase": "training"}),
                                  (time.time(), "step", {"step": 10, "total_steps": 20, "seconds": 9.0, "loss": 1.0})])
        store.events.append(run, [(time.time(), "eval", {"step": 5 * (i + 1), "accuracy": score, "loss": 1.0})
                                  for i, score in enumerate(scores)])
    at = app("experiment", experiment=id)
    assert not at.exception and not at.error and at.header[0].value == "The race"
    assert "**LoRA** is far behind **Full fine-tuning** at 50 % of its steps: 0.20 against 1.00" in words(at)
    at.button(key=f"race_stop_{ids[0]}").click().run()
    assert api.runs.get(WORKSPACE, ids[0]).status is Status.STOPPING
    assert api.runs.get(WORKSPACE, ids[1]).status is Status.RUNNING


def test_a_run_that_waits_for_its_next_turn_says_what_it_has_reached_and_keeps_it(app, api, facts, dataset):
    recipe = api.experiments.default_recipe(WORKSPACE, dataset=dataset.id, model="minilm", method="lora")
    ids = api.experiments.submit(WORKSPACE, [recipe, recipe.replace(seed=1)], name="Race", in_turns=True)
    id = api.runs.get(WORKSPACE, ids[0]).experiment
    store, claim = begin(api)
    at = app("experiment", experiment=id)
    now = time.time()
    store.events.append(ids[0], [
        (now, "phase", {"phase": "training"}), (now, "eval", {"step": 10, "accuracy": 0.75, "loss": 1.0}),
        (now, "step", {"step": 10, "total_steps": 40, "seconds": 60.0, "loss": 1.0})])
    store.queue.wait_again(ids[0], fence=claim.fence, last=True)
    at.run()
    text = words(at)
    assert not at.exception and not at.error and "lets the others catch up" in text
    assert "0.75 validation accuracy so far" in text
    store.queue.claim(supervisor="test", host="test", slots=2)
    again = store.queue.claim(supervisor="test", host="test", slots=2)
    assert again.run.id == ids[0]
    store.queue.begin(ids[0], fence=again.fence, pid=os.getpid(), pid_created=0.0)
    store.events.append(ids[0], [(time.time(), "phase", {"phase": "training"})])
    assert "0.75 validation accuracy so far" in words(at.run()), "until it is evaluated anew"


def test_a_waiting_run_is_put_before_the_others(app, api, facts, dataset):
    _, ids = start(api, dataset)
    at = app("run", run=ids[2])
    at.button(key="put_first").click().run()
    assert not at.exception and not at.error
    assert [api.runs.get(WORKSPACE, id).position for id in ids] == [2, 3, 1]
    assert "put_first" not in {button.key for button in at.button}, "nothing to do any more"


def test_many_runs_show_some_rows_first(app, api, facts, dataset):
    from pages._ui.experiment.rows import SHOWN

    recipe = api.experiments.default_recipe(WORKSPACE, dataset=dataset.id, model="minilm", method="probe")
    ids = api.experiments.submit(WORKSPACE, [recipe.replace(seed=i) for i in range(SHOWN + 5)], name="Many")
    id = api.runs.get(WORKSPACE, ids[0]).experiment
    at = app("experiment", experiment=id)
    rows = [badge for badge in at.markdown if "queued, place" in badge.value]
    assert len(rows) == SHOWN
    assert sum(c.value == REGISTRY["probe"].card.summary for c in at.caption) == 1, "a method is explained once"
    at.button(key=f"more_{id}").click().run()
    assert sum("queued, place" in badge.value for badge in at.markdown) == SHOWN + 5


def test_an_experiment_of_another_workspace_is_refused(app, ended):
    at = app("experiment", experiment="nope")
    assert not at.exception and "another workspace" in at.error[0].value


# -- actions -----------------------------------------------------------------------------------------------------------


def test_stop_all_and_resume_all(app, api, facts, dataset):
    id, _ = start(api, dataset)
    at = app("experiment", experiment=id)
    assert "resume_all" not in {b.key for b in at.button}
    at.button(key="stop_all").click().run()
    assert not at.exception and not at.error
    assert {run.status for run in api.experiments.runs(WORKSPACE, id)} == {Status.STOPPED}
    assert "0 of 3 done · 3 stopped" in words(at) and "stop_all" not in {b.key for b in at.button}
    at.button(key="resume_all").click().run()
    assert [run.position for run in api.experiments.runs(WORKSPACE, id)] == [1, 2, 3]


def test_a_paused_experiment_waits_until_it_is_resumed(app, api, facts, dataset):
    id, _ = start(api, dataset)
    at = app("experiment", experiment=id)
    assert "3 runs that wait" in at.button(key="pause_all").help
    at.button(key="pause_all").click().run()
    assert not at.exception and not at.error and "pause_all" not in {b.key for b in at.button}
    at.button(key="resume_all").click().run()
    assert {run.status for run in api.experiments.runs(WORKSPACE, id)} == {Status.QUEUED}
    assert "pause_all" in {b.key for b in at.button}


def test_resume_is_not_offered_for_what_would_fail_again(app, ended, id):
    assert "resume_all" not in {b.key for b in app("experiment", experiment=id).button}


def test_rename_and_delete_ask_in_dialogs(app, api, ended, id):
    api.experiments.rename(WORKSPACE, id, "Which *way* is best?")
    at = app("experiment", experiment=id)
    assert at.title[0].value == r"Which \*way\* is best?"
    at.button(key="rename_all").click().run()
    assert at.text_input(key="rename_all_text").value == "Which *way* is best?"
    at.button(key="delete_all").click().run()
    assert "with its 3 runs" in shown(at) and at.button(key="delete_all_yes")
    assert len(api.runs.all(WORKSPACE)) == 3


def test_a_start_can_be_undone_for_a_while_and_leaves_nothing(app, api):
    at = app()
    at.button(key="first_comparison").click().run()
    begin(api)
    (id,) = {run.experiment for run in api.runs.all(WORKSPACE)}
    at.button(key=f"undo_{id}").click().run()
    assert not at.exception and not at.error
    assert at.title[0].value == "Thaw", "back where it was started"
    assert api.runs.all(WORKSPACE) == [] and api.experiments.all(WORKSPACE) == []


def test_a_start_of_a_minute_ago_offers_no_undo(app, api, facts, dataset):
    id, _ = start(api, dataset)
    assert not [b for b in app("experiment", experiment=id).button if "undo" in str(b.key)]


# -- results and old links ---------------------------------------------------------------------------------------------


def test_old_links_of_compare_show_the_same_rows_and_results(app, ended, id):
    at = app("compare", runs=",".join(ended.done))
    assert not at.exception and not at.error
    assert at.title[0].value == "Compare"
    assert "2 of 2 done" in words(at) and len(at.dataframe[0].value) == 2
    assert any("Tiny, MiniLM" in link.proto.label for link in at.get("page_link"))


def test_the_choice_of_runs_is_kept_in_the_address(app, ended, id):
    at = app("experiment", experiment=id)
    at.multiselect[0].set_value(ended.done[:1]).run()
    assert len(at.dataframe[0].value) == 1 and at.query_params["runs"] == ended.done[0]
    at.multiselect[0].set_value(ended.done).run()
    assert "runs" not in at.query_params, "all of them need no telling"
    again = app("experiment", experiment=id, runs=ended.done[0])
    assert again.multiselect[0].value == [ended.done[0]]
    assert "LoRA (not chosen)" in words(again)


def test_the_rows_of_compare_follow_the_choice(app, ended):
    at = app("compare", runs=",".join(ended.done))
    at.multiselect[0].set_value(ended.done[:1]).run()
    assert not at.exception and "1 of 1 done" in words(at)
    assert at.query_params["runs"] == ended.done[0]
    at.multiselect[0].set_value(ended.done).run()
    assert "2 of 2 done" in words(at)


def test_a_link_to_a_run_under_way_shows_that_run(app, api, ended, facts, dataset):
    _, ids = start(api, dataset)
    at = app("compare", runs=ids[1])
    assert not at.exception and "0 of 1 done · 1 waiting" in words(at) and not at.header


def test_runs_of_two_experiments_are_compared(app, api, ended, id, settings, dataset):
    from tests.ui.conftest import put_runs

    other = put_runs(settings, dataset)
    at = app("experiment", experiment=id, runs=f"{ended.done[0]},{other.done[1]}")
    assert not at.exception and not at.error
    assert set(at.multiselect[0].value) == {ended.done[0], other.done[1]}
    assert len(at.dataframe[0].value) == 2


def test_the_list_of_runs_names_what_is_not_done_and_leads_to_the_experiment(app, ended, id):
    for page in ("runs", "home"):
        at = app(page)
        assert "2 of 3 done · 1 failed" in words(at)
        assert any(f"experiment={id}" in link.proto.query_string for link in at.get("page_link"))


# -- duplicate with changes --------------------------------------------------------------------------------------------


def test_duplicate_fills_the_train_page_with_the_recipes(app, api, facts, dataset):
    frozen = ("embeddings", "block 0", "block 3")
    recipes = []
    for method in ("partial", "lora"):
        for seed in (0, 1):
            made = api.experiments.default_recipe(WORKSPACE, dataset=dataset.id, model="minilm", method=method,
                                                  effort="quick", seed=seed, label_budget=32)
            made = made.replace(epochs=1.5)
            recipes.append(made.replace(freeze=FreezePlan(frozen=frozen)) if method == "partial"
                           else made.replace(lora=replace(made.lora, rank=3)))
    ids = api.experiments.submit(WORKSPACE, recipes, name="First try")
    at = app("experiment", experiment=api.runs.get(WORKSPACE, ids[0]).experiment)
    at.button(key="duplicate").click().run()
    assert not at.exception and not at.error
    assert at.title[0].value == "Train" and "First try" in at.info[0].value
    assert "frozen: embeddings, blocks 0 and 3" in shown(at) or "embeddings, block 0, block 3" in shown(at)
    assert at.text_input(key=f"name_{dataset.id}_minilm").value == "First try, changed"
    at.switch_page("pages/train.py").run()  # AppTest forgets that the click led there
    at.number_input(key="set_lora.rank").set_value(5).run()
    assert at.button(key="start").label == "Start 4 runs"
    at.button(key="start").click().run()
    assert not at.exception and not at.error
    new = [run.recipe for run in api.runs.all(WORKSPACE) if run.id not in ids]
    old = [run.recipe for run in api.runs.all(WORKSPACE) if run.id in ids]
    changed = [r.replace(lora=replace(r.lora, rank=5)) if r.method == "lora" else r for r in old]
    assert sorted(map(str, new)) == sorted(map(str, changed))
    assert at.title[0].value == "First try, changed"
    assert not app("train").info


def test_duplicate_of_plain_runs_sets_nothing_beside_the_dial(app, api, ended, facts, id):
    at = app("experiment", experiment=id)
    at.button(key="duplicate").click().run()
    assert not at.exception
    ticked = [c.key for c in at.checkbox if c.value and c.key.startswith("method_")]
    assert set(ticked) == {"method_probe", "method_lora", "method_full"}


def test_methods_that_differ_in_a_setting_are_named(app, api, facts, dataset):
    recipes = [api.experiments.default_recipe(WORKSPACE, dataset=dataset.id, model="minilm", method=m)
               for m in ("lora", "full")]
    ids = api.experiments.submit(WORKSPACE, [recipes[0].replace(batch_size=8), recipes[1]], name="Odd")
    at = app("experiment", experiment=api.runs.get(WORKSPACE, ids[0]).experiment)
    at.button(key="duplicate").click().run()
    assert "batch size" in at.info[0].value


def test_recipes_of_a_deleted_dataset_are_refused_in_words(app, api, ended, dataset, id):
    api.data.delete(WORKSPACE, dataset.id)
    at = app("experiment", experiment=id)
    at.button(key="duplicate").click().run()
    assert not at.exception and at.error and json.dumps(at.error[0].value)


def test_runs_are_searched_filtered_coloured_and_grouped_and_two_measures_held_against_each_other(
        app, ended, id, settings, dataset, api):
    recipe = replace(api.runs.get(WORKSPACE, ended.done[0]).recipe, learning_rate=3e-4)
    [third] = api.experiments.submit(WORKSPACE, [recipe], name="Third")
    claim = Store(settings).queue.claim(supervisor="test", host="test", slots=1)
    put_results(Path(claim.run.folder), dataset, wrong=12)
    Store(settings).queue.finish(third, fence=claim.fence, status=Status.DONE)
    at = app("compare", runs=",".join([*ended.done, third]))
    assert not at.exception and "No arm is beaten on test accuracy and seconds alone together" in shown(at)
    at.selectbox(key="pareto_x_test.accuracy").set_value("trainable_params").run()
    assert not at.exception and "Not beaten on test accuracy and trained parameters together" in shown(at)
    charts = len(at.get("plotly_chart"))
    at.selectbox(key="narrow_colour").set_value("seconds").run()
    at.selectbox(key="narrow_group").set_value("learning_rate").run()
    assert not at.exception and len(at.get("plotly_chart")) == charts
    assert any("Learning rate" in frame.value.columns for frame in at.dataframe)
    at.toggle(key="differences_only").set_value(False).run()
    assert any("Weight decay" in list(frame.value.get("Setting", ())) for frame in at.dataframe)
    at.selectbox(key="narrow_by").set_value("method").run()
    at.multiselect(key="narrow_values_method").set_value(["lora"]).run()
    assert not at.exception and "1 of 3 runs are shown" in shown(at)
    at.selectbox(key="narrow_by").set_value("test.accuracy").run()
    at.slider[0].set_value((0.9, 1.0)).run()
    assert not at.exception and "2 of 3 runs are shown" in shown(at)
    at.text_input(key="narrow_search").set_value("nothing like it").run()
    assert not at.exception and "No run passes the filter." in shown(at)
