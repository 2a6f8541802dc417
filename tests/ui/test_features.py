"""The Features page in every state, on features as the engine leaves them: real files, made-up numbers."""

from __future__ import annotations

import gc
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from core.analysis import FeatureComparison, feature_comparison, feature_paths
from core.analysis.feature_files import BlockFeatures
from core.api import Thaw
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.domain.side import Side, Which
from core.plots import palette
from core.store import Store
from core.store.jobs import NewJob
from tests.conftest import WORKSPACE, write_dataset, write_picture_dataset
from tests.ui.conftest import WIDTH, cloud, shown


def measured(at):
    """The same page with its second layer open."""
    at.session_state["features_layer"] = "Measure it"
    return at.run()


def test_no_runs_at_all(app):
    at = app("features")
    assert not at.exception
    assert "There are no runs yet" in shown(at)


def test_a_visit_queues_nothing_and_a_button_says_what_it_takes(app, made, ended, settings):
    at = app("features", run=ended.done[1])
    assert not at.exception and "were not made yet" in shown(at)
    assert not Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)
    assert at.button(key="make_features").label.startswith("Make its features (about ")
    at.button(key="make_all_features").click().run()
    assert not at.exception and "are being made" in shown(at)
    jobs = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)
    folders = [Thaw(settings).runs.get(WORKSPACE, run).folder for run in ended.done]
    assert len(jobs) == 1 and jobs[0].payload["runs"][0] == folders[1] and set(jobs[0].payload["runs"]) == set(folders)
    at = app("runs")
    assert "Features of" in shown(at) and "Other jobs: 1 under way" in [box.label for box in at.expander]


def test_while_features_are_made_a_guess_is_taken_and_judged_when_they_are_there(app, made, moved, ended, settings):
    Thaw(settings).features.request(WORKSPACE, [ended.done[1]])
    at = app("features", run=ended.done[1])
    at.button_group[-1].set_value(["block 3", "block 4"])
    at.button(key="features_guess").click().run()
    assert "You guess that these blocks change: block 3, block 4" in at.info[0].value
    made(moved=moved)
    at.run()
    assert not at.exception and "You were right about 5 of 7 blocks" in at.info[0].value


def test_it_opens_on_what_is_ready_and_keeps_the_choice_when_another_run_gets_ready(app, made, moved, ended):
    made(ended.done[0], moved=moved)
    at = app("features")
    assert not at.exception and scene(at)["rows"] == 90, "the other run, newer, has no features"
    assert f"{ended.done[0]}:final" in at.query_params["b"]
    made(ended.done[1], moved=moved)
    at.run()
    assert f"{ended.done[0]}:final" in at.query_params["b"] and scene(at)
    at.switch_page("pages/home.py").run()
    at.switch_page("pages/features.py")
    at.query_params["ws"] = WORKSPACE
    at.run()
    assert f"{ended.done[0]}:final" in at.query_params["b"], "after a look at another page, too"


def test_a_run_under_way_is_waited_for(app, ended, settings, dataset, facts):
    store = Store(settings)
    recipe = Recipe(dataset=dataset.id, base_model="minilm", method="full")
    run = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="Waiting", recipe=recipe,
                                    runs_folder=settings.workspace(WORKSPACE) / "runs")])[0]
    at = app("features", run=run)
    assert not at.exception
    assert "has not finished yet" in shown(at) and "Blocks that changed" in [group.label for group in at.button_group]


def test_a_failed_run_says_that_there_is_nothing(app, ended):
    at = app("features", run=ended.failed)
    assert not at.exception
    assert "nothing to compare" in at.error[0].value


def test_a_failed_extraction_says_why(app, made, ended, settings):
    from core.domain.run import Failure
    from core.errors import FailureKind

    job = Thaw(settings).features.request(WORKSPACE, [ended.done[1]])
    store = Store(settings)
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    assert claim is not None and claim.run.id == job
    store.queue.begin(job, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    failure = Failure(kind=FailureKind.OUT_OF_MEMORY, what="Memory ran out.", why="Many rows.",
                      remedy="Use fewer rows.")
    store.queue.finish(job, fence=claim.fence, status=Status.FAILED, failure=failure)
    at = app("features", run=ended.done[1])
    assert "Memory ran out" in at.error[0].value
    jobs = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)
    assert len(jobs) == 1, "what failed is not tried again by itself"
    at.button(key="make_features").click().run()
    assert len(Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)) == 2


def test_the_page_answers_where_how_far_which_and_whether(app, made, moved):
    at = app("features", run=made(moved=moved))
    assert not at.exception and not at.error
    text = shown(at)
    assert "5 of 7 blocks are identical to the last bit" in text
    assert "Features changed most in" in text and "By CKA" in text
    assert "Movement captured" in text and "of 10 neighbours" in text
    assert "changed most (90)" in at.selectbox(key="features_kind").options
    at = measured(at)
    values = {m.label: m.value for m in at.metric}
    assert set(values) == {"k-NN accuracy, A → B", "CKA", "Neighbours kept", "Typical move"}


def test_choosing_a_block_drives_the_tiles(app, made, moved):
    at = measured(app("features", run=made(moved=moved)))
    at.button_group(key="features_block").set_value("block 2").run()
    assert not at.exception
    assert {m.label: m.value for m in at.metric}["CKA"] == "1.000"
    assert {m.label: m.value for m in at.metric}["Typical move"].startswith("0.00")


def test_identical_models_say_so_and_draw_no_arrows(app, made):
    at = app("features", run=made())
    assert not at.exception
    assert "are identical" in shown(at)
    at.button_group(key="features_way").set_value("arrows").run()
    assert not at.exception
    assert "No arrows: nothing moved" in shown(at).replace("\\", "")


def scene(at):
    """What the map's canvas was told."""
    return json.loads(next(c.proto.json for c in at.get("bidi_component") if "scene" in c.proto.json))["scene"]


def test_before_training_is_the_base_model(app, made, moved):
    run = made(moved=moved)
    at = app("features", a=f"{run}:base", b=f"{run}:base")
    assert not at.exception and not at.error
    assert "Base model and base model are identical" in shown(at)
    at.button_group(key="features_way").set_value("arrows").run()
    assert scene(at)["arrows"] == [] and scene(at)["mode"] == "arrows"


def test_the_map_shows_every_row_with_its_words(app, made, moved):
    at = app("features", run=made(moved=moved))
    found = scene(at)
    assert (found["mode"], found["rows"], len(found["hover"])) == ("panes", 90, 90)
    assert "of 10 neighbours" in found["hover"][0] and len(found["hover"][0].split("\n")) == 3
    at.button_group(key="features_way").set_value("arrows").run()
    assert sum(len(g["lines"]) // 4 for g in scene(at)["arrows"]) == 50 + 3
    at.selectbox(key="features_colour").set_value("typical move").run()
    assert scene(at)["scale"]["title"] == "Move"


def test_different_widths_have_no_arrows_and_no_movement(app, made):
    at = app("features", run=made(moved={"block 5": cloud(9, width=20)}))
    assert not at.exception
    assert any("differ in width" in w.value for w in at.warning)
    assert "Typical move" not in {m.label for m in at.metric}
    assert any("cannot be drawn on one map" in i.value for i in at.info)


@pytest.mark.parametrize(("values", "words"), [(np.ones((90, WIDTH)), "has collapsed"),
                                               (np.full((90, WIDTH), np.nan), "not finite")])
def test_broken_features_are_named(values, words, app, made):
    at = app("features", run=made(moved={"block 5": values}))
    assert not at.exception
    assert any(words in w.value for w in at.warning)


def test_few_rows_are_warned_of(app, made, moved, facts, settings):
    wide = {"block 5": cloud(6, width=120)}
    at = app("features", run=made(moved=wide))
    assert any("fewer than the 120 dimensions" in w.value for w in at.warning)


def test_without_labels_their_numbers_are_left_out(app, made, moved, settings, dataset):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    rows = pq.read_table(path)
    blank = pa.array([None] * len(rows), pa.int32())
    pq.write_table(rows.set_column(rows.column_names.index("label"), "label", blank), path)
    at = app("features", run=made(moved=moved))
    assert not at.exception
    assert any("no labels" in w.value for w in at.warning)
    assert "k-NN accuracy, A → B" not in {m.label for m in at.metric}
    assert "label" not in at.selectbox(key="features_colour").options


def test_two_runs_and_recorded_steps_can_be_compared(app, made, moved, ended):
    made(ended.done[0])
    run = made(moved=moved, steps=True)
    at = app("features", a=f"{ended.done[0]}:final", b=f"{run}:final")
    assert not at.exception and not at.error
    against = next(box for box in at.selectbox if box.label == "Model A")
    chosen = against.options[int(against.value)] if isinstance(against.value, int) else against.value
    assert "Linear probe" in str(chosen)
    assert "went from CKA" in shown(measured(at))
    at = app("features", a=f"{run}:base", b=f"{run}:step:2")
    assert not at.exception and not at.error
    assert "40 rows, the same at every position of the slider" in shown(at) and scene(at)["rows"] == 40
    for position in (0, 4):  # before training, after training
        at.select_slider[0].set_value(position).run()
        assert scene(at)["rows"] == 40, position
    at.toggle(key=f"features_along_{run}").set_value(False).run()
    assert not at.select_slider and scene(at)["rows"] == 90


def test_a_link_to_a_change_turned_up_or_down_is_refused_in_words(app, made, moved):
    run = made(moved=moved)
    at = app("features", a=f"{run}:base", b=f"{run}:final@0.5")
    assert not at.exception and "strength 0.5" in at.error[0].value


def test_predict_first_hides_the_page_until_revealed(app, made, moved):
    at = app("features", run=made(moved=moved))
    at.toggle(key="features_predict").set_value(True).run()
    assert "k-NN accuracy" not in shown(at)
    at.button_group[0].set_value(["block 3", "block 4"])
    at.button(key="features_guess").click().run()
    assert "You were right about 5 of 7 blocks" in at.info[0].value
    assert "k-NN accuracy" in shown(at)


def test_numbers_on_the_page_are_those_of_the_files(made, moved, settings):
    from core.analysis import downloads
    from core.domain.run import Interval

    run = made(moved=moved)
    asked = Side(run=run, which=Which.BASE), Side(run=run)
    space = Thaw(settings).features.compare(WORKSPACE, *asked, names=("base model", "LoRA"))
    document = json.loads(downloads.numbers(space))
    assert document["seed"] == 0 and "numpy" in document["versions"]
    assert isinstance(space.shift.blocks[3].cka, Interval)
    assert document["blocks"][4]["cka"] == space.shift.blocks[4].cka.value


def test_a_second_dataset_is_asked_for_and_then_drawn_beside(app, made, moved, settings, dataset):
    other = write_dataset(settings, n_rows=60)
    run = made(moved=moved)
    at = app("features", run=run)
    box = next(box for box in at.selectbox if box.label == "Beside")
    assert list(box.options) == ["nothing", "tiny"]
    box.set_value(other.id).run()
    assert not at.exception and "at up to 500 rows of tiny" in shown(at)
    assert not Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)
    at.button(key="make_features").click().run()
    jobs = Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)
    assert [job.payload["beside"] for job in jobs] == [other.id], "asked for once, for this run alone"
    folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
    where = feature_paths.of_run(folder, settings=settings, rows=2000).at_rows_of(other.id, settings=settings)
    for path, seed in ((where.base, 7), (where.tuned, 8)):
        blocks = {block.name: cloud(block.index + 10 * seed)[:60] for block in where.facts.blocks}
        BlockFeatures(row_ids=np.arange(60), blocks=blocks).save(path)
    at.run()
    assert not at.exception and not at.error
    assert "tiny rows (60)" in at.selectbox(key="features_kind").options
    assert "90 target rows and 60 tiny rows" in shown(measured(at))
    assert "between target rows and tiny rows, A → B" in shown(at) and "at least as far apart: p " in shown(at)
    at.session_state["features_layer"] = "See it"
    found = scene(at.run())
    assert found["rows"] == 150 and [name for name, _ in found["legend"]][-1] == "tiny rows"
    assert found["looks"][found["legend"][-1][1]] == [palette.SECOND.colour, palette.SECOND.symbol]
    assert found["hover"][149].split("\n")[0] == "tiny" and found["hover"][149].split("\n")[0] not in dataset.classes
    at.selectbox(key="features_colour").set_value("domain").run()
    assert [name for name, _ in scene(at)["legend"]] == ["target rows", "tiny rows"]


def test_recorded_steps_have_no_rows_of_a_second_dataset(app, made, moved, settings):
    other = write_dataset(settings, n_rows=60)
    run = made(moved=moved, steps=True)
    at = app("features", a=f"{run}:base", b=f"{run}:step:2", beside=other.id)
    assert not at.exception and not at.error
    assert "Beside" not in [box.label for box in at.selectbox]
    assert "40 target rows" in shown(measured(at)) and not Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)


def test_pictures_are_not_offered_beside_texts(app, made, moved, settings):
    write_picture_dataset(settings, n_rows=30)
    assert "Beside" not in [box.label for box in app("features", run=made(moved=moved)).selectbox]


@pytest.mark.parametrize(("drawer", "words"), [(0, "Effective rank"), (1, "k-NN accuracy needs no training"),
                                               (2, "not measured yet"), (3, "watch which number notices"),
                                               (4, "11 of 11 checks passed")])
def test_each_drawer_opens(drawer, words, app, made, moved):
    at = measured(app("features", run=made(moved=moved)))
    assert words not in shown(at)
    at.session_state[f"features_drawer_{drawer}"] = True
    at.run()
    assert not at.exception and not at.error
    assert words in shown(at)


def test_breaking_shows_before_and_after(app, made, moved):
    at = measured(app("features", run=made(moved=moved)))
    at.session_state["features_drawer_3"] = True
    at.run()
    at.button_group(key="features_break").set_value("scale").run()
    assert not at.exception and not at.error
    table = at.dataframe[0].value.set_index("Number")
    assert table.loc["CKA", "As it is"] == table.loc["CKA", "Broken"]
    assert float(table.loc["Scale", "Broken"]) == pytest.approx(3 * float(table.loc["Scale", "As it is"]), abs=0.01)


def test_training_rows_that_stand_in_are_named(app, made):
    at = app("features", run=made())
    assert not at.exception
    assert any("54 training rows stand in for them" in warning.value for warning in at.warning)


def test_a_word_lights_up_its_rows_and_one_row_brings_its_neighbours(app, made, moved):
    at = app("features", run=made(moved=moved))
    at.text_input(key="features_search").set_value("no such word").run()
    assert "No row holds that" in shown(at) and "rows selected" not in shown(at)
    name = scene(at)["legend"][0][0]
    at.text_input(key="features_search").set_value(name.upper()).run()
    assert "30 of 90 rows selected" in shown(at) and "selected (30)" in at.selectbox(key="features_kind").options
    at.session_state["features_picked"] = ["7"]
    at.run()
    assert "1 of 90 rows selected" in shown(at)
    assert "Nearest in **base model**" in shown(at) and "Nearest in **LoRA**" in shown(at)
    near = json.loads(next(c.proto.json for c in at.get("bidi_component") if '"row"' in c.proto.json))
    assert near["row"] == 7 and len(near["a"]) == len(near["b"]) == 5 and 7 not in near["a"]


def test_umap_offers_no_arrows(app, made, moved, monkeypatch):
    from core.shift import projection

    # what UMAP draws plays no part here, and its first call compiles for half a minute
    monkeypatch.setattr(projection, "umap_union", lambda sides, **_: [np.asarray(x, float)[:, :2] for x in sides])
    at = app("features", run=made(moved=moved))
    assert list(at.button_group(key="features_way").options) == ["side by side", "arrows", "on the way"]
    at.button_group(key="features_way").set_value("arrows").run()
    at.button_group(key="features_view").set_value("umap").run()
    assert not at.exception and list(at.button_group(key="features_way").options) == ["side by side"]
    assert scene(at)["mode"] == "panes" and scene(at)["arrows"] == []


def test_the_base_side_looks_the_same_for_every_run(app, made, moved, ended):
    made(ended.done[0], moved={"block 5": 3 * cloud(77)})
    made(ended.done[1], moved=moved)
    found = [scene(app("features", run=run)) for run in ended.done]
    assert found[0]["base"] == found[1]["base"] and found[0]["tuned"] != found[1]["tuned"]


def test_two_tuned_models_are_never_called_before_after_or_base(app, made, moved, ended):
    made(ended.done[0])
    run = made(moved=moved)
    at = measured(app("features", a=f"{ended.done[0]}:final", b=f"{run}:final"))
    for drawer in range(5):
        at.session_state[f"features_drawer_{drawer}"] = True
    at.run()
    alts = " ".join(str(chart.proto.alt) for chart in at.get("plotly_chart") if hasattr(chart.proto, "alt"))
    helps = " ".join(metric.help for metric in at.metric)
    words = re.sub(r"base model, or", "", f"{shown(at)} {alts} {helps}").lower()
    assert not at.exception and not re.findall(r".{30}\b(?:before|after|base)\b.{30}", words)


def test_sentences_follow_the_block(app, made, moved):
    at = app("features", run=made(moved=moved))
    assert "k-NN accuracy in block 5" in shown(at)
    at.button_group(key="features_block").set_value("block 3").run()
    text = shown(at)
    assert "k-NN accuracy in block 3" in text and "accuracy in block 5" not in text


@pytest.mark.parametrize("opened", [lambda at: at, measured], ids=["See it", "Measure it"])
def test_an_open_page_does_not_hold_the_features_of_both_models(opened, app, made, moved):
    """Thirty people, thirty open pages: what a page leaves in the session must not keep megabytes of features alive."""
    at = opened(app("features", run=made(moved=moved)))
    assert not at.exception
    feature_comparison._compare.cache_clear()
    gc.collect()
    assert [found for found in gc.get_objects() if isinstance(found, FeatureComparison)] == []


def test_two_equal_models_are_said_to_be_equal_and_a_pair_that_differs_is_offered(app, made, moved, ended):
    probe = made(ended.done[0])
    at = app("features", run=probe)
    assert "Both maps are the same picture" in shown(at)
    assert "changed most (0)" in at.selectbox(key="features_kind").options
    made(ended.done[1], moved=moved)
    at = app("features", run=probe)
    assert any(link.proto.label.endswith("instead") for link in at.get("page_link"))
