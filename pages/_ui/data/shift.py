"""The shift set of a dataset: attach one after a look at what matters of it, or take it off."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from core import settings
from core.api import ShiftLook, Step
from core.domain.dataset import SEVERITIES, Dataset, Split
from core.spreadsheets import inert
from pages._ui import guard, live, shell
from pages._ui.data import finding_rows, importing
from pages._ui.data import report as data_report
from pages._ui.words import word

LEAVE_OUT = "leave them out"
_LEAKS = frozenset({"shift-leakage", "shift-near-leakage"})


def section(ws: str, dataset: Dataset) -> None:
    """What the shift set holds, or the way to one."""
    st.header("Shift set", help=word("shift set"))
    rows = dataset.rows(Split.SHIFT)
    if rows:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{rows:,} rows{_made(dataset)}. Every run on this dataset is judged on them, none is trained "
                        "on them.")
            if st.button("Take it off", icon=":material/link_off:", key="shift_off",
                         help="Undo brings it back; runs that were judged on it stay as they are."):
                st.session_state[f"mending_{dataset.id}"] = shell.api().mending.apply(
                    ws, dataset.id, [Step(mend="take-off-shift")])
                st.rerun()
        return
    job = shell.api().mending.last_shift_look(ws, dataset.id)
    if job is not None:
        if not job.status.final:
            live.import_panel(ws, job.id)
            return
        if job.failure is not None:
            live.failure(job)
            st.button("Close", icon=":material/close:", key="shift_failed", args=(ws, job.id),
                      on_click=guard.callback(shell.api().mending.drop_shift_look))
        elif seen := shell.api().mending.shift_look(ws, job.id):
            _seen(ws, dataset, job.id, seen)
            return
    _choose(ws, dataset)


def _choose(ws: str, dataset: Dataset) -> None:
    """A file, or another dataset of the workspace."""
    labelled = dataset.task.labelled
    st.markdown(f"None yet. Attach a second {'labelled ' * labelled}set from another source, and every run is also "
                "judged on it: does what was learned hold there?")
    path = st.session_state.get(f"shift_upload_{dataset.id}")
    if path and Path(path).exists():
        importing.review(ws, Path(path), shift_of=dataset)
        return
    others = {other.id: other.name for other in shell.api().data.all(ws)
              if other.id != dataset.id and other.task is dataset.task}
    left, right = st.columns(2)
    with left:
        limits, n = settings.load(), st.session_state.get("shift_uploads", 0)
        key = f"shift_file_{n}"
        st.file_uploader("A file with texts or pictures and their labels" if labelled else "A file with texts",
                         type=[*importing.TABLES, *importing.ARCHIVES], key=key, max_upload_size=limits.max_upload_mb,
                         on_change=guard.callback(_arrived), args=(ws, dataset.id, key, limits.max_upload_mb))
    with right:
        other = st.selectbox("or one of your datasets", list(others), index=None, format_func=others.__getitem__,
                             placeholder="choose one" if others else "there is no other of this kind",
                             key=f"shift_other_{dataset.id}", disabled=not others)
        if st.button("Look at it", icon=":material/visibility:", key="shift_look_other", disabled=other is None):
            shell.api().mending.look_at_shift(ws, dataset.id, other=other)
            st.rerun()
    _make(ws, dataset)


def _made(dataset: Dataset) -> str:
    """How they were made, where they are of no second domain."""
    if not dataset.shift_called or dataset.made is None:
        return ""
    kind = shell.api().mending.made_kind(dataset.made.kind)
    return (f", **{dataset.shift_called}**: its own test rows, changed, no second domain ({kind.explains[:-1]}; "
            f"source: {kind.source})")


def _make(ws: str, dataset: Dataset) -> None:
    """Where there is no second domain: one made from the test rows."""
    api = shell.api()
    kinds = {kind.name: kind for kind in api.mending.made_kinds(ws, dataset.id)}
    if not kinds:
        return
    with st.expander("Nothing at hand? Make one from the test rows", icon=":material/science:"):
        st.caption("The test rows once more, changed by a stated rule. It is no second domain, and is named as made "
                   "wherever it is shown.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("Kind", list(kinds), key=f"made_kind_{dataset.id}", width=220)
            severity = st.segmented_control("Severity", SEVERITIES, default=3, required=True,
                                            key=f"made_severity_{dataset.id}", help="1 is weak, 5 strong.")
            if st.button("Make it", icon=":material/science:", key="shift_make"):
                with shell.guarded():
                    st.session_state[f"mending_{dataset.id}"] = api.mending.make_shift(
                        ws, dataset.id, kind=str(name), severity=int(severity or 3))
                    st.rerun()
        st.caption(f"{kinds[str(name)].explains} Source: {kinds[str(name)].source}.")


def _arrived(ws: str, ref: str, key: str, most_mb: int) -> None:
    upload = st.session_state[key]
    if upload:
        st.session_state["shift_uploads"] = st.session_state.get("shift_uploads", 0) + 1
        st.session_state[f"shift_upload_{ref}"] = str(importing.keep(ws, [upload], most_bytes=most_mb * 1_000_000))


def _seen(ws: str, dataset: Dataset, job: str, seen: ShiftLook) -> None:
    """What was found in a shift set; nothing is attached before a person says so."""
    api = shell.api()
    report = api.data.job_report(ws, job)
    if report is None:
        return
    with st.container(border=True):
        st.markdown(f"**{shell.escape(report.source)}**: {report.rows_read:,} rows read, **{report.rows_kept:,} can be "
                    f"attached**, {len(report.left_out):,} left out. Nothing is attached yet.")
        for finding in report.findings:
            data_report.line(finding, examples=finding.code not in _LEAKS)
            if finding.code in _LEAKS and st.toggle(f"Show rows ({finding.count:,})", key=f"show_{finding.code}"):
                read = functools.partial(api.mending.shift_rows, ws, job, finding.code)
                finding_rows.table(ws, "", read, key=f"shift_{finding.code}", alt=f"Rows of: {finding.message}",
                                   splits=False)
        _classes(report.splits.get(Split.SHIFT.value, {}), dataset)
        labels = _matches(dataset, seen)
        leaking = sum(finding.count for finding in report.findings if finding.code in _LEAKS)
        drop = bool(leaking) and st.checkbox(
            f"Leave out the {leaking:,} row{'s' * (leaking > 1)} that repeat a training row", value=True,
            key="shift_drop_leaks")
        data_report.left_out(report, key="shift_left_out")
        with st.container(horizontal=True):
            if labels:
                if st.button("Look again with these matches", type="primary", icon=":material/refresh:",
                             key="shift_again"):
                    api.mending.look_at_shift(ws, dataset.id, staged=seen.staged, labels=labels)
                    st.rerun()
            elif st.button("Attach it", type="primary", icon=":material/link:", key="shift_attach"):
                st.session_state[f"mending_{dataset.id}"] = api.mending.attach_shift(ws, job, drop_leaks=drop)
                st.rerun()
            st.button("Not this one", icon=":material/close:", key="shift_no", args=(ws, job),
                      on_click=guard.callback(api.mending.drop_shift_look))


def _classes(counts: dict[str, int], dataset: Dataset) -> None:
    if not dataset.task.labelled:
        return
    rows = [{"Class": name, "In the shift set": counts.get(name, 0), "In training": dataset.counts.get(
        Split.TRAIN.value, {}).get(name, 0)} for name in dataset.classes]
    st.dataframe(inert(rows), hide_index=True, key="shift_classes",
                 alt=f"Rows of each of {len(rows)} classes in the shift set and in training",
                 column_config={"Class": st.column_config.TextColumn(pinned=True)})


def _matches(dataset: Dataset, seen: ShiftLook) -> dict[str, str]:
    """Classes for labels that have none, chosen by hand; empty while nothing is chosen."""
    if not seen.unmatched:
        return {}
    st.markdown("**Labels that are no class here.** Say which class they mean, or leave their rows out.")
    chosen: dict[str, str] = {}
    for label, rows in list(seen.unmatched.items())[:20]:
        name = st.selectbox(f"{shell.escape(label)} ({rows:,} row{'s' * (rows > 1)})", [LEAVE_OUT, *dataset.classes],
                            key=f"match_{label}", width=300)
        if name != LEAVE_OUT:
            chosen[label] = str(name)
    given = {label: name for label, name in seen.given.items() if label not in chosen}
    return {**given, **chosen} if chosen else {}
