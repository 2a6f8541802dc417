"""Names of runs: what differs, from the recipe; a given name wins."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import JobKind, Run, Status
from core.planning import names

LOWER = FreezePlan(frozen=("embeddings", "block 0", "block 1", "block 2"))


def recipe(method: str = "lora", **fields: Any) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, **fields)


def run(id: str, of: Recipe | None = None, experiment: str = "1", **fields: Any) -> Run:
    known = {"renamed": False, "name": "kept", "folder": f"/runs/{id}"} | fields
    return Run(id=id, workspace="w", kind=JobKind.TRAIN, status=Status.DONE, experiment=experiment,
               recipe=of or recipe(), **known)


@pytest.mark.parametrize(("of", "name"), [
    (recipe(), "LoRA · base frozen · all rows · seed 0"),
    (recipe(freeze=LOWER, label_budget=1250, seed=2),
     "LoRA · base frozen, no adapters in embeddings, blocks 0–2 · 1,250 rows · seed 2"),
    (recipe("partial", freeze=LOWER), "Partly frozen · embeddings, blocks 0–2 frozen · all rows · seed 0"),
    (recipe("partial"), "Partly frozen · nothing frozen · all rows · seed 0"),
    (recipe("probe"), "Linear probe · all but head frozen · all rows · seed 0"),
    (recipe("full", freeze=LOWER), "Full fine-tuning · nothing frozen · all rows · seed 0"),
    (recipe("gone", label_budget=50, budget_counts="training"), "gone · nothing frozen · 50 training rows · seed 0"),
])
def test_the_whole_name_says_method_frozen_rows_and_seed(of: Recipe, name: str) -> None:
    assert names.whole(run("a", of)) == names.of_recipe(of) == name


def short(*runs: Run, **options: Any) -> list[str]:
    return list(names.short(runs, **options).values())


def test_the_short_name_says_only_what_differs() -> None:
    assert short(run("a"), run("b", recipe("probe")), run("c", recipe("partial", freeze=LOWER))) == [
        "LoRA", "Linear probe", "Partly frozen"]
    assert short(run("a", recipe(seed=3))) == ["LoRA"]
    assert short(run("a"), run("b", recipe(seed=1))) == ["LoRA · seed 0", "LoRA · seed 1"]
    assert short(run("a"), run("b", recipe(label_budget=32))) == ["LoRA · all rows", "LoRA · 32 rows"]
    assert short(run("a", recipe("partial")), run("b", recipe("partial", freeze=LOWER)), run("c")) == [
        "Partly frozen · nothing frozen", "Partly frozen · embeddings, blocks 0–2 frozen", "LoRA"]


def test_other_settings_are_said_where_nothing_else_differs() -> None:
    wide = recipe(lora=LoraSpec(rank=16), learning_rate=3e-4)
    assert short(run("a"), run("b", wide)) == ["LoRA · learning rate 5e-05 · LoRA rank 8",
                                               "LoRA · learning rate 0.0003 · LoRA rank 16"]


def test_a_fork_says_what_it_changed() -> None:
    fork = run("b", recipe(lora=LoraSpec(rank=16), seed=1, precision="bf16"), parent="a",
               parent_recipe=recipe(precision="auto"))
    assert short(run("c", recipe("probe", seed=1)), fork) == ["Linear probe", "LoRA · seed 1 · LoRA rank 16"]
    assert names.whole(fork) == "LoRA · base frozen · all rows · seed 1 · LoRA rank 16"


def test_a_given_name_wins_everywhere_and_whole_says_the_rest() -> None:
    mine = run("a", recipe(seed=1), name="Monday", renamed=True)
    assert short(mine, run("b")) == ["Monday", "LoRA · seed 0"]
    assert names.whole(mine) == "Monday (LoRA · base frozen · all rows · seed 1)"
    assert names.derived(mine) == "LoRA · base frozen · all rows · seed 1"


@pytest.mark.parametrize(("name", "given"), [
    ("BBC, MiniLM · LoRA · 50 training rows · seed 2", False), ("BBC · LoRA · 50 training rows · seed 2 (fork)", False),
    ("BBC, MiniLM · LoRA · 50 training rows · seed 2, the good one", True), ("a", False), ("Monday", True)])
def test_names_of_earlier_versions_are_known_by_their_form(name: str, given: bool) -> None:
    old = run("a", recipe(label_budget=50, budget_counts="training", seed=2), name=name, renamed=None)
    assert names.given(old) == (name if given else None)


def test_several_experiments_are_told_apart_by_their_title() -> None:
    runs = [run("a"), run("b", experiment="2"), run("c", recipe("full"))]
    assert short(*runs, titles={"1": "BBC News", "2": "Digits"}) == [
        "LoRA (BBC News)", "LoRA (Digits)", "Full fine-tuning (BBC News)"]


def test_what_nothing_tells_apart_gets_its_id() -> None:
    runs = [run("aaaa1"), run("bbbb2", experiment="2")]
    assert short(*runs, titles={"1": "BBC News", "2": "BBC News"}) == ["LoRA (BBC News)", "LoRA (BBC News) bbbb"]
    assert short(run("aaaa1", name="x", renamed=True), run("bbbb2", name="x", renamed=True)) == ["x", "x bbbb"]


def test_arms_leave_their_seeds_out() -> None:
    assert short(run("a", recipe(seed=4)), run("b", recipe("probe")), seeds=False) == ["LoRA", "Linear probe"]


def test_a_job_of_one_run_is_called_by_that_runs_name_as_it_is_now() -> None:
    runs = [run("a"), run("b", name="Monday", renamed=True)]

    def job(name: str, *folders: str) -> Run:
        return Run(id="j", workspace="w", kind=JobKind.FEATURES, name=name, status=Status.DONE, folder="/jobs/j",
                   payload={"runs": list(folders)})

    assert names.of_job(job("Features of 1 run", "/runs/b"), runs) == "Features of Monday"
    assert names.of_job(job("Features of Tuesday beside Digits", "/runs/a"), runs) == "Features of LoRA beside Digits"
    assert names.of_job(job("Features of 2 runs", "/runs/a", "/runs/b"), runs) == "Features of 2 runs"
    assert names.of_job(job("Features of 1 run", "/runs/gone"), runs) == "Features of 1 run"
