"""The page *Ask* and what an experiment that asks a question says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.api import Thaw
from core.domain.dataset import Dataset
from core.domain.model import ModelFacts
from core.domain.run import Status
from core.planning import designs
from core.settings import Settings
from core.store import Store
from tests.conftest import WORKSPACE
from tests.ui.conftest import put_results, shown


@pytest.fixture
def asked(app: Callable[..., AppTest], dataset: Dataset, facts: ModelFacts) -> AppTest:
    return app("ask", dataset=dataset.id)


def test_every_question_lays_out_its_runs_or_says_why_not(asked: AppTest) -> None:
    for name, design in designs.REGISTRY.items():
        asked.radio(key="ask_design").set_value(name).run()
        assert not asked.exception and design.question in asked.radio(key="ask_design").options
        if name == "shift":
            assert "no rows of another domain" in asked.error[0].value
            assert "Add a shift set to it" in [link.proto.label for link in asked.get("page_link")], "no dead end"
            assert "OpenMoji" in next(each.value for each in asked.caption if "bring a shift set along" in each.value)
        elif name != "base":
            assert not asked.error and f"× {design.seeds} seeds" in shown(asked)
            arms = len(asked.dataframe[0].value)
            assert f"**{arms} arm{'s' * (arms > 1)} ×" in shown(asked), "one arm is no arms"
            assert asked.button(key="ask_start").label.startswith("Start ")


def test_runs_that_ran_before_take_part_and_are_not_repeated(
        asked: AppTest, app: Callable[..., AppTest], settings: Settings, dataset: Dataset, tmp_path: Path) -> None:
    def ends(experiment: str) -> None:
        for run in api.experiments.runs(WORKSPACE, experiment):
            claim = store.queue.claim(supervisor="test", host="test", slots=1)
            assert claim is not None and claim.run.id == run.id and run.recipe is not None
            put_results(Path(run.folder), dataset, wrong=8 * (run.recipe.method == "probe"))
            store.queue.finish(run.id, fence=claim.fence, status=Status.DONE)

    def choose(at: AppTest, methods: list[str]) -> AppTest:
        at.multiselect(key="ask_methods_methods").set_value(methods).run()
        return at.number_input(key="ask_seeds_methods").set_value(2).run()

    api, store = Thaw(settings), Store(settings)
    choose(asked, ["probe", "full"]).button(key="ask_start").click().run()
    ends(api.experiments.all(WORKSPACE)[0].id)
    first = {run.id for run in api.runs.all(WORKSPACE)}

    at = choose(app("ask", dataset=dataset.id), ["probe", "full"])
    assert not at.exception and "All 4 runs ran before" in shown(at)
    assert "Nothing is left to train" in at.success[0].value
    assert "ask_start" not in [button.key for button in at.button]
    at.toggle(key="ask_again").set_value(True).run()
    assert at.button(key="ask_start").label == "Start 4 runs"
    at.toggle(key="ask_again").set_value(False).run()
    choose(at, ["probe", "full", "lora"])
    assert "4 of 6 runs ran before" in shown(at) and at.button(key="ask_start").label == "Start 2 runs"
    at.button(key="ask_start").click().run()
    assert not at.exception
    second = next(each for each in api.experiments.all(WORKSPACE) if each.asked and each.asked.taken)
    assert second.asked is not None and set(second.asked.taken) == first
    assert {run.recipe.method for run in api.experiments.runs(WORKSPACE, second.id) if run.recipe} == {"lora"}
    ends(second.id)
    at = app("experiment", experiment=second.id)
    said = api.questions.of(WORKSPACE, second.id)
    assert not at.exception and "4 runs from before take part" in shown(at) and set(at.multiselect[0].value) > first
    assert said is not None and said.done == said.planned == 6 and at.success

    every = [run.id for run in api.runs.all(WORKSPACE)]
    api.share.archive(WORKSPACE, every, tmp_path / "a.zip")
    made = api.share.take_in("another-workspace", tmp_path / "a.zip")
    there = [found for each in made.experiments if (found := api.questions.of("another-workspace", each)) is not None]
    assert {each.done for each in there} == {4, 6}, "it travels whole"
    api.runs.delete(WORKSPACE, next(iter(first)))
    at = app("experiment", experiment=second.id)
    assert not at.exception and "3 runs from before take part" in shown(at)


def test_rates_and_depths_are_choices_like_others(asked: AppTest) -> None:
    """The same grid for every arm that has a rate, said before the start; depths only where the question has any."""
    assert "ask_depths" not in str([each.key for each in asked.multiselect])
    asked.multiselect(key="ask_rates_methods").set_value(["0.3", "1", "3"]).run()
    text, table = shown(asked), asked.dataframe[0].value
    runs = dict(zip(table["Arm"], table["Runs"], strict=True))
    assert runs["Linear probe"] == 3 and runs["Full fine-tuning"] == 9
    assert f"{len(runs)} arms × up to 3 rates × 3 seeds = {sum(runs.values())} runs" in text
    asked.multiselect(key="ask_methods_methods").set_value(["full", "lora"]).run()
    assert "2 arms × 3 rates × 3 seeds = 18 runs" in shown(asked)
    asked.radio(key="ask_design").set_value("depth").run()
    depths = next(each for each in asked.multiselect if str(each.key).startswith("ask_depths"))
    every = len(asked.dataframe[0].value)
    depths.set_value([2]).run()
    assert not asked.exception and len(asked.dataframe[0].value) == 3 < every
    assert "3 arms × 3 seeds = 9 runs" in shown(asked)
    asked.radio(key="ask_design").set_value("rate").run()
    asked.multiselect(key="ask_rates_rate").set_value(["3"]).run()
    assert not asked.exception and all(" at " in arm for arm in asked.dataframe[0].value["Arm"])
    assert len(asked.dataframe[0].value) == 4, "the usual rate and three times it, of two methods"


def test_one_seed_is_named_as_such_before_the_start(asked: AppTest) -> None:
    assert "One seed" not in shown(asked)
    asked.number_input(key="ask_seeds_methods").set_value(1).run()
    assert "One seed says nothing" in shown(asked)


def test_a_question_is_started_as_one_experiment_and_answered_as_its_runs_end(
        asked: AppTest, app: Callable[..., AppTest], settings: Settings, dataset: Dataset,
        tmp_path: Path) -> None:
    asked.multiselect(key="ask_methods_methods").set_value(["probe", "full"]).run()
    asked.number_input(key="ask_seeds_methods").set_value(2).run()
    assert "2 arms × 2 seeds = 4 runs" in shown(asked)
    asked.button(key="ask_start").click().run()
    api, store = Thaw(settings), Store(settings)
    [experiment] = api.experiments.all(WORKSPACE)
    assert experiment.asked is not None and experiment.asked.design == "methods"
    assert experiment.name.startswith("Which method?")
    waiting = app("experiment", experiment=experiment.id)
    assert not waiting.exception and "0 of 4 runs have results" in waiting.info[0].value
    for number, run in enumerate(api.experiments.runs(WORKSPACE, experiment.id)):
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        assert claim is not None and claim.run.id == run.id and run.recipe is not None
        put_results(Path(run.folder), dataset, wrong=8 * (run.recipe.method == "probe"))
        store.queue.finish(run.id, fence=claim.fence, status=Status.DONE)
        if number == 2:
            part = app("experiment", experiment=experiment.id)
            assert "So far, with 3 of 4 runs" in part.info[0].value
    at = app("experiment", experiment=experiment.id)
    assert not at.exception and "is best, with" in at.success[0].value and "over 2 seeds" in at.success[0].value
    text = shown(at)
    assert "Linear probe beside Full fine-tuning" in text and "**Seeds alone**" in text and "points of accuracy" in text
    said = api.questions.of(WORKSPACE, experiment.id)
    assert said is not None and said.done == said.planned == 4 and not said.document["arms"][0]["rates"]
    assert at.get("plotly_chart"), "the chart of the question"
    again = api.questions.of(WORKSPACE, experiment.id)
    assert again is not None and again.reading is said.reading, "nothing has changed on disk"
    file = api.share.report(WORKSPACE, [run.id for run in api.experiments.runs(WORKSPACE, experiment.id)]).decode()
    assert "Which method?" in file and "Linear probe beside Full fine-tuning" in file
    api.share.archive(WORKSPACE, [run.id for run in api.experiments.runs(WORKSPACE, experiment.id)], tmp_path / "a.zip")
    taken = api.share.take_in("another-workspace", tmp_path / "a.zip")
    there = api.questions.of("another-workspace", taken.experiments[0])
    assert there is not None and there.answer == said.answer and there.done == there.planned == 4, "it travels whole"
    first = Path(api.experiments.runs(WORKSPACE, experiment.id)[0].folder)
    put_results(first, dataset, wrong=18)
    changed = api.questions.of(WORKSPACE, experiment.id)
    assert changed is not None and changed.answer != said.answer


def test_an_experiment_without_a_question_has_no_answer(app: Callable[..., AppTest], ended: object,
                                                        settings: Settings) -> None:
    api = Thaw(settings)
    [experiment] = api.experiments.all(WORKSPACE)
    assert experiment.asked is None and api.questions.of(WORKSPACE, experiment.id) is None
    at = app("experiment", experiment=experiment.id)
    assert not at.exception and not {header.value for header in at.header} & {
        design.question for design in designs.REGISTRY.values()}
