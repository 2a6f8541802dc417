"""What runs are doing right now. Fragments poll the store while something is under way and stop when it is final."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.domain import tips
from core.domain.run import Event, Phase, Run, Status
from core.plots.numbers import count, duration, roughly, size
from core.unforeseen import UNFORESEEN
from pages._ui import guard, shell
from pages._ui.words import word

POLL_S = 1.5

STATUS: dict[Status, tuple[str, str]] = {
    Status.QUEUED: ("gray", ":material/hourglass_empty:"),
    Status.RUNNING: ("orange", ":material/local_fire_department:"),
    Status.STOPPING: ("yellow", ":material/stop_circle:"),
    Status.DONE: ("green", ":material/check_circle:"),
    Status.STOPPED: ("gray", ":material/stop_circle:"),
    Status.FAILED: ("red", ":material/error:"),
    Status.INTERRUPTED: ("yellow", ":material/power_off:"),
}


BROKEN = (Status.FAILED, Status.INTERRUPTED)
"""States of runs that ended inside a phase."""


@dataclass
class RunState:
    """A run's events folded into what the page shows; grows with each poll, is rebuilt from the store after F5."""

    last_seq: int = 0
    attempt: int = -1
    phases: dict[str, float] = field(default_factory=dict)
    """Phase -> Unix time at which it began, in order of appearance."""
    progress: dict[str, Any] = field(default_factory=dict)
    step: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    """The newest scores on validation rows."""
    notes: list[str] = field(default_factory=list)

    @property
    def phase(self) -> str:
        """The latest one that began."""
        return next(reversed(self.phases), "starting")

    def add(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "phase":
                phase = str(event.data["phase"])
                self.phases.pop(phase, None)  # of an attempt before
                self.phases[phase] = event.time
                self.progress = {}
            elif event.kind == "progress":
                self.progress = event.data
            elif event.kind == "step":
                self.step = event.data
            elif event.kind == "eval":
                self.scores = event.data
            elif event.kind == "note" and event.data["text"] not in self.notes:
                self.notes.append(str(event.data["text"]))


def follow(ws: str, run_id: str) -> tuple[Run, RunState]:
    """The run as it is now and its events so far, reading only the events that are new to this session."""
    state: RunState = st.session_state.setdefault(f"state_{run_id}", RunState())
    progress = shell.api().runs.progress(ws, run_id, after=state.last_seq)
    if progress.run.attempts != state.attempt:
        state.attempt = progress.run.attempts
        state.phases, state.progress, state.step = {}, {}, {}
        if not progress.run.in_turns:  # that goes on where it was, with what it had reached
            state.scores = {}
    state.add(progress.events)
    state.last_seq = progress.last_seq
    return progress.run, state


def job_panel(ws: str, job: str, key: str) -> None:
    """A job that is no run while it is worked on: its state, a button that stops it, its progress. For a fragment; the
    page runs anew when it has ended. key: of the button."""
    with shell.guarded():
        run, story = follow(ws, job)
        if run.status.final:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run)
            if st.button("Stop", icon=":material/stop:", key=key, disabled=run.status is Status.STOPPING):
                shell.api().runs.stop(ws, job)
                st.rerun(scope="fragment")
        bar(run, story)


def badge(run: Run, *, more: str = "") -> None:
    """The status of a run as a coloured badge with an icon. more: said after it."""
    colour, icon = STATUS[run.status]
    text = f"queued, place {run.position}" if run.status is Status.QUEUED and run.position else run.status.value
    st.badge(f"{text}, {more}" if more else text, icon=icon, color=colour)  # type: ignore[arg-type]
    if run.imported:
        st.badge("imported", icon=":material/move_to_inbox:", color="violet")


def stepper(run: Run, state: RunState) -> None:
    """The phases in order: done, now, still to come; a phase that was not needed is left pale."""
    current = None if run.status.final else state.phase
    order = [p.value for p in Phase if p is not Phase.FEATURES or p in state.phases or not run.status.final]
    reached = max((order.index(p) for p in state.phases), default=-1)
    broken = state.phase if run.status in BROKEN and state.phases else None
    reached = order.index(broken) if broken else reached
    for i, phase in enumerate(order):
        if phase == current:
            st.badge(phase, icon=":material/play_circle:", color="orange")
        elif phase == broken:
            colour, icon = STATUS[run.status]
            st.badge(f"{phase}: {run.status.value} here", icon=icon, color=colour)  # type: ignore[arg-type]
        elif phase in state.phases and i <= reached:
            st.badge(phase, icon=":material/check_circle:", color="blue")
        else:
            word = "to come"
            if i < reached or run.status is Status.DONE:
                word = "not needed"
            elif run.status.final:
                word = "not reached"
            st.badge(phase, icon=":material/remove:" if word == "not needed" else ":material/radio_button_unchecked:",
                     color="gray", help=f"{phase}: {word}")


def bar(run: Run, state: RunState, *, more: str = "") -> None:
    """One progress bar: the phase's own measure, or steps while training. more: said after it."""
    if run.status is Status.QUEUED:
        place = f", place {run.position}" if run.position else ""
        turns = " (workspaces take turns)" if (run.position or 1) > 1 else ""
        st.progress(0.0, text=", ".join(part for part in (f"Waiting in the queue{place}{turns}", more) if part))
        return
    if state.phase == Phase.TRAINING and state.step.get("total_steps"):
        done, total, unit = state.step["step"], state.step["total_steps"], "steps"
    else:
        done, total = state.progress.get("done", 0), state.progress.get("total")
        unit = str(state.progress.get("unit", ""))
    note = str(state.progress.get("note", ""))
    amount = ""
    if unit == "bytes" and (done or total):
        amount = size(done) + (f" of {size(total)}" if total else "")
    elif done or total:
        amount = f"{done:,.0f}" + (f" of {total:,.0f}" if total else "") + f" {unit}"
    text = " · ".join(part for part in (state.phase.capitalize(), amount, shell.escape(note), more) if part)
    st.progress(min(1.0, done / total) if total else 0.0, text=text)


def vitals(run: Run, state: RunState, *, left_s: float | None) -> None:
    """Steps, loss, time left (None where it cannot be told), time so far and memory, as small metrics."""
    step, total, loss = (state.step.get(key) for key in ("step", "total_steps", "loss"))
    memory, samples = (state.step.get(key) for key in ("memory_bytes", "samples"))
    shown: list[tuple[str, str | None, str | None, int]] = [
        ("Step", f"{step:,} / {total:,}" if step and total else None, None, 115),
        ("Training loss", f"{loss:.3f}" if loss is not None else None, None, 110),
        ("Time left", roughly(left_s).capitalize() if left_s is not None else None,
         "Until it is judged and saved: from its pace so far, before that from the estimate.", 125),
        ("Time so far", duration((run.finished or time.time()) - run.started) if run.started else None, None, 125),
        ("Memory now", size(memory) if memory and not run.status.final else None, word("memory"), 125),
        ("Rows seen", count(samples) if samples else None, "Training rows, with repetition.", 95),
    ]
    with st.container(horizontal=True, gap="small"):
        for label, text, tip, width in shown:
            if text:
                st.metric(label, text, help=tip, width=width)


def failure(run: Run) -> None:
    """Why a run ended early, in three parts, and the tip for this kind of failure when it says more. The words of an
    error that nobody foresaw are one layer down."""
    if run.failure is None:
        return
    found = run.failure
    unforeseen = found.why.startswith(UNFORESEEN)
    tip = tips.tip(found.kind, run.kind)
    shell.problem(found.what, "" if unforeseen else found.why, found.remedy or tip)
    if unforeseen:
        with st.expander("In the program's own words", icon=":material/terminal:"):
            st.code(found.why, language=None, wrap_lines=True)
    if found.remedy and tip not in ("", found.remedy):
        st.caption(f"Kind: {found.kind.value}. {tip}")


def prepare_panel(ws: str, job: str) -> None:
    """Live progress of a fetch-and-inspect job; the page goes on by itself when it is done."""
    final = shell.api().runs.get(ws, job).status.final
    guard.fragment(_prepare, run_every=None if final else POLL_S)(ws, job)


def _prepare(ws: str, job: str) -> None:
    with shell.guarded():
        run, state = follow(ws, job)
        if run.status is Status.DONE:
            st.session_state.pop("prepare_job", None)
            st.rerun()
        if run.status.final:
            failure(run)
            if run.failure is None:
                shell.problem("Fetching was stopped before it was done.", remedy="Press the button to try again.")
            return
        badge(run)
        bar(run, state)
        for note in state.notes:
            st.caption(shell.escape(note))


def import_panel(ws: str, job: str) -> None:
    """Live progress of an import; the page is drawn again by itself once it has ended."""
    guard.fragment(_import, run_every=POLL_S)(ws, job)


def _import(ws: str, job: str) -> None:
    with shell.guarded():
        run, state = follow(ws, job)
        if run.status.final:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run)
            if st.button("Stop", icon=":material/stop:", key="stop_import", disabled=run.status is Status.STOPPING):
                shell.api().runs.stop(ws, job)
                st.rerun(scope="fragment")
        bar(run, state)
        st.caption("A worker reads and checks every row. You may close this page: its address leads back here.")
