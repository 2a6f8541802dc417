"""One lesson, from its text to what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core import lessons
from core.domain.run import Status
from core.errors import NotFoundError
from core.lessons import Lesson
from core.plots.numbers import about
from pages._ui import guard, live, shell
from pages._ui.lesson import outcome, predicting, room
from pages._ui.train import form

if TYPE_CHECKING:
    from core.api import Plan, Question

LOOKED = "lesson_looked_"
"""Session key of a lesson whose result was opened without a prediction."""


def one(ws: str) -> None:
    """The lesson that the address names."""
    name = shell.opened("lesson").get("lesson", "")
    if name not in lessons.REGISTRY:
        shell.title("Lesson")
        if name:
            shell.problem("There is no such lesson.", "The address is mistyped, or of another version of Thaw.",
                          "Choose a lesson from the list.")
        shell.empty("Choose a lesson first.", page="lessons", label="All lessons")
        shell.stop()
    lesson = lessons.get(name)
    shell.title(lesson.title)
    st.markdown(lesson.text)
    with shell.guarded():
        _steps(ws, lesson)


def _steps(ws: str, lesson: Lesson) -> None:
    """Predict, measure, compare; each once the one before is done."""
    api = shell.api()
    if api.models.facts(lesson.model) is None or api.data.expected(ws, lesson.dataset) is None:
        raise NotFoundError("This lesson's dataset or base model is not known here.",
                            remedy="Fetch them on the Train page first.")
    predicted = api.lessons.prediction(ws, lesson.name)
    looked = st.session_state.get(LOOKED + lesson.name, False)
    number = room.guest(ws, lesson, told=predicted is not None or looked)
    own = [number] if number is not None else 0
    plan = api.lessons.plan(ws, lesson.name, seeds=own)
    if predicted is None and not looked:
        predicting.ask(ws, lesson, plan.experiment.arms)
        return
    question = api.lessons.question(ws, lesson.name)
    _measure(ws, lesson, plan, question, number)
    outcome.show(ws, lesson, plan.experiment.arms, question, predicted or {})
    _next(ws, lesson)


def _measure(ws: str, lesson: Lesson, plan: Plan, question: Question | None, number: int | None) -> None:
    """Start it here, or say how far it is."""
    api = shell.api()
    if question is not None:
        guard.fragment(_progress, run_every=live.POLL_S if question.done < question.planned else None)(
            ws, lesson.name, question.done)
        return
    if shell.recorded():
        return
    st.header("Measure it here")
    time = about(plan.seconds) if plan.seconds is not None else "a time that is not known before the device is measured"
    seeds: int | list[int] = [number] if number is not None else _seeds(lesson)
    if number is None and seeds != lesson.seeds:
        plan = api.lessons.plan(ws, lesson.name, seeds=seeds)
        time = about(plan.seconds) if plan.seconds is not None else time
    form.to_fetch(ws, lesson.model, lesson.dataset)
    if st.button(f"Start {len(plan.runs)} runs ({time})", icon=":material/play_arrow:", type="primary",
                 key="lesson_start"):
        api.experiments.check_room(ws, len(plan.runs))
        api.lessons.start(ws, lesson.name, seeds=seeds)
        st.rerun()


def _progress(ws: str, name: str, known: int) -> None:
    """How far its runs are; the page is drawn again when one has ended."""
    with shell.guarded():
        api = shell.api()
        id = api.lessons.experiment(ws, name)
        if id is None:  # deleted
            st.rerun(scope="app")
            return
        runs = api.experiments.runs(ws, id)
        done = sum(run.status is Status.DONE for run in runs)
        open_ = sum(not run.status.final for run in runs)
        st.progress(done / max(1, len(runs)), f"{done} of {len(runs)} runs are measured here"
                    + (f", {open_} to go" if open_ else ""))
        broken = len(runs) - done - open_
        if broken:
            st.warning(f"{broken} did not end well: the page of its runs says why, and can resume them.",
                       icon=":material/warning:")
        shell.link("experiment", "Its runs", icon=":material/subdirectory_arrow_right:", experiment=id)
        if done != known:
            st.rerun(scope="app")


def _seeds(lesson: Lesson) -> int:
    return int(st.segmented_control("Seeds", [1, 2, 3], default=lesson.seeds, key="lesson_seeds", required=True,
                                    help="Runs of each arm that differ in chance alone. More seeds take as many times "
                                         "longer.") or lesson.seeds)


def _next(ws: str, lesson: Lesson) -> None:
    """Again, or on."""
    names = list(lessons.REGISTRY)
    place = names.index(lesson.name)
    with st.container(horizontal=True, gap="small"):
        if not shell.recorded() and st.button("Start this lesson again", icon=":material/restart_alt:",
                                              key="lesson_again", help="Without its prediction. Runs stay."):
            shell.api().lessons.forget(ws, lesson.name)
            st.session_state.pop(LOOKED + lesson.name, None)
            st.rerun()
        shell.link("lessons", "All lessons", icon=":material/school:")
        if place + 1 < len(names):
            following = lessons.get(names[place + 1])
            shell.link("lesson", f"Next: {following.title}", icon=":material/arrow_forward:", lesson=following.name)
