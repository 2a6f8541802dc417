"""Designs: the arms they lay out, and what their sentences say of made-up results whose truth is known."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from core.analysis import experiment as analysis
from core.domain.dataset import Content, Dataset, Task
from core.domain.experiment import Arm, Experiment
from core.domain.model import ModelFacts
from core.domain.recipe import ADAMW
from core.errors import RecipeError
from core.metrics import REGISTRY as METRICS
from core.metrics import Judged
from core.metrics.words import listed
from core.planning import designs
from core.planning.designs import labels
from core.planning.designs.base import Choices, expanded, experiment
from core.planning.designs.depth import depths
from core.planning.designs.found import Found
from core.settings import Settings
from tests.conftest import write_dataset

ROWS = 400


@pytest.fixture
def choices(tiny_facts: ModelFacts, settings: Settings) -> Choices:
    return Choices(dataset=write_dataset(settings, n_rows=300, shift_rows=30), models=(tiny_facts,), effort="quick")


def judged(accuracy: float, seed: int, *, rows: int = ROWS, hard: np.ndarray | None = None) -> Judged:
    """Rows of two classes that are right with this probability; hard rows are so for every arm."""
    rng = np.random.default_rng(seed)
    labels_of = np.arange(rows) % 2
    ease = np.random.default_rng(0).random(rows) if hard is None else hard
    right = (ease < accuracy) ^ (rng.random(rows) < 0.02)
    return Judged(labels=labels_of, predictions=np.where(right, labels_of, 1 - labels_of))


def results(laid: Experiment, accuracy: Callable[[Arm], float], *, shift: Callable[[Arm], float] | None = None,
            seeds: int = 3) -> Found:
    """Made-up test and validation rows of each arm."""
    design = designs.get(laid.design)
    rows: dict[str, dict[str, Mapping[int, Judged]]] = {}
    for number, arm in enumerate(laid.arms):
        rows[arm.name] = {split: {seed: judged(accuracy(arm), 1000 * number + seed + 100 * (split == "test"))
                                  for seed in range(seeds)} for split in ("validation", "test")}
        if shift is not None:
            rows[arm.name]["shift"] = {seed: judged(shift(arm), 7000 * (number + 1) + seed) for seed in range(seeds)}
    return Found(experiment=laid, metric=METRICS["accuracy"], rows=rows, pairs=design.pairs(laid.arms))


@pytest.mark.parametrize("name", [name for name in designs.REGISTRY if name != "base"])
def test_every_design_lays_out_arms_that_can_run(name: str, choices: Choices) -> None:
    design = designs.get(name)
    laid = experiment(design, choices)
    assert len(laid.arms) >= (1 if name == "seeds" else 2) and len(laid.seeds) == design.seeds
    planned = expanded(laid)
    assert len(planned) == laid.runs == len({each.name for each in planned})
    for each in planned:
        assert re.fullmatch(r"[a-z0-9.\-]+", each.name) and each.recipe.seed == each.seed
    named = {arm.name for arm in laid.arms}
    assert all(a in named and b in named and a != b for a, b in design.pairs(laid.arms))
    assert design.question.endswith("?") and re.search(r"arXiv \d{4}\.\d{4,5}", design.paper)


def test_base_models_take_two(choices: Choices) -> None:
    with pytest.raises(RecipeError, match="compares base models"):
        experiment(designs.get("base"), choices)
    other = dataclasses.replace(choices.facts, id="/models/other")
    laid = experiment(designs.get("base"), dataclasses.replace(choices, models=(choices.facts, other)))
    assert {arm.recipe.base_model for arm in laid.arms} == {choices.facts.id, "/models/other"}
    assert {arm.recipe.method for arm in laid.arms} == {"probe", "full"}


def test_depths_thaw_from_the_top_and_end_with_everything(choices: Choices) -> None:
    laid = experiment(designs.get("depth"), choices)
    assert [arm.x for arm in laid.arms] == [0, 1, 2, 3, 4, 5]
    assert laid.arms[0].recipe.method == "probe" and laid.arms[-1].recipe.freeze.frozen == ()
    assert laid.arms[2].recipe.freeze.frozen == ("embeddings", "block 0", "block 1")
    assert depths(31)[0] == 1 and depths(31)[-1] == 31 and len(depths(31)) == 8


def test_depths_that_are_named_are_those_between_nothing_and_everything(choices: Choices) -> None:
    named = dataclasses.replace(choices, depths=(4, 2, 2, 0))
    laid = experiment(designs.get("depth"), named)
    assert [arm.x for arm in laid.arms] == [0, 2, 4, 5]
    whole = {arm.name: arm for arm in experiment(designs.get("depth"), choices).arms}
    assert all(arm == whole[arm.name] for arm in laid.arms), "the same arms as without, only fewer"
    assert designs.get("depth").pairs(laid.arms) == [(f"thaw-{k}", "thaw-5") for k in (0, 2, 4)]
    with pytest.raises(RecipeError, match="6 blocks cannot be thawed"):
        experiment(designs.get("depth"), dataclasses.replace(choices, depths=(6,)))
    with pytest.raises(RecipeError, match="has no depths to choose"):
        experiment(designs.get("methods"), named)


def test_single_blocks_thaw_one_each(choices: Choices) -> None:
    laid = experiment(designs.get("block"), choices)
    blocks = choices.facts.block_names
    for arm in laid.arms[:-1]:
        assert len([b for b in blocks if b != "head" and b not in arm.recipe.freeze.frozen]) == 1
    assert laid.arms[-1].recipe.freeze.frozen == ()


def test_four_bits_differ_in_nothing_but_their_weights(choices: Choices) -> None:
    one, two = experiment(designs.get("four-bit"), choices).arms
    assert one.recipe.replace(method="qlora") == two.recipe and one.recipe.optimizer == ADAMW == two.recipe.optimizer


def test_rates_multiply_both_rates_and_solved_heads_have_none(choices: Choices) -> None:
    swept = experiment(designs.get("methods"), dataclasses.replace(choices, rates=(0.5, 1.0, 2.0)))
    planned = [each for each in expanded(swept) if each.seed == 0]
    assert {(each.arm, each.rate) for each in planned if each.arm == "probe"} == {("probe", 1.0)}
    lora = {each.rate: each.recipe for each in planned if each.arm == "lora"}
    assert lora[2.0].learning_rate == 2 * lora[1.0].learning_rate == 4 * lora[0.5].learning_rate
    assert lora[2.0].head_learning_rate == 2 * lora[1.0].head_learning_rate
    grid = experiment(designs.get("rate"), dataclasses.replace(choices, methods=("lora",), rates=(0.1, 10.0)))
    assert [arm.name for arm in grid.arms] == ["lora-rate0.1", "lora-rate1", "lora-rate10"] and grid.rates == (1.0,)


def test_what_has_no_rate_is_no_question_of_rates(choices: Choices) -> None:
    with pytest.raises(RecipeError, match=r"Linear probe has no learning rate\."):
        experiment(designs.get("rate"), dataclasses.replace(choices, methods=("probe",)))


def test_budgets_beyond_the_labels_there_are_mean_all_once(choices: Choices) -> None:
    laid = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(40, choices.labels, 10**8, None)))
    assert [(arm.name, arm.x) for arm in laid.arms[:2]] == [("full-40", 40), ("full-all", choices.labels)]
    assert len(laid.arms) == 4 and laid.arms[1].recipe.label_budget is None


def test_what_does_not_apply_is_refused_with_its_reason(choices: Choices, tiny_dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match="no rows of another domain"):
        experiment(designs.get("shift"), dataclasses.replace(choices, dataset=tiny_dataset))
    language = dataclasses.replace(tiny_dataset, task=Task.on(Content.TEXT, labelled=False))
    with pytest.raises(RecipeError, match="does not apply"):
        experiment(designs.get("methods"), dataclasses.replace(choices, dataset=language, methods=("lora", "lp_ft")))
    with pytest.raises(RecipeError, match="no design"):
        designs.get("moon")


def test_a_planted_difference_is_found_and_a_tie_reads_as_a_tie(choices: Choices) -> None:
    laid = experiment(designs.get("methods"), choices)
    found = results(laid, lambda arm: {"full": 0.95, "lora": 0.8, "probe": 0.7}[arm.recipe.method])
    said = designs.get("methods").answer(found)
    assert said.sentence.startswith("Full fine-tuning is best") and said.details["best"] == "full"
    assert said.low is not None and said.low > 0 and said.low <= 0.15 <= (said.high or 0)
    assert {each.verdict for each in found.compared} <= {"better", "worse"}
    tied = designs.get("methods").answer(results(laid, lambda arm: 0.8))
    assert "cannot tell" in tied.sentence and "is best" not in tied.sentence
    assert tied.low is not None and tied.low <= 0 <= (tied.high or 0)


def test_where_nothing_differs_at_most_one_experiment_in_twenty_says_so(choices: Choices) -> None:
    laid = experiment(designs.get("methods"), choices)
    asserted, tried = 0, 200
    for trial in range(tried):
        rows = {arm.name: {"test": {seed: judged(0.8, 10_000 * trial + 100 * number + seed, rows=120)
                                    for seed in range(3)}} for number, arm in enumerate(laid.arms)}
        found = Found(experiment=laid, metric=METRICS["accuracy"], rows=rows,
                      pairs=designs.get("methods").pairs(laid.arms))
        asserted += any(each.verdict != "cannot tell" for each in found.compared)
    assert asserted / tried <= 0.08  # 0.05 and two standard errors of two hundred


def test_the_depth_from_which_nothing_is_gained(choices: Choices) -> None:
    laid = experiment(designs.get("depth"), choices)
    said = designs.get("depth").answer(results(laid, lambda arm: 0.6 if (arm.x or 0) < 3 else 0.9))
    assert said.details["enough"] == 3 and said.sentence.startswith("From top 3 of 5 thawed on")
    growing = designs.get("depth").answer(results(laid, lambda arm: 0.4 + 0.1 * (arm.x or 0)))
    assert growing.details["enough"] == 5 and growing.sentence.startswith("Every block counts")


def test_the_block_that_matters(choices: Choices) -> None:
    laid = experiment(designs.get("block"), choices)
    said = designs.get("block").answer(
        results(laid, lambda arm: 0.9 if arm.name in ("block-2", "everything") else 0.6))
    assert said.details["best"] == "block-2" and "block 2 does best" in said.sentence


def test_a_single_block_that_does_as_well_as_everything_is_no_finding(choices: Choices) -> None:
    laid = experiment(designs.get("block"), choices)
    tied = designs.get("block").answer(results(laid, lambda arm: 0.8))
    assert "cannot tell from everything thawed" in tied.sentence and tied.low is not None
    assert tied.low <= 0 <= (tied.high or 0)
    alike = results(laid, lambda arm: 0.8)
    same = dict.fromkeys(alike.rows, alike.rows[laid.arms[0].name])
    said = designs.get("block").answer(dataclasses.replace(alike, rows=same)).sentence
    assert said.startswith("Every single block reaches the same (") and "does best" not in said
    behind = designs.get("block").answer(results(laid, lambda arm: 0.9 if arm.name == "everything" else 0.6))
    assert "worse than everything thawed, by" in behind.sentence and behind.high is not None and behind.high < 0
    ahead = designs.get("block").answer(results(laid, lambda arm: 0.9 if arm.name == "block-1" else 0.6))
    assert ahead.details["best"] == "block-1" and "better than everything thawed, by" in ahead.sentence


def test_base_models_that_tie_and_one_that_is_better(choices: Choices) -> None:
    other = dataclasses.replace(choices.facts, id="/models/other")
    laid = experiment(designs.get("base"), dataclasses.replace(choices, models=(choices.facts, other)))
    answer = designs.get("base").answer
    tied = answer(results(laid, lambda arm: 0.8))
    assert "cannot tell" in tied.sentence and tied.low is not None and tied.low <= 0 <= (tied.high or 0)
    told = answer(results(laid, lambda arm: 0.95 if arm.name == "other-full" else
                          0.8 if arm.recipe.base_model == other.id else 0.7))
    assert told.details["best"] == "other-full" and "is best" in told.sentence
    assert "named the same base model" in told.sentence and told.low is not None and told.low > 0
    missed = answer(results(laid, lambda arm: 0.95 if arm.name == "other-full" else
                            0.9 if arm.recipe == laid.arms[0].recipe else 0.7))
    assert "and other came out first" in missed.sentence
    assert "tuned these runs cannot tell it from" in tied.sentence and "came out first" not in tied.sentence


def test_depths_labels_and_rates_that_tie(choices: Choices) -> None:
    depth = designs.get("depth").answer(results(experiment(designs.get("depth"), choices), lambda arm: 0.8))
    assert depth.details["enough"] == 0 and "shows no gain" in depth.sentence
    curves = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(20, 60, 200)))
    worth = designs.get("labels").answer(results(curves, lambda arm: 1 - 0.5 * (arm.x or 1)**-0.3))
    assert worth.low is not None and worth.low <= 1 <= (worth.high or 0), "pretraining is worth nothing here"
    grid = experiment(designs.get("rate"), dataclasses.replace(choices, methods=("lora",), rates=(0.1, 10.0)))
    rate = results(grid, lambda arm: 0.8)
    assert {each.verdict for each in rate.compared} == {"cannot tell"}
    planted = results(grid, lambda arm: 0.95 if arm.name == "lora-rate0.1" else 0.7)
    assert "is better than the usual" in designs.get("rate").answer(planted).sentence


def test_what_four_bits_cost(choices: Choices) -> None:
    laid = experiment(designs.get("four-bit"), choices)
    cost = designs.get("four-bit").answer(results(laid, lambda arm: 0.9 if arm.name == "lora" else 0.7))
    assert cost.sentence.startswith("Four bits cost") and cost.value == pytest.approx(-0.2, abs=0.05)
    assert "do not show" in designs.get("four-bit").answer(results(laid, lambda arm: 0.8)).sentence


def test_the_rate_is_chosen_on_validation_rows_whatever_test_rows_say(choices: Choices) -> None:
    laid = experiment(designs.get("rate"), dataclasses.replace(choices, methods=("lora",), rates=(0.1, 10.0)))
    found = results(laid, lambda arm: 0.9 if arm.name == "lora-rate10" else 0.6)
    said = designs.get("rate").answer(found)
    assert said.details["lora"]["chosen"] == laid.arms[-1].x and "end of the grid" in said.sentence
    turned = {name: {**splits, "test": {seed: judged(0.5, seed) for seed in range(3)}}
              for name, splits in found.rows.items()}
    other = designs.get("rate").answer(dataclasses.replace(found, rows=turned))
    assert other.details["lora"] == said.details["lora"]


def test_of_equal_validation_scores_the_usual_rate_is_kept(choices: Choices) -> None:
    laid = experiment(designs.get("rate"), dataclasses.replace(choices, methods=("lora",), rates=(0.1, 10.0)))
    same = {"validation": {0: judged(0.8, 1)}, "test": {0: judged(0.8, 2)}}
    found = Found(experiment=laid, metric=METRICS["accuracy"], rows={arm.name: same for arm in laid.arms},
                  pairs=designs.get("rate").pairs(laid.arms))
    said = designs.get("rate").answer(found)
    assert "stays: validation rows score 3 of the 3 rates alike" in said.sentence
    assert said.details["lora"]["chosen"] == said.details["lora"]["usual"]
    one = {**found.rows, "lora-rate1": {**same, "validation": {0: judged(0.9, 1)}}}
    assert "validation rows choose the usual rate" in designs.get("rate").answer(
        dataclasses.replace(found, rows=one)).sentence
    assert found.gap(found.compared[0].difference) == "0 points of accuracy (every row is answered alike)"


def test_who_leads_beyond_the_domain(choices: Choices) -> None:
    laid = experiment(designs.get("shift"), choices)
    found = results(laid, lambda arm: 0.95 if arm.name == "full" else 0.85,
                    shift=lambda arm: 0.9 if arm.name == "probe" else 0.6)
    said = designs.get("shift").answer(found)
    assert "On shift rows: " in said.sentence
    of_made = designs.get("shift").answer(dataclasses.replace(found, shift_made="made: typos, severity 3"))
    assert "On shift rows (made: typos, severity 3): " in of_made.sentence
    assert said.details["best"] == "probe" and "On test rows Full fine-tuning stands first" in said.sentence
    assert said.details["lost"]["full"] > 0.25 > said.details["lost"]["probe"]


def test_beyond_the_domain_a_tie_reads_as_a_tie(choices: Choices) -> None:
    laid = experiment(designs.get("shift"), choices)
    said = designs.get("shift").answer(results(laid, lambda arm: 0.8, shift=lambda arm: 0.6))
    assert "On shift rows: these runs cannot tell" in said.sentence and said.low is not None
    assert said.low <= 0 <= (said.high or 0)
    before, _, after = said.sentence.partition("On shift rows")
    assert "test rows" not in after and "which these runs cannot tell from" in before


def test_names_in_a_sentence_end_with_and(choices: Choices) -> None:
    assert [listed(list(names)) for names in ("A", "AB", "ABC")] == ["A", "A and B", "A, B and C"]
    tie = designs.get("methods").answer(results(experiment(designs.get("methods"), choices), lambda arm: 0.8)).sentence
    assert re.match(r"These runs cannot tell [^,]+, [^,]+ and [^,]+ apart: ", tie)


def test_seeds_that_change_nothing_and_seeds_that_change_much(choices: Choices) -> None:
    laid = experiment(designs.get("seeds"), choices)
    same = {arm.name: {"test": dict.fromkeys(range(5), judged(0.8, 0))} for arm in laid.arms}
    still = Found(experiment=laid, metric=METRICS["accuracy"], rows=same)
    answer = designs.get("seeds").answer(still)
    assert (answer.value, answer.low, answer.high) == (0, 0, 0)
    shares = (0.6, 0.7, 0.8, 0.9, 1.0)
    moved = {arm.name: {"test": {seed: judged(share, 0) for seed, share in enumerate(shares)}} for arm in laid.arms}
    much = designs.get("seeds").answer(dataclasses.replace(still, rows=moved))
    assert much.value == pytest.approx(np.std(shares, ddof=1), abs=0.02) and much.low is not None and much.low > 0.05


def test_what_seeds_changed_is_their_standard_deviation(choices: Choices) -> None:
    from scipy import stats

    laid = experiment(designs.get("seeds"), choices)
    found = results(laid, lambda arm: 0.8, seeds=5)
    values = [found.metric.value(each) for each in found.rows["lora"]["test"].values()]
    said = designs.get("seeds").answer(found)
    known = np.std(values, ddof=1)
    assert said.value == pytest.approx(known) and "5 seeds" in said.sentence
    assert said.low == pytest.approx(known * np.sqrt(4 / stats.chi2.ppf(0.975, 4)))


def test_a_power_law_is_read_back() -> None:
    n = [16, 64, 256, 1024]
    law = labels.fit(n, [0.9 * each**-0.5 for each in n])
    assert (law.scale, law.exponent) == pytest.approx((0.9, 0.5))
    assert law.labels_for(law.error(300)) == pytest.approx(300)
    level = labels.fit(n, [0.3, 0.3, 0.4, 0.3])  # no law of learning: more labels do not help, nor fewer harm
    assert level.exponent == 0 and level.scale == pytest.approx(0.4**0.25 * 0.3**0.75)
    assert level.labels_for(0.1) == float("inf") and level.labels_for(0.5) == 0


def test_the_data_multiplier_is_the_planted_one() -> None:
    """From scratch 16 times the labels give the same error."""
    n = (20.0, 80.0, 320.0, 1280.0)
    tuned = labels.Curve(method="full", labels=n, errors=tuple(0.8 * (16 * x)**-0.3 for x in n), spreads=(0.005,) * 4)
    fresh = labels.Curve(method="scratch", labels=n, errors=tuple(0.8 * x**-0.3 for x in n), spreads=(0.005,) * 4)
    times, at, beyond = labels.multiplier(tuned, fresh)
    assert times.value == pytest.approx(16, rel=1e-6) and at == 20 and not beyond
    assert times.low < 16 < times.high and times.high - times.low < 10
    fewer = dataclasses.replace(fresh, labels=n[:2], errors=fresh.errors[:2], spreads=fresh.spreads[:2])
    assert labels.multiplier(tuned, fewer)[2], "320 labels lie beyond 80"


@pytest.mark.parametrize("error", [lambda x: 0.2, lambda x: 0.6 * x**-0.2], ids=["level", "falling"])
def test_where_pretraining_is_worth_nothing_at_most_one_sentence_in_twenty_says_so(
        error: Callable[[float], float], choices: Choices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "DRAWS", 300)
    laid = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(20, 60, 200)))
    asserted, tried = 0, 120
    for trial in range(tried):
        rows = {arm.name: {"test": {seed: judged(1 - error(arm.x or 1), 10_000 * trial + 100 * number + seed, rows=120,
                                                 hard=np.random.default_rng(trial).random(120))
                                    for seed in range(3)}} for number, arm in enumerate(laid.arms)}
        said = designs.get("labels").answer(Found(experiment=laid, metric=METRICS["accuracy"], rows=rows)).sentence
        worth, _, twice = said.partition(" seeds. ")
        asserted += not worth.startswith("These runs cannot tell") or (
            error(20) == error(200) and not twice.startswith("These runs cannot tell"))
    assert asserted / tried <= 0.09  # 0.05 and two standard errors of so many


def test_pretraining_that_harms_and_one_that_is_beyond_all_numbers(choices: Choices) -> None:
    laid = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(20, 60, 200)))
    answer = designs.get("labels").answer
    harms = answer(results(laid, lambda arm: 1 - (0.6 if arm.recipe.method == "full" else 0.9 * (arm.x or 1)**-0.4)))
    assert harms.sentence.startswith("Pretraining is a hindrance here") and (harms.high or 9) < 1
    never = answer(results(laid, lambda arm: 0.9 if arm.recipe.method == "full" else 0.5))
    assert never.sentence.startswith("Pretraining is worth more than 10 times the labels: from scratch, all 200 do not")
    assert "These runs cannot tell whether more labels lower the error of the pretrained arm" in never.sentence


def test_labels_say_what_pretraining_is_worth_and_what_twice_would_buy(choices: Choices) -> None:
    laid = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(20, 60, 200)))
    error = {"full": lambda x: 0.5 * (8 * x)**-0.3, "scratch": lambda x: 0.5 * x**-0.3}
    found = results(laid, lambda arm: 1 - error[arm.recipe.method](arm.x))
    said = designs.get("labels").answer(found)
    assert "Pretraining is worth" in said.sentence and "Twice the labels" in said.sentence
    assert said.value is not None and 2 < said.value < 40
    assert all(a.startswith("full") and b.startswith("scratch") for a, b in found.pairs)


def test_one_budget_makes_no_curve(choices: Choices) -> None:
    laid = experiment(designs.get("labels"), dataclasses.replace(choices, budgets=(20,)))
    assert designs.get("labels").answer(results(laid, lambda arm: 0.8)).sentence.startswith("One label budget makes no")


def test_budgets_are_spread_from_a_few_a_class_to_all() -> None:
    found = labels.levels(1600, 4)
    assert found[0] == 16 and found[-1] is None and len(found) == 5
    budgets = [float(n) for n in found if n]
    ratios = [later / first for first, later in itertools.pairwise(budgets)]
    assert ratios == pytest.approx([10**0.5] * 3, rel=0.05)
    assert labels.levels(20, 4) == (None,)


def test_the_rate_that_stands_for_an_arm_is_validation_s_choice() -> None:
    good, bad = judged(0.9, 0), judged(0.6, 1)
    by_rate = {1.0: {"validation": {0: bad}, "test": {0: good}}, 3.0: {"validation": {0: good}, "test": {0: bad}}}
    assert analysis.chosen_rate(by_rate) == 3.0
    assert analysis.chosen_rate({1.0: {"test": {0: bad}}, 3.0: {"test": {0: good}}}) == 1.0


def test_every_design_draws_what_it_found(choices: Choices) -> None:
    for name, design in designs.REGISTRY.items():
        if name == "base":
            continue
        laid = experiment(design, choices)
        found = results(laid, lambda arm: 0.8 + 0.01 * (hash(arm.name) % 5), shift=lambda arm: 0.7)
        charts = design.charts(found)
        assert charts and all(chart.title and chart.alt.startswith(chart.title) for chart in charts), name
        drawn = {round(float(y), 6) for chart in charts for trace in chart.figure.data
                 for y in [*(trace.y or ()), *(trace.x or ())]}
        assert {round(found.value(arm.name), 6) for arm in laid.arms} <= drawn or name == "seeds", name
        empty = dataclasses.replace(found, rows={})
        assert not design.charts(empty), "nothing is drawn of nothing"
