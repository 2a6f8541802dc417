"""The runs of an experiment, a row each, live while something is under way: one fragment, one query a poll, and events
only of what is running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.domain.run import JobKind, Phase, Result, Run, Status
from core.metrics import primary
from core.models.methods import REGISTRY
from core.planning import names
from core.planning.schedule import Outlook, Stretch
from core.plots.numbers import duration, measured
from pages._ui import guard, live, shell
from pages._ui.experiment import race
from pages._ui.runs import run_list, tally
from pages._ui.words import word

SHOWN = 24
"""Rows at first; the others come with a press, so that a page of many runs costs what it shows."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Which runs the rows are of."""

    experiment: str | None
    """None for a choice of runs."""
    ids: tuple[str, ...] = ()
    """The chosen runs, where it is a choice."""

    def now(self, ws: str) -> list[Run]:
        """They as they are now, in the order of their start."""
        if self.experiment is not None:
            return shell.api().experiments.runs(ws, self.experiment)
        every = shell.api().runs.all(ws, kind=JobKind.TRAIN)
        return [run for run in reversed(every) if run.id in self.ids]


def panel(ws: str, group: Group, members: Sequence[Run]) -> None:
    """All rows; drawn again by themselves, and the whole page with them when a run has ended."""
    moving = any(not run.status.final for run in members) or _undo_s(group, members) > 0
    guard.fragment(_panel, run_every=live.POLL_S if moving else None)(ws, group, _stamp(members), moving)


def _panel(ws: str, group: Group, drawn: object, was_moving: bool) -> None:
    with shell.guarded():
        members = group.now(ws)
        undo_s = _undo_s(group, members)
        moving = any(not run.status.final for run in members) or undo_s > 0
        if _stamp(members) != drawn or (was_moving and not moving):
            st.rerun()
        outlook = shell.api().experiments.outlook(ws, members)
        summary(members, outlook)
        if undo_s > 0 and group.experiment is not None:
            _undo(ws, group.experiment, undo_s)
        called = names.short(members, run_list.titles(ws))
        shown = members if st.session_state.get(_all_key(group)) else members[:SHOWN]
        told: set[str] = set()
        for run in shown:
            method = run.recipe.method if run.recipe else ""
            _row(ws, run, called[run.id], outlook.runs.get(run.id), summary=moving and method not in told,
                 others=any(not other.status.final for other in members))
            told.add(method)
        if any(run.status is Status.RUNNING for run in members):
            race.panel(ws, members, called)
        if len(members) > len(shown):
            st.button(f"Show {len(members) - len(shown)} more runs", icon=":material/expand_more:",
                      key=f"more_{group.experiment}", on_click=guard.callback(_show_all), args=(group,))


def summary(members: Sequence[Run], outlook: Outlook) -> None:
    """How far all of them are, and how long it still takes."""
    open_ = [run for run in members if not run.status.final]
    ended = len(members) - len(open_)
    text = f"**{tally.tally(members)}**"
    if not open_:
        st.markdown(text)
        return
    if outlook.left_s is not None:
        text += f" · :material/schedule: **{tally.about(outlook.left_s)} left in all**"
    else:
        text += " · :material/schedule: the time left is told once model and data are here"
    st.progress(ended / max(1, len(members)), text=text)
    st.caption("Runs go on when you close this page; its address leads back here. A run that fails stops no other.")


def _undo(ws: str, experiment: str, left_s: float) -> None:
    """Ten seconds in which a start can be taken back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Undo the start", icon=":material/undo:", key=f"undo_{experiment}",
                     help="Takes the runs that you have just started back, as if you had not."):
            shell.api().experiments.undo(ws, experiment)
            shell.go(str(st.session_state.get(f"started_from_{experiment}", "home")))
        st.caption(f"for {left_s:.0f} more seconds")


def _row(ws: str, run: Run, name: str, when: Stretch | None, *, summary: bool, others: bool) -> None:
    """others: whether more runs of the experiment are under way."""
    with st.container(border=True, key=f"row_{run.id}"):
        shares = [3, 3, 8] if run.status is Status.DONE else [5, 4, 4]
        left, middle, right = st.columns(shares, vertical_alignment="center")
        with left, st.container(gap=None):
            card = REGISTRY[run.recipe.method].card if run.recipe and run.recipe.method in REGISTRY else None
            about = [names.whole(run), *([card.summary] if card and not summary else [])]
            shell.link("run", f"**{shell.escape(name)}**", icon=":material/chevron_right:", help="\n\n".join(about),
                       run=run.id)
            if card and summary:
                st.caption(card.summary)
        result = shell.api().runs.result_of(run)
        moves = run.status in (Status.RUNNING, Status.STOPPING) or _between_turns(run)
        story = live.follow(ws, run.id)[1] if moves else None
        with middle, st.container(gap="xxsmall"):
            _state(ws, run, story, when, result, others=others)
        with right, st.container(gap=None):
            _score(run, story, result)


def _state(ws: str, run: Run, story: live.RunState | None, when: Stretch | None, result: Result | None,
           *, others: bool) -> None:
    """Where the run is: waiting with minutes, at work with a bar, or how it ended."""
    if run.status is Status.QUEUED:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            live.badge(run)
            paused = "lets the others catch up" if _between_turns(run) else ""
            if text := " · ".join(filter(None, [paused, tally.starts(when)])):
                st.caption(text)
    elif story is not None:
        live.bar(run, story, more=tally.left(when))
    elif run.status is Status.DONE:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            live.badge(run)
            if result:
                st.caption(duration(result.seconds))
    else:
        phase = shell.api().runs.last_phase(ws, run.id)
        live.badge(run, more=f"while {phase}" if phase and run.status is not Status.STOPPED else "")
        if text := tally.why(run):
            st.caption(shell.escape(text) + (" The others go on." if others and run.failure else ""))
    if run.status.final and (damage := shell.api().runs.damage(ws, run.id)):
        st.caption(f":material/broken_image: damaged: {shell.escape(', '.join(damage))}")


def _between_turns(run: Run) -> bool:
    return run.status is Status.QUEUED and run.in_turns and run.started is not None


def _score(run: Run, story: live.RunState | None, result: Result | None) -> None:
    """What the run reaches: on the test rows with its interval, or so far on the validation rows."""
    if result is not None:
        scores = result.metrics.get("test", {})
        metric = primary(scores)
        if metric is None:
            st.caption("No test score: the dataset has no test row.")
            return
        found = scores[metric.name]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{measured(found.value, found.low, found.high)}** {metric.on('test')}", width="content",
                        help=f"{metric.explanation} {word('interval')}")
            shell.link("features", "See inside", icon=":material/scatter_plot:", run=run.id)
            use = "Look closer" if shell.recorded() or run.imported else "Use it"
            shell.link("run", use, icon=":material/download:" if use == "Use it" else ":material/search:", run=run.id)
        return
    metric = primary(story.scores) if story else None
    if story and metric and Phase.TRAINING in story.phases:
        st.markdown(f"{story.scores[metric.name]:.2f} {metric.on('validation')} so far")
    elif run.status.final:
        st.caption("No result")
        if run.failure is not None:
            shell.link("run", "What to do", icon=":material/lightbulb:", run=run.id)


def _undo_s(group: Group, members: Sequence[Run]) -> float:
    return shell.api().experiments.undo_left_s(members) if group.experiment is not None else 0.0


def _stamp(members: Sequence[Run]) -> object:
    """What the rest of the page depends on: which runs there are, and which of them have ended how."""
    return tuple((run.id, run.status if run.status.final else None) for run in members)


def _show_all(group: Group) -> None:
    st.session_state[_all_key(group)] = True


def _all_key(group: Group) -> str:
    return f"all_rows_{group.experiment}"
