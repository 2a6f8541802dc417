"""The choices of the Train page, one function each; they read and write nothing but widgets and the façade."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core import tasks
from core.domain.dataset import UNSAID, Dataset, Task
from core.domain.model import ModelFacts
from core.domain.numbers import Numbers
from core.domain.recipe import Recipe
from core.errors import NotFoundError
from core.planning.budget import Budgets
from pages._ui import devices, live, shell
from pages._ui.data.numbers import parts
from pages._ui.words import rows_called, things, word

if TYPE_CHECKING:
    from core.api import MethodChoice

OTHER = "another model"
EFFORTS = {"quick": "Quick", "normal": "Normal", "thorough": "Thorough"}


def dataset(ws: str) -> str:
    """A dataset of the workspace or a bundled one; returns its id."""
    api = shell.api()
    own = {d.id: d for d in api.data.all(ws)}
    wanted = st.query_params.get("dataset")
    if wanted and wanted not in own and (found := api.data.find(ws, wanted)):    # one that a mended one has replaced
        own[found.id], wanted = found, found.id
    bundled = {b.id: b for b in api.data.bundled() if not api.data.is_there(ws, b.id)}

    def name(ref: str) -> str:
        if ref in own:
            rows = Numbers.of(own[ref]).own
            return f"{own[ref].name} · {rows:,} {rows_called(own[ref])}{parts(own[ref])}"
        entry = bundled[ref]
        return f"{entry.name} · {entry.rows:,} {rows_called(entry)}, bundled: fetched on start"

    options = [*own, *bundled]
    index = options.index(wanted) if wanted in options else 0
    return str(st.selectbox("Dataset", options, index=index, format_func=name, key="train_dataset",
                            persist_state="session",
                            help="Your own datasets and the bundled ones. Add your own on the Data page."))


def model_name(model_id: str) -> str:
    """What a model is called in the name of an experiment; one in a folder as the folder is."""
    entry = next((model for model in shell.api().models.bundled() if model.id == model_id), None)
    if entry:
        return entry.name.split(" (")[0]
    return Path(model_id).name if Path(model_id).is_absolute() else model_id


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
    others = [f"{m.name} (it is for {_kinds(m.tasks, task)})" for id, m in every.items() if id not in fitting]
    note = f" Not offered, as this dataset holds {_held(task)}: {', '.join(others)}." if others else ""
    if choice != OTHER:
        st.caption(fitting[str(choice)].description + note)
        return str(choice)
    typed = st.text_input("Hub id or folder", key=f"{key}_other", persist_state="session",
                          placeholder=f"e.g. {tasks.card(task).example_model} or /models/mine",
                          help="A model of the Hugging Face hub, or the absolute path of a folder that from_pretrained "
                               "can load (or of a GGUF file), below one that this server's owner has listed "
                               "(THAW_MODEL_FOLDERS).")
    return (typed or "").strip()


def cautions(dataset: Dataset) -> None:
    """Warn of classes that nothing trains on and of splits without a row, before anything is started."""
    for finding in shell.api().data.cautions(dataset):
        st.warning(f"{shell.escape(finding.message)} {shell.escape(finding.remedy)}", icon=":material/warning:")


def wrong_task(facts: ModelFacts, task: Task) -> None:
    """Say that an inspected model cannot take this dataset."""
    shell.problem(f"{facts.id} cannot learn from this dataset.",
                  why=f"The model is for {_kinds(facts.tasks, task)}; the dataset holds {_held(task)}.",
                  remedy="Choose another base model, or a dataset that fits this one.")


def _held(task: Task) -> str:
    """What a dataset for that task holds."""
    return things(task) if task.labelled else "texts without classes, for language models"


def _kinds(able: Sequence[Task], wanted: Task) -> str:
    """What a model of these tasks is for, said where another one is wanted."""
    found = dict.fromkeys(things(Task.on(task.content)) for task in able)
    classes = "" if wanted.labelled else " with classes"
    return " and ".join(f"{name}{classes}" for name in found)


def default(ws: str, dataset_ref: str, model_id: str, method: str, level: str, *, seed: int = 0,
            budget: int | None = None) -> Recipe:
    """What the dial gives for one method; fewer rows mean more epochs, so the label budget counts."""
    return shell.api().experiments.default_recipe(ws, dataset=dataset_ref, model=model_id, method=method, effort=level,
                                                  seed=seed, label_budget=budget)


def fetch_first(ws: str, model_id: str) -> None:
    """A hub model or a folder that was not looked at: a button that does, and live progress of that. What a bundled
    model holds is known before it is fetched."""
    api = shell.api()
    with st.container(border=True):
        st.markdown(":material/download: **Fetch and inspect the base model first.** Methods, the freeze grid and the "
                    "estimates of a model that is not bundled are read from the real thing.")
        st.caption("Source: the Hugging Face hub, or your folder. Only safetensors weights are loaded; no code of the "
                   "model runs.")
        if st.button("Fetch and inspect", type="primary", icon=":material/download:", key="fetch_first"):
            with shell.guarded():
                st.session_state["prepare_job"] = api.models.prepare(ws, model=model_id)
        if job := st.session_state.get("prepare_job"):
            live.prepare_panel(ws, job)


def to_fetch(ws: str, model_id: str, dataset_ref: str) -> None:
    """What the first run brings from the network before it starts, folded away; nothing when all is here."""
    api = shell.api()
    entry = next((m for m in api.models.bundled() if m.id == model_id), None)
    data = next((d for d in api.data.bundled() if d.id == dataset_ref), None)
    devices.downloads(None if api.models.is_here(model_id) else entry,
                      None if data is None or api.data.find(ws, dataset_ref) else data)


def methods(choices: Sequence[MethodChoice]) -> list[str]:
    """Check boxes, one a method, with what it does; those that do not apply are disabled and say why. The less usual
    ones wait in a fold, whose label counts those of them that are ticked."""
    st.markdown("**Methods to compare**", help=word("method"))
    ticked = _boxes([choice for choice in choices if choice.everyday])
    if more := [choice for choice in choices if not choice.everyday]:
        count = sum(_is_ticked(choice) for choice in more)
        with st.expander(f"More methods ({f'{count} of {len(more)} ticked' if count else len(more)})",
                         icon=":material/library_add:", expanded=count > 0, key="more_methods",
                         on_change="rerun"):  # what is open is kept in the session: a new label would close it
            ticked |= _boxes(more)
    return [choice.name for choice in choices if choice.name in ticked]


def _is_ticked(choice: MethodChoice) -> bool:
    """Whether its box, which is not drawn yet, will be ticked."""
    return choice.reason is None and bool(st.session_state.get(f"method_{choice.name}", choice.preselected))


def _boxes(choices: Sequence[MethodChoice]) -> set[str]:
    """Two a row; returns the names of those that are ticked."""
    chosen = set()
    for i, choice in enumerate(choices):
        if i % 2 == 0:  # a narrow screen then has them in their order
            columns = st.columns(2)
        with columns[i % 2]:
            ticked = st.checkbox(
                choice.label, value=choice.preselected and choice.reason is None, key=f"method_{choice.name}",
                disabled=choice.reason is not None, persist_state="session", help=choice.summary)
            remark = f"Does not apply: {choice.reason}." if choice.reason else choice.note
            st.caption(choice.summary + (f" :orange[:material/info: {shell.escape(remark)}]" if remark else ""))
            if ticked and choice.reason is None:
                chosen.add(choice.name)
    return chosen


def effort(*, key: str = "train_effort", default: str = "normal") -> str:
    """The one main dial."""
    value = st.segmented_control("Effort", list(EFFORTS), default=default, format_func=EFFORTS.__getitem__, key=key,
                                 help=word("effort"), required=True, persist_state="session")
    return str(value or default)


MOST_PROMPTS, PROMPT_CHARACTERS = 8, 500


def prompts() -> tuple[str, ...]:
    """A person's own prompts for a language model, one a line."""
    typed = st.text_area("Own prompts, one a line", key="train_prompts", height=90, persist_state="session",
                         max_chars=MOST_PROMPTS * PROMPT_CHARACTERS,
                         placeholder="What is the capital of France?",
                         help="What it is asked at every validation, besides a few that Thaw asks: the beginning of a "
                              f"text, or a question. At most {MOST_PROMPTS}. The run's page shows the answers.") or ""
    lines = dict.fromkeys(line.strip()[:PROMPT_CHARACTERS] for line in typed.splitlines() if line.strip())
    return tuple(lines)[:MOST_PROMPTS]


def repeats(ws: str, dataset_ref: str, *, labelled: bool = True) -> tuple[int, Budgets]:
    """Number of seeds, and the label budgets that this dataset allows. What is wrong with an entry is said below it."""
    left, right = st.columns(2)
    seeds = left.number_input("Seeds", 1, 20, 1, key="train_seeds", help=word("seed"), persist_state="session")
    with right:
        picked = st.multiselect(f"{'Label' if labelled else 'Row'} budgets (training + validation)",
                                ["all", "32", "128", "512"], default=["all"], accept_new_options=True,
                                key="train_budgets", persist_state="session",
                                help=word("label budget") + " Type any other number.")
        budgets = shell.api().experiments.budgets(ws, dataset_ref, picked)
        for problem in budgets.problems:
            st.error(shell.escape(problem), icon=":material/error:")
        for note in budgets.notes:
            st.caption(f":material/info: {note}")
    return int(seeds), budgets
