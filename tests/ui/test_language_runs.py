"""Runs of language models on the pages: the untouched model beside each number, what was forgotten, the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import WORKSPACE, write_language_dataset
from tests.ui.conftest import put_language_runs, put_token_predictions, shown


@pytest.fixture
def runs(settings):
    return put_language_runs(settings, write_language_dataset(settings, n_rows=40, shift_rows=8))


def test_every_number_has_the_untouched_model_beside_it(app, runs):
    at = app("run", run=runs["lora"])
    assert not at.exception and not at.error, [e.value for e in at.error]
    found = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert found["Test loss"] == ("2.98 (2.90–3.06)", "untouched 3.26 (3.18–3.35)")
    assert found["Shift bits per byte"][1].startswith("untouched 1.13")
    assert found["KL on other texts"] == ("0.03 (0.02–0.04)", "")
    assert any("peak of memory in training" in str(caption.value) for caption in at.caption)


def test_what_was_forgotten_is_said_as_far_as_it_can_be_told(app, runs):
    text = shown(app("run", run=runs["lora"]))
    assert "What else changed" in text
    assert "Forgot some of prose, Usenet posts and dialogue; became better at instructions" in text
    assert "the noise floor, from computing in another precision" in text
    at = app("run", run=runs["probe"])
    assert not at.exception and not any("KL" in metric.label for metric in at.metric)


def test_the_verdict_says_better_only_where_the_interval_does(app, runs):
    at = app("run", run=runs["lora"])
    text = shown(at)
    assert "On its own task better than the untouched model" in text
    assert "test loss 3.264 → 2.981" in text
    badges = [str(element.value) for element in at.markdown if "-badge[" in str(element.value)]
    assert sum("better" in badge for badge in badges) == 2 and not any("worse" in badge for badge in badges)
    assert "3 min 51 s, 900 MB of memory at the peak, 4.88 M trained parameters, 20 MB to keep." in text


def test_the_method_without_training_is_called_the_untouched_model(app, runs):
    assert app("run", run=runs["probe"]).title[0].value == "Untouched model"
    (table,) = [frame.value for frame in app("compare", runs=",".join(runs.values())).dataframe
                if "Test loss" in frame.value]
    assert list(table["Run"]) == ["LoRA", "Untouched model"]


def sent(at):
    """Label -> pieces of the texts that the browser is given."""
    found = [json.loads(e.proto.json) for e in at.get("bidi_component") if "pieces" in e.proto.json]
    return {part["label"]: [(piece["kind"], piece["text"]) for piece in part["pieces"]] for part in found}


def test_answers_are_a_column_a_step_beside_the_untouched_model(app, runs):
    at = app("run", run=runs["lora"])
    assert "What it answers" in shown(at)
    found = sent(at)
    assert [label.partition(":")[0] for label in found] == [
        "The untouched model's answer", "Answer at step 30", "Answer at step 45", "Answer at step 60"]
    last = next(pieces for label, pieces in found.items() if "step 60" in label)
    said = "".join(text for kind, text in last if kind != "gone")
    assert said == "there lived an old king, who had a daughter\n\nThe end"
    assert {kind for kind, _ in last} >= {"new", "gone"}
    assert sum("did not stop by itself" in str(caption.value) for caption in at.caption) == 2
    at.selectbox(key=f"prompt_{runs['lora']}").set_value(1).run()
    assert any(label.endswith("indeed") for label in sent(at))
    assert "What it answers" not in shown(app("run", run=runs["probe"]))


def test_what_a_run_was_taught_is_one_press_away(app, runs, settings):
    from core import files
    from core.api import Thaw
    from tests.ui.test_teaching import survey

    folder = Thaw(settings).runs.get(WORKSPACE, runs["lora"]).folder
    files.write_json(Path(folder) / "teaching.json", survey())
    at = app("run", run=runs["lora"])
    assert [e.label for e in at.expander].count("Which tokens teach") == 1
    assert not any("Taught tokens" in metric.label for metric in at.metric)
    at.session_state[f"teaching_{runs['lora']}"] = True
    at.run()
    assert not at.exception and any("Taught tokens" in metric.label for metric in at.metric)
    Path(folder, "teaching.json").write_text("{broken")
    assert not app("run", run=runs["lora"]).exception


def test_a_classifier_has_a_card_against_the_probe(app, ended):
    text = shown(app("run", run=ended.done[1]))
    assert "On its own task not told apart from the linear probe" in text


def test_language_runs_side_by_side(app, runs):
    at = app("compare", runs=",".join(runs.values()))
    assert not at.exception
    text = shown(at)
    assert "LoRA has the lowest test loss; its interval lies below all others" in text
    assert "Which errors" not in text
    assert "What it cost elsewhere" in text and "The cross is the untouched model" in text
    assert "LoRA cannot be told from Untouched model in cost\\: 3 min 51 s → 3 min 51 s" in text


def folder_of(settings, run_id):
    from core.api import Thaw

    return Path(Thaw(settings).runs.get(WORKSPACE, run_id).folder)


def rows_shown(at, column):
    (frame,) = [frame.value for frame in at.dataframe if column in frame.value]
    return frame


def test_numbers_lead_to_rows_beside_the_untouched_model(app, settings):
    dataset = write_language_dataset(settings, n_rows=40, shift_rows=8)
    runs = put_language_runs(settings, dataset)
    put_token_predictions(folder_of(settings, runs["lora"]), dataset, settings=settings, factor=0.5)
    lora = runs["lora"]
    at = app("run", run=lora)
    assert not at.exception and "Which rows" in shown(at)
    rows = rows_shown(at, "Loss (untouched)")
    assert list(rows["Row"]) == [39, 38, 37, 36, 19, 18, 17, 16]
    assert rows.iloc[0]["Loss (LoRA)"] == pytest.approx(2.95) and rows.iloc[0]["Difference"] == pytest.approx(-2.95)
    assert rows.iloc[0]["Text"].strip()
    order = next(control for control in at.segmented_control if (control.key or "").startswith("judged_order"))
    assert order.options == ["Worst", "Most improved", "Got worse"]
    order.set_value("worsened").run()
    assert list(rows_shown(at, "Loss (untouched)")["Row"])[:2] == [16, 17]
    assert "farthest above that of the untouched model" in shown(at)
    at.segmented_control(key=f"judged_split_{lora}").set_value("shift").run()
    assert not at.exception and set(rows_shown(at, "Loss (untouched)")["Row"]) == set(range(40, 48))


def test_two_language_runs_are_held_against_each_other_row_by_row(app, settings):
    dataset = write_language_dataset(settings, n_rows=40, shift_rows=4, chat=True)
    runs = put_language_runs(settings, dataset)
    for method, factor in (("lora", 0.5), ("probe", 1.0)):
        put_token_predictions(folder_of(settings, runs[method]), dataset, settings=settings, factor=factor)
    at = app("compare", runs=",".join(runs.values()))
    assert not at.exception
    rows = rows_shown(at, "Answer (LoRA)").set_index("Row")
    assert rows.loc[38, "Answer (LoRA)"] == "right" and rows.loc[38, "Answer (untouched)"] == "wrong"
    assert rows.loc[38, "Text"].startswith("User: ")
    assert beside(at).options == ["nothing", "the untouched model"]  # that arm is the same model
    at.selectbox(key="judged_a_2").set_value(runs["probe"]).run()
    assert not at.exception and beside(at).options == ["nothing", "LoRA"]
    first = rows_shown(at, "Loss (Untouched model)").iloc[0]
    assert first["Difference"] == pytest.approx(2.95) and first["Loss (LoRA)"] == pytest.approx(2.95)
    order = next(control for control in at.segmented_control if (control.key or "").startswith("judged_order"))
    assert order.options == ["Worst", "Better than the other", "Worse than the other"]


def beside(at):
    return next(box for box in at.selectbox if (box.key or "").startswith("judged_b_"))
