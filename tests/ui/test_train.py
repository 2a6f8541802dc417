"""The Train page: freeze grid, dial, overrides, estimates, and the recipes that come out of it."""

import dataclasses
from pathlib import Path

import pytest

from core.api import Thaw
from core.data import versions
from core.domain.model import SharedPart
from core.models import facts as model_facts
from core.models.methods import REGISTRY
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import shown


@pytest.fixture
def page(app, facts, dataset):
    at = app("train")
    assert not at.exception
    assert not at.error
    return at


def recipes(settings):
    return {r.recipe.method: r.recipe for r in Thaw(settings).runs.all(WORKSPACE)}


def switch(at, blocks, *, train):
    """Through the field, since the cells are a part that this runner cannot press; the browser tests do."""
    at.text_input(key="freeze_some").set_value(blocks).run()
    at.button(key="some_train" if train else "some_freeze").click().run()


def test_blocks_by_name_number_and_range_are_thawed_and_frozen_and_the_count_follows(page):
    assert "5.32 M** of 22.6 M parameters train" in shown(page)
    switch(page, "2", train=True)
    assert "7.10 M** of 22.6 M parameters train" in shown(page)
    switch(page, "block 2", train=False)
    assert "5.32 M** of 22.6 M parameters train" in shown(page)
    switch(page, "1-4, embeddings", train=False)
    assert "embeddings, blocks 0–4 frozen" in shown(page)
    assert not page.exception and not page.error


def test_blocks_that_are_not_there_are_named_and_change_nothing(page):
    page.text_input(key="freeze_some").set_value("9").run()
    assert "matches no block" in page.error[0].value
    assert page.button(key="some_train").disabled and page.button(key="some_freeze").disabled
    assert "embeddings, blocks 0–2 frozen" in shown(page)


def test_a_plan_drawn_in_the_cells_is_the_plan(page):
    """What the cells answer is a list of names; those of a model that was left meanwhile fall out."""
    frozen = ["block 4", "block 99", "embeddings"]
    page.session_state["freeze_grid"] = {"model": "minilm", "frozen": frozen, "serial": 7}
    page.run()
    assert "embeddings, block 4 frozen" in shown(page)


def test_a_deep_model_has_thirds_and_every_other_block(app, facts, dataset, settings):
    deep = tuple(dataclasses.replace(facts.blocks[1], index=i + 1, name=f"block {i}") for i in range(80))
    model_facts.write(dataclasses.replace(facts, blocks=(facts.blocks[0], *deep)), settings)
    page = app("train")
    assert "embeddings, blocks 0–39 frozen" in shown(page)
    for plan, words in (("Lower third", "embeddings, blocks 0–25 frozen"), ("Middle third", "blocks 26–52 frozen"),
                        ("Upper third", "blocks 53–79 frozen"), ("Upper half", "blocks 40–79 frozen"),
                        ("Every other", "embeddings, every other block of 1–79 frozen")):
        page.button(key=f"preset_{plan}").click().run()
        assert words in shown(page), plan
    assert not page.exception


@pytest.mark.parametrize(("preset", "words"), [("preset_None", "nothing frozen"),
                                               ("preset_All but head", "all but head frozen"),
                                               ("preset_Lower half", "embeddings, blocks 0–2 frozen"),
                                               ("preset_Upper half", "blocks 3–5 frozen"),
                                               ("preset_Every other", "embeddings, block 1, block 3, block 5 frozen"),
                                               ("preset_top", "embeddings, blocks 0–3 frozen")])
def test_presets(page, preset, words):
    page.button(key=preset).click().run()
    assert words in shown(page)


def test_what_blocks_share_is_named_and_counted_as_frozen_with_any_of_them(app, facts, dataset, settings):
    users = tuple(f"block {i}" for i in range(6))
    part = SharedPart(name="encoder.relative_attention_bias.weight", used_by=users, parameters=2_000_000)
    model_facts.write(dataclasses.replace(facts, shared=(part,)), settings)
    page = app("train")
    assert "5.32 M** of 24.6 M parameters train" in shown(page)
    assert "shared by several blocks (encoder.relative_attention_bias)" in shown(page)
    assert "now they are frozen" in shown(page)
    page.button(key="preset_None").click().run()
    assert "24.6 M** of 24.6 M parameters train" in shown(page) and "now they are trained" in shown(page)


def test_the_head_cannot_be_frozen_and_a_tied_one_follows_the_embeddings():
    from pages._ui.train import freeze_grid

    body = [freeze_grid.Cell(name=name, text=name, label=f"Train {name}", help="", frozen=True)
            for name in ("embeddings", "block 0")]
    new, tied = freeze_grid._head(body, freeze_grid.Head.NEW, 1155), freeze_grid._head(body, freeze_grid.Head.TIED, 0)
    assert new.fixed and new.follows is None and not new.frozen and new.label == "The head always trains"
    own = freeze_grid._head(body, freeze_grid.Head.OWN, 1155, frozen=True)
    assert not own.fixed and own.frozen and own.label == "Train the head"
    assert tied.fixed and tied.follows == 0 and tied.text == "head: shares the embeddings"


def test_start_submits_the_plan_the_overrides_and_each_seed_and_budget(page, settings):
    page.checkbox(key="method_full").uncheck()
    page.checkbox(key="method_probe").uncheck()
    switch(page, "2", train=True)
    page.number_input(key="set_epochs").set_value(1.5)
    page.number_input(key="train_seeds").set_value(2)
    page.multiselect(key="train_budgets").set_value(["all", "32"]).run()
    assert page.button(key="start").label == "Start 8 runs"
    page.button(key="start").click().run()
    assert not page.exception
    runs = Thaw(settings).runs.all(WORKSPACE)
    assert len(runs) == 8
    assert {(r.recipe.seed, r.recipe.label_budget) for r in runs} == {(0, None), (1, None), (0, 32), (1, 32)}
    found = recipes(settings)
    assert found["partial"].freeze.frozen == ("embeddings", "block 0", "block 1")
    assert found["lora"].freeze.frozen == ()
    assert {r.recipe.epochs for r in runs} == {1.5}


def test_what_ran_before_is_offered_in_the_place_of_a_repetition(page, app, settings, dataset):
    from core.domain.run import Status
    from core.store import Store
    from tests.ui.conftest import put_results

    page.button(key="start").click().run()
    api, store = Thaw(settings), Store(settings)
    for run in api.runs.all(WORKSPACE)[::-1]:
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        put_results(Path(run.folder), dataset, wrong=3)
        store.queue.finish(claim.run.id, fence=claim.fence, status=Status.DONE)
    before = [run.id for run in api.runs.all(WORKSPACE)]
    at = app("train", dataset=dataset.id)
    assert not at.exception and f"All {len(before)} runs ran before" in shown(at)
    assert "Nothing is left to train" in at.success[0].value
    at.number_input(key="set_epochs").set_value(1.5).run()
    assert f"1 of {len(before)} runs ran before" in shown(at), "of other recipes; a probe has no epochs"
    at = app("train", dataset=dataset.id)
    at.number_input(key="train_seeds").set_value(2).run()
    assert f"{len(before)} of {2 * len(before)} runs ran before" in shown(at)
    at.button(key="start").click().run()
    assert not at.exception
    new = [run for run in api.runs.all(WORKSPACE) if run.id not in before]
    assert len(new) == len(before) and {run.recipe.seed for run in new} == {1}
    at = app("experiment", experiment=new[0].experiment, beside=",".join(before))
    assert not at.exception and f"{len(before)} runs from before take part" in shown(at)


def test_runs_race_where_it_is_ticked_and_more_than_one_takes_steps(page, settings):
    assert not page.checkbox(key="in_turns").value
    page.checkbox(key="in_turns").check().run()
    page.checkbox(key="method_partial").uncheck()
    page.checkbox(key="method_full").uncheck().run()
    assert "in_turns" not in [box.key for box in page.checkbox], "a probe takes no steps, and one run is no race"
    page.checkbox(key="method_full").check().run()
    page.checkbox(key="in_turns").check().run()
    page.button(key="start").click().run()
    assert not page.exception
    runs = Thaw(settings).runs.all(WORKSPACE)
    assert len(runs) == 3 and all(run.in_turns for run in runs)


def test_adapters_stay_out_of_frozen_blocks_when_asked(page, settings):
    page.checkbox(key="freeze_adapters").check().run()
    page.button(key="start").click().run()
    assert recipes(settings)["lora"].freeze.frozen == ("embeddings", "block 0", "block 1", "block 2")
    assert recipes(settings)["full"].freeze.frozen == ()


def test_the_dial_changes_the_recipes(page, settings):
    page.segmented_control(key="train_effort").set_value("quick").run()
    page.button(key="start").click().run()
    assert {r.effort for r in recipes(settings).values()} == {"quick"}


def test_estimates_stand_before_the_start(page):
    text = shown(page)
    assert "in all" in text
    assert text.count("fits") + text.count("tight") + text.count("will not fit") >= 4


def test_qlora_says_what_it_saves_on_a_processor(page):
    assert "Saves memory, not time" in shown(page)


def test_a_method_that_the_model_refuses_cannot_be_ticked_and_says_why(app, facts, dataset, settings):
    reason = "adapters do not fit this architecture: one training step was tried and failed (TypeError: list[0])"
    model_facts.write(dataclasses.replace(facts, refusals={"lora": reason}), settings)
    page = app("train")
    assert page.checkbox(key="method_lora").disabled and not page.checkbox(key="method_lora").value
    assert "Does not apply" in shown(page) and r"TypeError\: list\[0\]" in shown(page)
    assert not page.checkbox(key="method_full").disabled


def test_without_a_method_the_page_says_so(page):
    for name in ("probe", "partial", "lora", "full"):
        page.checkbox(key=f"method_{name}").uncheck()
    page.run()
    assert "Tick at least one method" in shown(page)
    assert not page.exception


def test_a_bad_budget_is_marked_and_the_plan_of_the_others_stays(page):
    page.multiselect(key="train_budgets").set_value(["many", "32"]).run()
    assert not page.exception
    assert "label budget 'many'" in page.error[0].value.replace("\\", "")
    assert page.button(key="start").disabled and "in all" in shown(page)
    page.multiselect(key="train_budgets").set_value(["32"]).run()
    assert not page.error and not page.button(key="start").disabled


def test_a_budget_above_the_rows_there_are_means_all_of_them_once(page):
    page.multiselect(key="train_budgets").set_value(["all", "5000"]).run()
    assert "5,000 is not less than the 72 labelled rows" in shown(page)
    assert page.button(key="start").label == "Start 4 runs"


def test_a_name_that_is_too_long_is_refused_in_words_and_not_cut(page, settings):
    name = next(field for field in page.text_input if field.key.startswith("name_"))
    name.set_value("x" * 121).run()
    page.button(key="start").click().run()
    assert "121 characters" in page.error[0].value
    assert Thaw(settings).runs.all(WORKSPACE) == []
    next(field for field in page.text_input if field.key.startswith("name_")).set_value("x" * 120).run()
    page.button(key="start").click().run()
    assert Thaw(settings).experiments.all(WORKSPACE)[0].name == "x" * 120


def test_from_an_empty_folder_everything_can_be_chosen_and_starting_fetches(app, settings):
    at = app("train")
    assert not at.exception and not at.error, [e.value for e in at.error]
    assert "5.33 M** of 22.6 M parameters train" in shown(at)
    switch(at, "2", train=True)
    assert "7.10 M** of 22.6 M parameters train" in shown(at)
    assert any("Fetched once, before the first run: 86 MB" in e.label for e in at.expander)
    at.button(key="start").click().run()
    assert not at.exception, at.error
    found = recipes(settings)
    assert set(found) == {"probe", "partial", "lora", "full"}
    assert found["partial"].freeze.frozen == ("embeddings", "block 0", "block 1")
    assert {(r.dataset, r.base_model) for r in found.values()} == {("bbc-news", "minilm")}


def test_a_model_that_was_not_fetched_asks_to_fetch_it(app, dataset, settings):
    at = app("train")
    at.selectbox(key="train_model").set_value("another model").run()
    at.text_input(key="train_model_other").set_value("prajjwal1/bert-tiny").run()
    assert "Fetch and inspect the base model first" in shown(at)
    at.button(key="fetch_first").click().run()
    assert not at.exception
    (job,) = Thaw(settings).runs.all(WORKSPACE)
    assert job.payload == {"model": "prajjwal1/bert-tiny"}


def test_an_earlier_state_of_the_data_can_still_be_trained_on(app, facts, dataset, settings):
    """A mended dataset has taken its place in the list; its address leads to it all the same."""
    other = write_dataset(settings, n_rows=60)
    versions.replace(settings.workspace(WORKSPACE) / "datasets" / dataset.id, other.id, versions.Changes())
    assert at_dataset(app("train")) == other.id
    assert at_dataset(app("train", dataset=dataset.id)) == dataset.id


def at_dataset(at):
    assert not at.exception and not at.error
    return at.selectbox(key="train_dataset").value


def fold(at):
    return next(each for each in at.expander if each.label.startswith("More methods"))


def test_everyday_methods_stand_open_and_the_others_in_a_fold_that_counts_what_is_ticked(page, settings):
    everyday = {name for name, method in REGISTRY.items() if method.card.everyday}
    more = [box.key.removeprefix("method_") for box in fold(page).checkbox]
    assert everyday.isdisjoint(more) and everyday | set(more) == set(REGISTRY)
    assert fold(page).label == f"More methods ({len(more)})" and not fold(page).proto.expanded
    page.checkbox(key=f"method_{more[0]}").check().run()
    assert fold(page).label == f"More methods (1 of {len(more)} ticked)"
    page.switch_page("pages/home.py").run()
    page.switch_page("pages/train.py").run()
    assert fold(page).label == f"More methods (1 of {len(more)} ticked)"
    page.button(key="start").click().run()
    assert more[0] in recipes(settings)


def test_a_ticked_method_that_a_model_does_not_allow_is_not_counted(app, facts, dataset, settings):
    name = next(name for name, method in REGISTRY.items() if not method.card.everyday)
    at = app("train")
    at.checkbox(key=f"method_{name}").check().run()
    model_facts.write(dataclasses.replace(facts, refusals={name: "it was tried and failed"}), settings)
    at.run()
    assert at.checkbox(key=f"method_{name}").disabled and "ticked" not in fold(at).label
