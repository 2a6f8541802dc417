"""What a person decides about findings, collected into one *Apply*; what it changed, and *Undo*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.api import Changes, Step
from core.domain.dataset import Dataset, Split
from core.domain.run import Status
from core.spreadsheets import inert
from pages._ui import guard, live, shell

if TYPE_CHECKING:
    from core.data.report import Finding

LEAVE = "Leave as it is"
_ARROW = "→"


class Plan:
    """The steps chosen for one dataset, by where they were chosen; kept for the session."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._steps: dict[str, Step] = st.session_state.setdefault(f"plan_{dataset.id}", {})

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps.values())

    def items(self) -> list[tuple[str, Step]]:
        return list(self._steps.items())

    def choose(self, place: str, step: Step | None) -> None:
        """Put this step at a place, or none."""
        self._steps.pop(place, None)
        if step is not None:
            self._steps[place] = step

    def forget(self) -> None:
        """Start over: nothing is chosen."""
        self._steps.clear()
        st.session_state[f"plan_round_{self.dataset.id}"] = self.round + 1

    @property
    def round(self) -> int:
        """How often it was started over; part of the widgets' keys, so that they are fresh then."""
        return int(st.session_state.get(f"plan_round_{self.dataset.id}", 0))


def choice(plan: Plan, finding: Finding) -> None:
    """The choice for all rows of a finding: leave it, or one of its mends."""
    answers = [mend for mend in shell.api().mending.answers(finding.code) if mend.needs in ("", "rows")]
    offered = {mend.name: mend for mend in answers if mend.name != "keep-this-label"}
    if not offered:
        return
    names = {"": LEAVE} | {name: mend.label for name, mend in offered.items()}
    chosen = str(st.selectbox(f"What to do: {finding.message}", list(names), format_func=names.__getitem__, width=320,
                              key=f"do_{plan.dataset.id}_{plan.round}_{finding.code}", label_visibility="collapsed"))
    if chosen:
        st.caption(offered[chosen].explanation)
    plan.choose(finding.code, Step(mend=chosen, finding=finding.code) if chosen else None)


def of_picked(plan: Plan, finding: Finding, picked: Sequence[Mapping[str, Any]]) -> None:
    """What can be done about rows that were picked in a finding's table."""
    if not picked:
        return
    rows, count = tuple(int(row["row_id"]) for row in picked), len(picked)
    these = f"the {count} picked rows" if count > 1 else f"row {rows[0]:,}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button(f"Drop {these}", icon=":material/delete:", key=f"drop_{finding.code}"):
            _add(plan, "drop-rows", rows)
        if finding.code == "contradicting-labels" and st.button(
                f"Keep the label of {these}", icon=":material/check:", key=f"keep_{finding.code}",
                help="All rows with the same content get this label."):
            _add(plan, "keep-this-label", rows, finding=finding.code)
        if any(row.get("suggested") for row in picked) and finding.code == "label-noise" and st.button(
                f"Give {these} the suggested label", icon=":material/label:", key=f"suggest_{finding.code}"):
            _add(plan, "use-suggested", rows, finding=finding.code)
        name = st.selectbox("Give a label", plan.dataset.classes, index=None, width=190, placeholder="choose a class",
                            key=f"label_{finding.code}_{len(plan.steps)}")
        if name:
            _add(plan, "give-label", rows, name=name)


def _add(plan: Plan, mend: str, rows: tuple[int, ...], *, finding: str = "", name: str = "") -> None:
    step = Step(mend=mend, finding=finding, rows=rows, name=name)
    plan.choose(f"{mend} {name} {rows}", step)
    st.rerun()


def classes(plan: Plan) -> None:
    """Merge classes into one, or drop some, by hand."""
    with st.popover("Merge or drop classes", icon=":material/merge:"):
        chosen = st.multiselect("Classes", plan.dataset.classes, key=f"classes_{plan.dataset.id}_{plan.round}")
        name = st.text_input("Merged, they are called", value=chosen[0] if chosen else "", max_chars=200,
                             key=f"classes_name_{plan.dataset.id}_{chosen}")
        with st.container(horizontal=True):
            if st.button("Merge them", key="classes_merge", disabled=len(chosen) < 1 or not (name or "").strip(),
                         icon=":material/merge:"):
                plan.choose(f"join {chosen}", Step(mend="join-classes", classes=tuple(chosen), name=str(name).strip()))
                st.rerun()
            if st.button("Drop them", key="classes_drop", disabled=not chosen, icon=":material/delete:"):
                plan.choose(f"drop {chosen}", Step(mend="drop-classes", classes=tuple(chosen)))
                st.rerun()


def bar(ws: str, plan: Plan, findings: Sequence[Finding]) -> None:
    """What is chosen so far, what it would change, and *Apply*."""
    if not plan.steps:
        return
    said = {finding.code: finding for finding in findings}
    with st.container(border=True, key="mend_bar"):
        n = len(plan.steps)
        st.markdown(f"**{n} change{'s' * (n > 1)} chosen.** Nothing is changed until you apply "
                    f"{'them' if n > 1 else 'it'}.")
        for place, step in plan.items():
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.markdown(f"- {_words(step, said.get(step.finding))}")
                if place not in said and st.button("Take back", key=f"back_{place}", type="tertiary",
                                                   icon=":material/undo:"):
                    plan.choose(place, None)
                    st.rerun()
        changed = _preview(str(shell.api().settings.home), ws, plan.dataset.id, plan.steps)
        if changed.nothing:
            st.markdown(":material/info: No row is concerned by these.")
        else:
            summary(changed)
            table(changed, key="would_change")
        with st.container(horizontal=True):
            if st.button("Apply", type="primary", icon=":material/check:", key="mend_apply", disabled=changed.nothing,
                         help="Makes the changed dataset and puts it in the place of this one in the list. This one "
                              "stays for the runs that used it, and Undo brings it back."):
                st.session_state[f"mending_{plan.dataset.id}"] = shell.api().mending.apply(ws, plan.dataset.id,
                                                                                          plan.steps)
                st.rerun()
            if st.button("Forget these", icon=":material/close:", key="mend_forget"):
                plan.forget()
                st.rerun()


@st.cache_data(max_entries=32, show_spinner="Counting what would change…")
def _preview(home: str, ws: str, ref: str, steps: tuple[Step, ...]) -> Changes:
    """Kept, as datasets never change; `home` is part of the key."""
    return shell.api().mending.preview(ws, ref, steps)


def _words(step: Step, finding: Finding | None) -> str:
    label = shell.api().mending.mend_called(step.mend).label
    if step.rows is not None:
        rows = ", ".join(f"{row:,}" for row in step.rows[:5]) + (" …" if len(step.rows) > 5 else "")
        label += f" ({'row' if len(step.rows) == 1 else 'rows'} {rows})"
    if step.classes:
        label += f": {', '.join(step.classes)}"
    if step.name:
        label += f" {_ARROW} {step.name}"
    return shell.escape(label) + (f" · *{shell.escape(finding.message)}*" if finding and step.rows is None else "")


def summary(changed: Changes) -> None:
    """Rows before and after, and where the others went."""
    parts = [f"{count:,} dropped ({shell.escape(reason)})" for reason, count in changed.dropped.items()]
    parts += [f"{changed.relabelled:,} with another class"] * bool(changed.relabelled)
    parts += [f"{changed.moved:,} moved to another split"] * bool(changed.moved)
    parts += [f"{changed.added:,} added as its shift set"] * bool(changed.added)
    st.markdown(f"**{changed.rows_before:,} rows {_ARROW} {changed.rows_after:,} rows**: {'; '.join(parts)}.")


def table(changed: Changes, *, key: str) -> None:
    """Rows before and after by class and split; splits and classes that stay as they are in one colour."""
    splits = [s.value for s in Split if s in changed.before or s in changed.after]
    names = sorted({name for part in (changed.before, changed.after) for rows in part.values() for name in rows})
    rows = [{"Class": name} | {"all": _both(changed, splits, name)} | {s: _both(changed, [s], name) for s in splits}
            for name in names]
    total = [sum(sum(part.get(s, {}).values()) for s in splits) for part in (changed.before, changed.after)]
    alt = f"Rows before and after of {len(names)} classes: {total[0]:,} before, {total[1]:,} after"
    config: dict[str, Any] = {"Class": st.column_config.TextColumn(pinned=True)}
    st.dataframe(inert(rows), hide_index=True, key=key, alt=alt, column_config=config)


def _both(changed: Changes, splits: Sequence[str], name: str) -> str:
    before, after = (sum(part.get(s, {}).get(name, 0) for s in splits) for part in (changed.before, changed.after))
    return f"{before:,}" if before == after else f"{before:,} {_ARROW} {after:,}"


def under_way(ws: str, dataset: Dataset) -> bool:
    """The progress of a change to this dataset, and on to the new one when it is done; whether one is under way."""
    key = f"mending_{dataset.id}"
    api = shell.api()
    if key not in st.session_state and (other := api.mending.under_way(ws, dataset.id)):
        st.session_state[key] = other.id
    if key not in st.session_state:
        return False
    run = api.runs.get(ws, st.session_state[key])
    if not run.status.final:
        live.import_panel(ws, run.id)
        return True
    st.session_state.pop(key)
    if run.failure is not None:
        live.failure(run)
    elif run.status is Status.DONE and (new := api.data.job_dataset(ws, run.id)):
        st.session_state.pop(f"plan_{dataset.id}", None)
        if new.id != dataset.id:
            shell.go("dataset", dataset=new.id)
    return False


def history(ws: str, dataset: Dataset) -> None:
    """Whether another dataset has taken the place of this one, or what this one changed, with *Undo*."""
    api = shell.api()
    if other := api.mending.replaced(ws, dataset.id):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(":material/history: **An earlier state of this data.** Another one is in its place in the "
                        "list; this one is kept for the runs that used it.")
            shell.link("dataset", "Open the present one", icon=":material/arrow_forward:", dataset=other)
        return
    known = api.mending.before(ws, dataset.id)
    if known is None:
        return
    old, changed = known
    with st.container(border=True):
        st.markdown(":material/healing: **What was changed**")
        summary(changed)
        with st.expander("By class and split"):
            table(changed, key="changed")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Undo", icon=":material/undo:", key="mend_undo", on_click=guard.callback(_undo),
                      args=(ws, dataset.id), help="The dataset from before comes back in the list. This one stays "
                                                  "only where runs were trained on it.")
            shell.link("dataset", "Look at the one before", icon=":material/history:", dataset=old.id)


def _undo(ws: str, ref: str) -> None:
    old = shell.api().mending.undo(ws, ref)
    st.session_state[f"undone_{ref}"] = old.id
