import streamlit as st

from core import tasks
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from pages._ui import example, shell, teaching
from pages._ui.experiment import actions as experiment
from pages._ui.experiment import before, race
from pages._ui.train import augmentation, estimates, form, freeze_grid, one_step, prefill, recipe_form

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

shell.title("Train")
if example.closed("Nothing can be started in the recorded example; in your own workspace everything can."):
    shell.stop()
prefill.notice()
left, right = st.columns(2)
with left:
    dataset_ref = form.dataset(ws)
    with st.container(horizontal=True):
        shell.link("data", "Bring your own data", icon=":material/upload_file:")
        if not api.runs.all(ws):
            example.link()
with right:
    task = form.task_of(ws, dataset_ref)
    model_id = form.model(task)
if not model_id:
    shell.empty("Type the id of a hub model or the path of a folder, or choose a bundled model.")
    shell.stop()

facts, dataset = api.models.facts(model_id), api.data.expected(ws, dataset_ref)
if facts is None or dataset is None:
    form.fetch_first(ws, model_id)
    shell.stop()
if task not in facts.tasks:
    form.wrong_task(facts, task)
    shell.stop()

form.cautions(dataset)
choices = {c.name: c for c in api.models.methods(facts, task)}
chosen = form.methods(list(choices.values()))
knobs = {knob for name in chosen for knob in choices[name].knobs if tasks.card(task).uses(knob)}

st.header("Freeze grid")
head = freeze_grid.Head.of(facts, task)
plan = freeze_grid.grid(facts, head=head, head_parameters=head.parameters(facts, task, len(dataset.classes)))
followers = freeze_grid.users(choices, chosen)

st.header("Effort")
effort = form.effort()
recipes = {name: form.default(ws, dataset_ref, model_id, name, effort) for name in chosen}
with st.expander("Advanced: override what the dial sets", icon=":material/tune:"):
    st.caption("Empty fields keep each method's own value, shown in grey. What you enter holds for all chosen methods "
               "that use it.")
    changes = recipe_form.overrides(recipes, knobs)
    asked = () if task.labelled else form.prompts()
if "augmentation" in knobs and api.data.find(ws, dataset_ref):
    planned_by = [recipe_form.apply(recipe, changes, choices[name].knobs) for name, recipe in recipes.items()]
    augmentation.preview(ws, dataset, planned_by, facts)
teaching.of_plan(ws, dataset, [recipe_form.apply(r, changes, choices[name].knobs) for name, r in recipes.items()])
seeds, budgets = form.repeats(ws, dataset_ref, labelled=task.labelled)


def planned(name: str, seed: int, budget: int | None) -> Recipe:
    """The recipe of one run: the dial's defaults, the freeze plan, then the overrides that this method knows."""
    used = choices[name].knobs
    recipe = form.default(ws, dataset_ref, model_id, name, effort, seed=seed, budget=budget)
    if name in followers:
        recipe = recipe.replace(freeze=FreezePlan(frozen=plan.frozen))
    return recipe_form.apply(recipe.replace(sample_prompts=asked), changes, used)


st.header("Before the start")
if not chosen or not budgets.values:
    shell.empty("Mend the label budgets above." if chosen else "Tick at least one method above.")
    shell.stop()
api.experiments.check_room(ws, len(budgets.values) * seeds * len(chosen))
runs = [planned(name, seed, budget) for budget in budgets.values for seed in range(seeds) for name in chosen]
first = {choices[name].label: planned(name, 0, budgets.values[-1]) for name in chosen}
fits = estimates.panel(ws, first, runs)
one_step.panel(ws, first)
form.to_fetch(ws, model_id, dataset_ref)
name = st.text_input("Name of the experiment", value=f"{dataset.name}, {form.model_name(model_id)}",
                     key=f"name_{dataset.id}_{model_id}")
runs, known = before.split(ws, runs, key="again")
in_turns = race.choice(runs, key="in_turns")
if st.button(f"Start {len(runs)} run{'s' * (len(runs) > 1)}", type="primary", icon=":material/play_arrow:",
             key="start", disabled=bool(budgets.problems),
             help="Mend the label budgets first." if budgets.problems else None):
    with shell.guarded():
        experiment.started(ws, api.experiments.submit(ws, runs, name=name or "", in_turns=in_turns), by="train",
                           beside=[run.id for run in known])
if not fits:
    st.caption(":material/warning: At least one run will probably end with *out of memory*. You can start it all the "
               "same.")
