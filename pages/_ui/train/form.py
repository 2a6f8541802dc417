"""The choices of the Train page, one function each; they read and write nothing but widgets and the façade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core import tasks
from core.domain.dataset import UNSAID, Dataset, Task
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import NotFoundError, RecipeError
from pages._ui import devices, live, shell
from pages._ui.words import things, word

if TYPE_CHECKING:
    from core.api import MethodChoice

OTHER = "another model"
EFFORTS = {"quick": "Quick", "normal": "Normal", "thorough": "Thorough"}


def dataset(ws: str) -> str:
    """A dataset of the workspace or a bundled one; returns its id."""
    api = shell.api()
    own = {d.id: d for d in api.data.all(ws)}
    there = {d.source for d in own.values()}
    bundled = {b.id: b for b in api.data.bundled() if b.id not in there}

    def name(ref: str) -> str:
        if ref in own:
            return f"{own[ref].name} · {own[ref].rows_kept:,} {things(own[ref].task)}, {len(own[ref].classes)} classes"
        return f"{bundled[ref].name} · bundled, {things(bundled[ref].task)}, fetched on first use"

    options = [*own, *bundled]
    wanted = st.query_params.get("dataset")
    index = options.index(wanted) if wanted in options else 0
    return str(st.selectbox("Dataset", options, index=index, format_func=name, key="train_dataset",
                            persist_state="session",
                            help="Your own datasets and the bundled ones. Add your own on the Data page."))


def task_of(ws: str, dataset_ref: str) -> Task:
    """What a dataset of the workspace or the catalogue is for."""
    api = shell.api()
    entry = next((b for b in api.data.bundled() if b.id == dataset_ref), None)
    found = api.data.find(ws, dataset_ref) or entry
    if found is None:
        raise NotFoundError("This workspace has no such dataset.",
                            why="It was deleted, or it belongs to another workspace.", remedy="Choose another one.")
    return found.task


def model(task: Task) -> str:
    """A bundled base model for this task, a hub id or a local folder; empty while nothing has been typed."""
    every = {m.id: m for m in shell.api().models.bundled()}
    fitting = {id: m for id, m in every.items() if task in m.tasks}
    key = "train_model" if task is UNSAID else f"train_model_{task.value}"
    names = {id: m.name for id, m in fitting.items()} | {OTHER: "Another: hub id or local folder…"}
    choice = st.selectbox("Base model", list(names), key=key, help=word("base model"), persist_state="session",
                          format_func=names.__getitem__)
    others = [f"{m.name} (it is for {_kinds(m.tasks)})" for id, m in every.items() if id not in fitting]
    note = f" Not offered, as this dataset holds {things(task)}: {', '.join(others)}." if others else ""
    if choice != OTHER:
        st.caption(fitting[str(choice)].description + note)
        return str(choice)
    typed = st.text_input("Hub id or folder", key=f"{key}_other", persist_state="session",
                          placeholder=f"e.g. {tasks.card(task).example_model} or /models/mine",
                          help="A model of the Hugging Face hub, or the absolute path of a folder that from_pretrained "
                               "can load, below one that this server's owner has listed (THAW_MODEL_FOLDERS).")
    return (typed or "").strip()


def cautions(dataset: Dataset) -> None:
    """Warn of classes that nothing trains on and of splits without a row, before anything is started."""
    for finding in shell.api().data.cautions(dataset):
        st.warning(f"{shell.escape(finding.message)} {shell.escape(finding.remedy)}", icon=":material/warning:")


def wrong_task(facts: ModelFacts, task: Task) -> None:
    """Say that an inspected model cannot take this dataset."""
    shell.problem(f"{facts.id} cannot learn from this dataset.",
                  why=f"The model is for {_kinds(facts.tasks)}; the dataset holds {things(task)}.",
                  remedy="Choose another base model, or a dataset that fits this one.")


def _kinds(tasks: Sequence[Task]) -> str:
    return " and ".join(things(t) for t in tasks)


def default(ws: str, dataset_ref: str, model_id: str, method: str, level: str, *, seed: int = 0,
            budget: int | None = None) -> Recipe:
    """What the dial gives for one method; fewer rows mean more epochs, so the label budget counts."""
    return shell.api().experiments.default_recipe(ws, dataset=dataset_ref, model=model_id, method=method, effort=level,
                                                  seed=seed, label_budget=budget)


def fetch_first(ws: str, *, model_id: str, dataset_ref: str, facts: ModelFacts | None, ready: Dataset | None) -> None:
    """What is missing before anything can be planned, a button that fetches it, and live progress of that."""
    api = shell.api()
    catalogue_model = next((m for m in api.models.bundled() if m.id == model_id), None)
    catalogue_data = next((d for d in api.data.bundled() if d.id == dataset_ref), None)
    with st.container(border=True):
        missing = " and ".join(part for part, there in (("the base model", facts), ("the dataset", ready))
                               if there is None)
        st.markdown(f":material/download: **Fetch and inspect {missing} first.** Methods, the freeze grid and the "
                    "estimates are read from the real thing, not guessed.")
        devices.downloads(catalogue_model if facts is None else None, catalogue_data if ready is None else None)
        if facts is None and catalogue_model is None:
            st.caption("Source: the Hugging Face hub, or your folder. Only safetensors weights are loaded; no code of "
                       "the model runs.")
        if st.button("Fetch and inspect", type="primary", icon=":material/download:", key="fetch_first"):
            with shell.guarded():
                st.session_state["prepare_job"] = api.models.prepare(
                    ws, model=None if facts else model_id, dataset=None if ready else dataset_ref)
        if job := st.session_state.get("prepare_job"):
            live.prepare_panel(ws, job)


def methods(choices: Sequence[MethodChoice]) -> list[str]:
    """Check boxes, one a method, with what it does; those that do not apply are disabled and say why."""
    st.markdown("**Methods to compare**", help=word("method"))
    chosen = []
    columns = st.columns(2)
    for i, choice in enumerate(choices):
        with columns[i % 2]:
            ticked = st.checkbox(
                choice.label, value=choice.preselected and choice.reason is None, key=f"method_{choice.name}",
                disabled=choice.reason is not None, persist_state="session", help=choice.summary)
            remark = f"Does not apply: {choice.reason}." if choice.reason else choice.note
            st.caption(choice.summary + (f" :orange[:material/info: {shell.escape(remark)}]" if remark else ""))
            if ticked and choice.reason is None:
                chosen.append(choice.name)
    return chosen


def effort(*, key: str = "train_effort", default: str = "normal") -> str:
    """The one main dial."""
    value = st.segmented_control("Effort", list(EFFORTS), default=default, format_func=EFFORTS.__getitem__, key=key,
                                 help=word("effort"), required=True, persist_state="session")
    return str(value or default)


def repeats() -> tuple[int, list[int | None]]:
    """Number of seeds and the label budgets (None = all rows)."""
    left, right = st.columns(2)
    seeds = left.number_input("Seeds", 1, 20, 1, key="train_seeds", help=word("seed"), persist_state="session")
    picked = right.multiselect("Label budgets (training + validation)", ["all", "32", "128", "512"], default=["all"],
                               key="train_budgets", accept_new_options=True,
                               help=word("label budget") + " Type any other number.", persist_state="session")
    return int(seeds), [_budget(text) for text in picked] or [None]


def _budget(text: str) -> int | None:
    if text.strip().lower() == "all":
        return None
    if not text.strip().isdigit() or int(text) < 1:
        raise RecipeError(f"The label budget {text!r} is not a number of labels.",
                          remedy="Use whole numbers such as 128, or all.")
    return int(text)
