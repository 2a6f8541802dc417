"""What came out: the prediction beside the measurement, and beside what a paper says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from core import metrics
from core.lessons import Guess, Held, Lesson
from core.metrics import Unit
from core.plots import lesson as plots
from core.plots.numbers import measured as number
from core.share import lesson as taken
from pages._ui import charts, guard, shell
from pages._ui.lesson.predicting import ordered

if TYPE_CHECKING:
    from core.api import Measured, Question

HERE, STORED = "Measured here", "Comes with Thaw"
VERDICTS = {"agrees": ":material/check: agrees", "disagrees": ":material/close: disagrees",
            "cannot tell": ":material/question_mark: cannot tell"}


def show(ws: str, lesson: Lesson, labels: Mapping[str, str], question: Question | None,
         predicted: Mapping[str, float]) -> None:
    """Nothing measured yet: only the paper."""
    api = shell.api()
    there = {name: found for name, found in ((HERE, api.lessons.measured(lesson.name, question)),
                                             (STORED, api.lessons.stored(lesson.name))) if found is not None}
    st.header("What came out")
    if not there:
        shell.empty("Nothing is measured yet. Start the runs above; this page fills in as they end.")
    else:
        chosen = str(st.segmented_control("Result", list(there), default=next(iter(there)), required=True,
                                          key=f"lesson_source_{len(there)}")) if len(there) > 1 else next(iter(there))
        _result(ws, lesson, labels, there[chosen], predicted)
    st.header("What the paper says")
    st.markdown(f"{shell.escape(lesson.claim)}")
    st.caption(f":material/menu_book: {shell.escape(lesson.source)}")
    if there:
        _held(lesson, there[chosen])
    st.header("Look for")
    st.markdown("\n".join(f"- {shell.escape(each)}" for each in lesson.look_for))


def _result(ws: str, lesson: Lesson, labels: Mapping[str, str], found: Measured,
            predicted: Mapping[str, float]) -> None:
    """The chart, the sentence, and how near the prediction came."""
    metric = metrics.REGISTRY[lesson.metric]
    chart = plots.drawn(labels, predicted, found.values, metric=metric, split=lesson.split, joined=ordered(lesson),
                        limits=_limits(lesson, found, predicted))
    charts.show(chart, key=f"lesson_outcome_{lesson.name}")
    guess = shell.api().lessons.guess(ws, lesson.name, found)
    if guess is not None:
        st.info(said(guess, lesson), icon=":material/psychology:")
    st.markdown(shell.escape(found.answer))
    if found.forgot:
        st.markdown(f"**What was forgotten.** {shell.escape(found.forgot)}")
    how = "one seed: the intervals are of rows alone" if found.seeds == 1 else f"{found.seeds} seeds"
    made = " Measured on {date}, {device}, {precision}.".format(**found.made) if found.made else ""
    measured_how = f"95 % intervals; {how}.{made}"
    st.caption(measured_how)
    told = {"What came out": f"{found.answer} {measured_how}", "Beside the paper": found.sentence}
    if found.forgot:
        told |= {"What was forgotten": found.forgot}
    if guess is not None:
        told = {"Your prediction": said(guess, lesson)} | told
    st.download_button("Take it home as one HTML file",
                       guard.made(lambda: taken.make(lesson, chart, said=told, held=found.held)),
                       file_name=f"lesson-{lesson.name}.html", mime="text/html", icon=":material/home:",
                       key="lesson_html", on_click="ignore")


def said(guess: Guess, lesson: Lesson) -> str:
    """How near a prediction came, in a sentence."""
    share = metrics.REGISTRY[lesson.metric].unit is Unit.SHARE
    away = f"{100 * guess.distance:.0f} points" if share else f"{guess.distance:.2f}"
    order = (f" Of {guess.pairs} pair{'s' * (guess.pairs > 1)} of arms whose intervals lie apart you had "
             f"{guess.ordered} in the right order." if guess.pairs else " No two arms lie clearly apart.")
    return (f"Your prediction is {away} away on average; {guess.inside} of {guess.arms} arms lie within their "
            f"interval.{order}")


def _limits(lesson: Lesson, found: Measured, predicted: Mapping[str, float]) -> tuple[float, float]:
    """The lesson's range, wider where something was measured beyond it, or predicted when the lesson had another."""
    low, high = lesson.range
    return (min([low, *predicted.values(), *(each.low for each in found.values.values())]),
            max([high, *predicted.values(), *(each.high for each in found.values.values())]))


def _held(lesson: Lesson, found: Measured) -> None:
    """The claim beside this miniature, honestly."""
    st.markdown(f"**{shell.escape(found.sentence)}**")
    if not found.held:
        return
    lines = ["| The paper lets expect | Measured difference (95 % interval) | This miniature |", "|---|---|---|"]
    lines += [f"| {_expected(each)} | {_difference(lesson, each)} | {VERDICTS[each.verdict]} |" for each in found.held]
    st.markdown("\n".join(lines))
    st.caption("A small model, few rows and short training may differ from a paper for good reasons. “Cannot tell” is "
               "no disagreement: the difference is within what seeds and rows do by chance.")


def _expected(each: Held) -> str:
    a, b = (shell.escape(name).replace("|", "\\|") for name in (each.a, each.b))
    what = f"{a} is about as good as {b}" if each.relation == "alike" else f"{a} is better than {b}"
    return f"{what} on {each.split} rows"


def _difference(lesson: Lesson, each: Held) -> str:
    gap = each.difference
    if metrics.REGISTRY[lesson.metric].unit is Unit.SHARE:
        return f"{100 * gap.value:+.1f} points ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    return number(gap.value, gap.low, gap.high)
