"""Runs that have ended: the list, one run, what can be done to it, and the comparison."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from core import files
from core.api import Thaw
from core.data import found
from core.data.report import Finding, ImportReport
from core.domain import codec
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.jobs import failures
from core.metrics import OF_CLASSES
from core.store import Store
from core.store.jobs import NewJob
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import put_results, shown


def test_the_list_groups_by_experiment_and_shows_results_and_failures(app, ended):
    at = app("runs")
    assert not at.exception
    text = shown(at)
    assert "**Tiny, MiniLM**" in text
    assert "test accuracy 1.00" in text
    assert "ran out of memory" in text


def test_a_finished_run_shows_what_it_measured(app, ended):
    at = app("run", run=ended.done[1])
    assert not at.exception
    assert not at.error
    metrics = {m.label: m.value for m in at.metric}
    assert metrics["Test accuracy"] == "0.94 (0.84–1.00)"
    assert metrics["Test macro-F1"] == "0.94 (0.84–1.00)"
    assert metrics["Trained parameters"] == "300 K (1.3 %)"
    assert "Best validation accuracy" in shown(at)


def test_a_leak_is_repeated_beside_every_number_it_touches(app, ended, dataset, settings):
    api = Thaw(settings)
    leaking = [row["row_id"] for row in api.data.rows(WORKSPACE, dataset.id, split="test", n=4)]
    place = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    finding = Finding(code="leakage", severity="warning", count=4, message="m", remedy="r", rows=tuple(leaking))
    report = ImportReport(source="x", rows_read=90, rows_kept=90, findings=(finding,))
    assert "repeat a training row" not in shown(app("run", run=ended.done[1]))
    found.write(place, [finding], None)
    files.write_json(place / "report.json", report.to_json())
    sentence = f"4 of {dataset.rows('test')} test rows repeat a training row or nearly so"
    assert sentence in shown(app("run", run=ended.done[1]))
    assert shown(app("compare")).count(sentence) == 2, "beside the table and beside the chart"


def test_a_probe_without_steps_says_why_it_has_no_curve(app, ended):
    assert "no learning curve" in shown(app("run", run=ended.done[0]))


def test_a_failed_run_shows_three_parts_and_the_tip(app, ended):
    at = app("run", run=ended.failed)
    assert not at.exception
    message = at.error[0].value
    assert "ran out of memory" in message and "It needed more" in message and "Use LoRA" in message
    assert "Halve the batch size" in shown(at)
    assert "Traceback" not in shown(at)


def test_the_phase_that_failed_is_marked_and_what_may_help_comes_first(app, ended, settings):
    at = app("run", run=ended.failed)
    text = shown(at)
    assert "preparing: failed here" in text and "check_circle: preparing" not in text
    keys = [button.key for button in at.button]
    kinds = {button.key: button.proto.type for button in at.button}
    assert keys.index("fork") < keys.index("resume") and kinds["fork"] == "primary" and kinds["resume"] == "secondary"
    Store(settings).database.execute("UPDATE jobs SET failure = replace(failure, 'out of memory', 'could not fetch')")
    at = app("run", run=ended.failed)
    keys = [button.key for button in at.button]
    kinds = {button.key: button.proto.type for button in at.button}
    assert keys.index("resume") < keys.index("fork") and kinds["resume"] == "primary"


def test_a_failed_run_hands_out_a_report_and_a_finished_one_does_not(app, ended, settings, dataset):
    api = Thaw(settings)
    folder = Path(api.runs.get(WORKSPACE, ended.failed).folder)
    folder.mkdir(parents=True, exist_ok=True)
    row = api.data.rows(WORKSPACE, dataset.id)[0]["text"]
    (folder / "log.txt").write_text(f"ValueError: cannot read {row}\nin {folder}/x.bin of {WORKSPACE}\n")
    at = app("run", run=ended.failed)
    at.button(key="report").click().run()
    assert not at.exception and not at.error[1:]
    report = at.code[0].value
    assert "The run ran out of memory." in report and '"method": "full"' in report and "ValueError: […]" in report
    for secret in (row[:30], str(settings.home), WORKSPACE):
        assert secret not in report
    assert "report" not in {button.key for button in app("run", run=ended.done[0]).button}


def test_the_words_of_an_unforeseen_error_are_one_layer_down(app, ended, settings):
    failure = codec.to_json(failures.from_exception(TypeError("list indices"), log="logs/worker.log"))
    Store(settings).database.execute("UPDATE jobs SET failure = ? WHERE failure IS NOT NULL", (json.dumps(failure),))
    at = app("run", run=ended.failed)
    assert "Something inside Thaw went wrong" in at.error[0].value and "TypeError" not in at.error[0].value
    assert "TypeError: list indices" in at.code[0].value


def test_resume_queues_a_failed_run_again(app, ended, settings):
    at = app("run", run=ended.failed)
    at.button(key="resume").click().run()
    assert not at.exception
    assert Thaw(settings).runs.get(WORKSPACE, ended.failed).status == "queued"


def test_the_comparison_shows_the_newest_experiment_and_names_no_unsupported_winner(app, ended):
    at = app("compare")
    assert not at.exception
    assert not at.error
    text = shown(at).replace("\\", "")
    assert "No clear winner in test accuracy" in text
    assert "has the highest" not in text
    assert "is taken for" in text
    assert list(at.dataframe[0].value["State"]) == ["done", "done", "failed: The run ran out of memory"]


@pytest.mark.parametrize("metric", OF_CLASSES, ids=lambda metric: metric.name)
def test_every_metric_can_be_chosen_and_is_called_by_its_name(app, ended, metric):
    """Also those that the stored results do not hold: they come from the stored predictions."""
    at = app("compare")
    choice = at.segmented_control(key="metric")
    assert choice.options == [each.label for each in OF_CLASSES] and choice.value == OF_CLASSES[0].name
    choice.set_value(metric.name).run()
    assert not at.exception and not at.error
    text = shown(at).replace("\\", "")
    assert metric.explanation in text
    assert metric.on("test") in text
    assert {other.name for other in OF_CLASSES if f"test {other.label}" in text} == {OF_CLASSES[0].name, metric.name}, (
        "the chosen one, and in the rows the one that decides")
    assert "do not tell" in text or "is better than" in text
    table = at.dataframe[0].value
    assert all(value[0].isdigit() for value in table[metric.heading("test")][:2])


def test_every_metric_stands_on_the_page_of_a_run_and_the_first_in_the_list(app, ended):
    shown_there = {m.label: m.value for m in app("run", run=ended.done[1]).metric}
    assert {metric.heading("test") for metric in OF_CLASSES} <= set(shown_there)
    assert f"{OF_CLASSES[0].on('test')} 1.00" in shown(app("runs"))


def test_runs_on_different_rows_are_not_compared_in_silence(app, ended, settings):
    first, second = (Path(Thaw(settings).runs.get(WORKSPACE, i).folder) / "result.json" for i in ended.done)
    assert not app("compare").warning
    second.write_text(second.read_text().replace(json.loads(first.read_text())["dataset_hash"], "another"))
    at = app("compare")
    assert not at.exception
    assert "different test rows" in at.warning[0].value
    assert "different datasets" in at.error[0].value


def test_a_made_shift_set_is_called_so_where_runs_are_compared(app, ended, settings):
    assert "The shift set is" not in shown(app("compare"))
    for id in ended.done:
        path = Path(Thaw(settings).runs.get(WORKSPACE, id).folder) / "result.json"
        result = json.loads(path.read_text())
        result["metrics"]["shift"] = result["metrics"]["test"]
        files.write_json(path, result | {"shift_made": "made: typos, severity 3"})
    at = app("compare")
    assert not at.exception and "The shift set is made: typos, severity 3: the test rows, changed" in shown(at)


def test_runs_of_the_link_are_the_ones_compared(app, ended):
    at = app("compare", runs=ended.done[1])
    assert at.multiselect[0].value == [ended.done[1]]
    assert len(at.dataframe[0].value) == 1
    assert not at.exception


def test_a_dataset_page_shows_counts_and_rows(app, dataset):
    at = app("dataset", dataset=dataset.id)
    assert not at.exception
    assert "90 kept" in shown(at)
    at.text_input(key="rows_search").set_value("no such word anywhere").run()
    assert "No row matches" in shown(at)


def test_user_text_is_never_markup(app, dataset, settings):
    from pages._ui.shell import escape

    assert escape("**bold** [link](x) :red[y] $z$ <b>") == r"\*\*bold\*\* \[link\](x) \:red\[y\] \$z\$ \<b\>"


def without_test_rows(settings, ids):
    """Make runs look as those on a dataset without test rows: no score, no predictions."""
    for i in ids:
        folder = Path(Thaw(settings).runs.get(WORKSPACE, i).folder)
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps(result | {"metrics": {}}))
        (folder / "predictions-test.parquet").unlink()


def test_runs_without_test_rows_say_so_on_every_page(app, ended, settings):
    without_test_rows(settings, ended.done)
    assert "no test score" in shown(app("runs"))
    run = app("run", run=ended.done[1])
    assert not run.exception and not run.error and "no test score" in run.info[0].value
    assert not [m.label for m in run.metric if m.label.startswith("Test")]
    compare = app("compare")
    assert not compare.exception
    assert "no test row" in shown(compare) and "No confusion matrix" in shown(compare)
    assert "Its dataset has no test row" in compare.error[0].value
    without_one = app("compare", runs=",".join(ended.done))
    assert not without_one.exception


def test_a_run_with_and_one_without_test_rows_are_compared(app, ended, settings):
    without_test_rows(settings, ended.done[:1])
    at = app("compare")
    assert not at.exception and "Its dataset has no test row" in at.error[0].value
    assert list(at.dataframe[0].value["Test accuracy"]) == ["0.94 (0.84–1.00)", "–", "–"]


def test_the_train_page_warns_of_classes_and_splits_without_rows(app, facts, settings):
    write_dataset(settings, n_rows=45, without=("validation", "test"))
    at = app("train", dataset="0000002d000000" + "2e")
    assert not at.exception
    assert [w.value.split(":")[0] for w in at.warning[:2]] == ["There is no validation row\\", "There is no test row\\"]


def test_seeds_of_an_arm_show_every_metric_as_one_measurement(app, ended, settings):
    with sqlite3.connect(settings.home / "thaw.db") as database:
        for seed, run in enumerate(ended.done):
            stored, = database.execute("SELECT recipe FROM jobs WHERE id = ?", (run,)).fetchone()
            recipe = json.dumps(json.loads(stored) | {"method": "lora", "seed": seed})
            database.execute("UPDATE jobs SET recipe = ? WHERE id = ?", (recipe, run))
    at = app("compare")
    assert not at.exception and not at.error
    assert "Seeds together" in shown(at)
    seeds = at.dataframe[1].value
    assert list(seeds["Seeds"]) == [2]
    for metric in OF_CLASSES:
        assert seeds[metric.heading("test")][0][0].isdigit()


def test_the_rows_that_only_one_run_got_right_are_one_press_away(app, ended):
    at = app("compare")
    choice = next(pills for pills in at.pills if pills.key and pills.key.startswith("outcome_"))
    assert choice.options == ["Only Linear probe is right: 1 row"]
    before = len(at.dataframe)
    choice.select((True, False)).run()
    assert not at.exception and not at.error
    assert len(at.dataframe) == before + 1
    rows = next(frame.value for frame in at.dataframe if len(frame.value) == 1 and "Text" in frame.value)
    first = rows.iloc[0]
    assert first["Row"] == 0 and first["Text"].strip()
    assert first["Predicted (Linear probe)"] == first["True"] != first["Predicted (LoRA)"]


def test_a_cell_of_a_confusion_matrix_opens_its_rows(app, ended):
    at = app("compare")
    lora = at.selectbox(key=f"cell_{ended.done[1]}")
    assert lora.options[0].endswith(": 1 row") and "taken for" in lora.options[0]
    lora.select_index(0).run()
    assert not at.exception and not at.error
    rows = next(frame.value for frame in at.dataframe if len(frame.value) == 1 and "Text" in frame.value)
    assert rows.iloc[0]["True"] != rows.iloc[0]["Predicted"]
    assert f"taken for {rows.iloc[0]['Predicted']}" in lora.options[0]


def test_worst_doubtful_and_changed_rows_are_one_table_that_is_searched(app, ended):
    at = app("compare")
    a, b = ended.done
    orders = next(control for control in at.segmented_control if (control.key or "").startswith("judged_order"))
    assert orders.options == ["Worst", "Most doubtful", "Most changed"]
    search = at.text_input(key=f"rows_judged_{a}_{b}_worst_search")
    text = next(frame.value for frame in at.dataframe if len(frame.value) == 18).iloc[3]["Text"]
    search.input(text[:20].upper()).run()
    assert not at.exception and not at.error
    assert not any(len(frame.value) == 18 for frame in at.dataframe)
    at.text_input(key=f"rows_judged_{a}_{b}_worst_search").input("no such word anywhere").run()
    assert "No row matches." in shown(at)


def budgeted(settings, dataset):
    """Two methods with 32 labels and with all."""
    store = Store(settings)
    experiment = store.experiments.create(WORKSPACE, "Budgets")
    recipes = [Recipe(dataset=dataset.id, base_model="minilm", method=method, label_budget=budget)
               for method in ("probe", "lora") for budget in (32, None)]
    ids = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="x", recipe=recipe,
                                    experiment=experiment, runs_folder=settings.workspace(WORKSPACE) / "runs")
                             for recipe in recipes])
    for place, _ in enumerate(ids):
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        store.queue.begin(claim.run.id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        put_results(Path(claim.run.folder), dataset, wrong=place)
        store.queue.finish(claim.run.id, fence=claim.fence, status=Status.DONE)
    return ids


def test_label_budgets_are_drawn_over_labelled_rows(app, settings, dataset):
    budgeted(settings, dataset)
    at = app("compare")
    assert not at.exception and not at.error
    text = shown(at).replace("\\", "")
    assert "How many labels" in [header.value for header in at.header]
    assert "With 32 labelled rows: no clear winner in test accuracy" in text
    assert set(at.dataframe[0].value["Run"]) == {f"{method} · {rows}" for method in ("LoRA", "Linear probe")
                                                 for rows in ("32 rows", "all rows")}
    assert "LoRA · base frozen · 32 rows · seed 0" in set(at.dataframe[0].value["Whole name"])


def test_one_run_alone_is_said_in_words_instead_of_a_chart_of_one_dot(app, ended):
    at = app("compare", runs=ended.done[0])
    assert not at.exception and not at.error
    assert "Linear probe: test accuracy 1.00" in shown(at).replace("\\", "")
    assert "smallest run" not in shown(at) and "How many labels" not in [header.value for header in at.header]


def test_a_new_name_shows_on_every_page_at_once(app, ended, settings):
    Thaw(settings).runs.rename(WORKSPACE, ended.done[1], "Monday's best")
    for page, params in (("runs", {}), ("compare", {}), ("run", {"run": ended.done[1]})):
        at = app(page, **params)
        frames = [frame.value.to_csv() for frame in at.dataframe]
        links = [str(getattr(element.proto, "label", "")) for element in at.get("page_link")]
        assert any("Monday's best" in text for text in [shown(at), *frames, *links]), page


def test_a_finished_run_offers_its_predictions_its_artifact_and_the_code_that_loads_it(app, ended):
    at = app("run", run=ended.done[1])
    assert "Take it home" in [header.value for header in at.header]
    assert any(ended.done[1] in block.value and "artifact.load" in block.value for block in at.code)
    urls = [element.proto.url for element in at.get("link_button")]
    assert any(url.endswith(f"{ended.done[1]}.zip") for url in urls)
    assert "Take it home" not in [header.value for header in app("run", run=ended.failed).header]


def test_predictions_are_saved_with_their_texts(ended, settings):
    lines = Thaw(settings).take_home.predictions(WORKSPACE, ended.done[1]).decode().splitlines()
    assert lines[0].startswith("split,row_id,true,predicted,p(") and lines[0].endswith(",text")
    assert len(lines) == 19 and lines[1].split(",")[2] != lines[1].split(",")[3]


def test_a_stopped_run_says_what_was_planned_and_a_half_frozen_one_what_is_frozen(app, settings, dataset):
    store = Store(settings)
    recipe = Recipe(dataset=dataset.id, base_model="minilm", method="partial",
                    freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1", "block 2")))
    run = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="x", recipe=recipe,
                                    runs_folder=settings.workspace(WORKSPACE) / "runs")])[0]
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    store.queue.begin(run, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    store.events.append(run, [(float(s), "step", {"step": s, "total_steps": 100, "loss": 1.0}) for s in (1, 2, 3)])
    put_results(Path(claim.run.folder), dataset, wrong=1)
    result = files.read_json(Path(claim.run.folder) / "result.json")
    files.write_json(Path(claim.run.folder) / "result.json", result | {"steps": 3, "best_step": 3})
    store.queue.finish(run, fence=claim.fence, status=Status.STOPPED)
    at = app("run", run=run)
    assert not at.exception and not at.error
    assert "step 3 of the 3 made before it was stopped (100 were planned)" in shown(at)
    table = next(frame.value for frame in at.table if "Setting" in frame.value)
    said = dict(zip(table["Setting"], table["Value"], strict=True))
    assert said["Frozen"] == "embeddings, blocks 0–2 frozen"
    assert at.title[0].value == "Partly frozen"


def test_a_run_deleted_in_another_tab_loses_its_buttons(app, ended, settings, monkeypatch):
    from pages._ui.runs import detail

    at = app("run", run=ended.failed)
    assert any(button.key == "delete" for button in at.button)
    Thaw(settings).runs.delete(WORKSPACE, ended.failed)
    drawn = []
    with monkeypatch.context() as watching:
        watching.setattr(detail.st, "rerun", lambda: drawn.append("again"))
        detail._still_there(WORKSPACE, ended.failed)
    assert drawn == ["again"]
    at.run()
    assert not any(button.key == "delete" for button in at.button) and "deleted" in at.error[0].value
