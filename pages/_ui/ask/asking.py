"""A question chosen, its arms and its cost before the start, and the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from core.domain.dataset import Split, Task
from core.planning import designs
from core.planning.designs.base import rates_of
from core.plots.numbers import about, size
from core.spreadsheets import inert
from pages._ui import shell
from pages._ui.experiment import actions, before, race
from pages._ui.train import form
from pages._ui.words import word

if TYPE_CHECKING:
    from core.api import Plan

ASKS_SEVERAL_MODELS = ("base",)
NEEDS_SHIFT = ("shift",)
"""Questions that rows of another domain answer."""
RATES = ("0.1", "0.3", "1", "3", "10")
"""Factors on learning rates that are offered; one alone is a rate for all."""


def page(ws: str) -> None:
    """Everything below the title."""
    api = shell.api()
    names = list(designs.REGISTRY)
    name = str(st.radio("Question", names, key="ask_design", persist_state="session",
                        format_func=lambda name: designs.REGISTRY[name].question,
                        captions=[designs.REGISTRY[name].explains for name in names]))
    design = designs.get(name)
    st.caption(f":material/menu_book: What is known: {shell.escape(design.paper)}")
    left, right = st.columns(2)
    with left:
        dataset = form.dataset(ws)
        shell.link("data", "Bring your own data", icon=":material/upload_file:")
        task = form.task_of(ws, dataset)
    with right:
        models = _models(task) if name in ASKS_SEVERAL_MODELS else [form.model(task)]
    if not all(models) or not models:
        shell.empty("Choose a base model.")
        shell.stop()
    unknown = [model for model in models if api.models.facts(model) is None]
    if unknown or api.data.expected(ws, dataset) is None:
        form.fetch_first(ws, unknown[0] if unknown else models[0])
        shell.stop()
    chosen = _settings(ws, name, dataset, models[0], task)
    with shell.guarded():
        plan = api.questions.plan(ws, name, dataset=dataset, models=models, **chosen)
        _say(plan)
        for place, model in enumerate(models):
            form.to_fetch(ws, model, "" if place else dataset)  # the data are fetched once
        _start(ws, plan, dataset, models)
    if name in NEEDS_SHIFT:
        _shift_set(ws, dataset)


def _shift_set(ws: str, dataset: str) -> None:
    """Ways to rows of another domain, where the dataset has none."""
    api = shell.api()
    there, own = api.data.expected(ws, dataset), api.data.find(ws, dataset)
    if there is None or there.rows(Split.SHIFT):
        return
    if own is not None:
        shell.link("dataset", "Add a shift set to it", icon=":material/add:", dataset=own.id)
    ready = [each.name for each in api.data.bundled() if each.shift]
    st.caption(f":material/lightbulb: Bundled datasets that bring a shift set along: {', '.join(ready)}. Choose one of "
               "them above.")


def _models(task: Task) -> list[str]:
    """Several base models for this task."""
    fitting = {model.id: model.name for model in shell.api().models.bundled() if task in model.tasks}
    return [str(id) for id in st.multiselect(
        "Base models", list(fitting), default=list(fitting)[:2], format_func=lambda id: fitting.get(id, id),
        key=f"ask_models_{task.value}", accept_new_options=True,
        help=f"{word('base model')} Type the id of any other.")]


def _settings(ws: str, name: str, dataset: str, model: str, task: Task) -> dict[str, Any]:
    """Methods, seeds, effort, budgets, rates and depths; what the design decides itself stays empty."""
    api, design = shell.api(), designs.get(name)
    facts = api.models.facts(model)
    labels = {choice.name: choice.label for choice in api.models.methods(facts, task) if choice.reason is None} \
        if facts is not None else {}
    left, right = st.columns(2)
    with left:
        effort = form.effort(key="ask_effort", default="quick")
    with right:
        seeds = int(st.number_input("Seeds", 1, 20, design.seeds, key=f"ask_seeds_{name}", help=word("seed")))
        if seeds == 1:
            st.caption(":material/warning: One seed says nothing about what another would give.")
    methods: list[str] = []
    budgets: tuple[int | None, ...] = ()
    with st.expander("Methods, labels, learning rates", icon=":material/tune:"):
        if not design.fixed_methods:
            methods = [str(each) for each in st.multiselect(
                "Methods", list(labels), format_func=lambda each: labels.get(each, each), key=f"ask_methods_{name}",
                help="Empty: the ones that the question is usually asked of.", placeholder="the usual ones")]
        several = design.takes_budgets
        picked = st.multiselect(
            f"Label budget{'s' * several} (training + validation)", ["all", "32", "128", "512"],
            accept_new_options=True, key=f"ask_budgets_{name}", max_selections=None if several else 1,
            placeholder="the usual ones" if several else "all", help=f"{word('label budget')} Type any other number.")
        found = api.experiments.budgets(ws, dataset, picked) if picked else None
        for problem in found.problems if found else ():
            st.error(shell.escape(problem), icon=":material/error:")
        budgets = found.values if found else ()
        rates = sorted(float(each) for each in st.multiselect(
            "Learning rates, times the usual ones", RATES, key=f"ask_rates_{name}",
            placeholder="the usual ones" if not design.sweeps_rates else "0.1, 0.3, 1, 3, 10",
            help="Every arm is trained at each of these factors on its own learning rate, and validation rows choose "
                 "for each by the same rule. Test rows choose nothing." if not design.sweeps_rates else
                 "Each is an arm; the usual rate is one in any case."))
        depths: list[int] = []
        if design.takes_depths and facts is not None:
            depths = sorted(st.multiselect(
                "Depths, in blocks thawed from the top", range(1, len(facts.block_names) - 1),
                key=f"ask_depths_{model}", placeholder="all, at most eight",
                help="Nothing thawed and everything thawed are arms in any case."))
    return {"methods": methods, "budgets": budgets, "rates": rates, "depths": depths, "effort": effort, "seeds": seeds}


def _say(plan: Plan) -> None:
    """The arms, how many runs they make, and what these take."""
    st.header("Before the start")
    experiment, seeds = plan.experiment, len(plan.experiment.seeds)
    runs = {arm.name: seeds * len(rates_of(arm, experiment.rates)) for arm in experiment.arms}
    st.dataframe(inert({"Arm": arm.label, "Runs": runs[arm.name]} for arm in experiment.arms), hide_index=True,
                 height=min(35 * (len(experiment.arms) + 1) + 3, 400), alt="Each arm and how many runs it makes")
    time = about(plan.seconds) if plan.seconds is not None else "a time that is not known before the device is measured"
    memory = f", at most {size(plan.memory_bytes)} of memory at once" if plan.memory_bytes else ""
    swept = len(experiment.rates) > 1  # what is solved has none
    rates = f" × {'up to ' * (min(runs.values()) == seeds)}{len(experiment.rates)} rates" if swept else ""
    arms = f"{len(experiment.arms)} arm{'s' * (len(experiment.arms) > 1)}"
    st.markdown(f":material/schedule: **{arms}{rates} × {seeds} seed{'s' * (seeds > 1)} = "
                f"{len(plan.runs)} run{'s' * (len(plan.runs) > 1)}, {time} in all**, one after another{memory}.",
                help="Tokens, features of the frozen model and frozen lower blocks are computed once for all runs that "
                     "share them. The time can be off by a factor of two.")


def _start(ws: str, plan: Plan, dataset: str, models: list[str]) -> None:
    api = shell.api()
    api.experiments.check_room(ws, len(plan.runs))
    there = api.data.expected(ws, dataset)
    title = f"{plan.design.question} {there.name if there else dataset}, {form.model_name(models[0])}"
    name = st.text_input("Name of the experiment", value=title, key=f"ask_name_{plan.design.name}_{title}")
    known = before.offer(ws, [each.recipe for each in plan.runs], key="ask_again")
    left = [each.recipe for each, run in zip(plan.runs, known, strict=True) if run is None]
    if not left:
        before.nothing_left([run for run in known if run is not None])
        return
    in_turns = race.choice(left, key="ask_in_turns")
    if st.button(f"Start {len(left)} run{'s' * (len(left) > 1)}", type="primary", icon=":material/play_arrow:",
                 key="ask_start"):
        actions.started(ws, api.questions.start(ws, plan, name=name or "", in_turns=in_turns, before=known), by="ask")
