"""What came out: the prediction beside the measurement, and beside what a paper says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import streamlit as st

from core import metrics
from core.domain.experiment import Arm
from core.domain.run import Interval
from core.lessons import Guess, Held, Lesson
from core.metrics import Unit
from core.plots import lesson as plots
from core.plots.numbers import change, decimals, minus
from core.share import lesson as taken
from core.share.lesson import RELATIONS, SUGGESTS
from pages._ui import charts, guard, shell
from pages._ui.lesson.predicting import axis

if TYPE_CHECKING:
    from core.api import Measured, Question

HERE, STORED = "Measured here", "Comes with Thaw"
UNIT = " nats a token"
"""Of the only metric of lessons that is no share."""
VERDICTS = {"agrees": ":material/check: agrees", "disagrees": ":material/close: disagrees",
            "cannot tell": ":material/question_mark: cannot tell"}


def show(ws: str, lesson: Lesson, arms: Sequence[Arm], question: Question | None,
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
        _result(ws, lesson, arms, there[chosen], predicted)
    st.header("What the paper says")
    st.markdown(f"{shell.escape(lesson.claim)}")
    st.caption(f":material/menu_book: {shell.escape(lesson.source)}")
    if there:
        _held(lesson, there[chosen])
    st.header("Look for")
    st.markdown("\n".join(f"- {shell.escape(each)}" for each in lesson.look_for))


def _result(ws: str, lesson: Lesson, arms: Sequence[Arm], found: Measured, predicted: Mapping[str, float]) -> None:
    """Where it was measured, the chart, the sentence, and how near the prediction came."""
    metric, answer, forgot = metrics.REGISTRY[lesson.metric], minus(found.answer), minus(found.forgot)
    if found.made:
        st.caption(":material/inventory_2: This result comes with Thaw; it was not measured on this machine.")
    chart = plots.drawn({arm.name: arm.label for arm in arms}, predicted, found.values, metric=metric,
                        split=lesson.split, limits=_limits(lesson, found, predicted), **axis(lesson, arms))
    charts.show(chart, key=f"lesson_outcome_{lesson.name}")
    guess = shell.api().lessons.guess(ws, lesson.name, found)
    if guess is not None:
        st.info(said(guess, lesson), icon=":material/psychology:")
    st.markdown(shell.escape(answer))
    if forgot:
        st.markdown(f"**What was forgotten.** {shell.escape(forgot)}")
    how = "one seed: the intervals are of rows alone" if found.seeds == 1 else f"{found.seeds} seeds"
    measured_how = f"95 % intervals; {how}.{_made(found.made) if found.made else ''}"
    st.caption(measured_how)
    told = {"What came out": f"{answer} {measured_how}", "Beside the paper": found.sentence}
    if forgot:
        told |= {"What was forgotten": forgot}
    if guess is not None:
        told = {"Your prediction": said(guess, lesson)} | told
    st.download_button("Take it home as one HTML file",
                       guard.made(lambda: taken.make(lesson, chart, said=told, held=found.held)),
                       file_name=f"lesson-{lesson.name}.html", mime="text/html", icon=":material/home:",
                       key="lesson_html", on_click="ignore")


def _made(made: Mapping[str, Any]) -> str:
    """When and on what a stored result was measured."""
    day = date.fromisoformat(str(made["date"]))
    return f" Measured on {day.day} {day:%B %Y} on {made['device']}, in {made['precision']}."


def said(guess: Guess, lesson: Lesson) -> str:
    """How near a prediction came, in sentences."""
    share = metrics.REGISTRY[lesson.metric].unit is Unit.SHARE
    away = f"{100 * guess.distance:.0f} points" if share else f"{guess.distance:.2f}{UNIT}"
    order = (f"Of {guess.pairs} pair{'s' * (guess.pairs > 1)} of arms whose intervals lie apart you had "
             f"{guess.ordered} in the right order." if guess.pairs else
             "The intervals of all arms overlap, so that no order of them is right or wrong.")
    return (f"Your prediction is {away} away on average; of {guess.arms} arms {guess.inside or 'none'} "
            f"{'lie' if guess.inside > 1 else 'lies'} within the measured 95 % interval. {order}")


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
    lines = [f"| {SUGGESTS} | Measured difference (95 % interval) | This miniature |", "|---|---|---|"]
    lines += [f"| {_expected(each)} | {_difference(lesson, each)} | {VERDICTS[each.verdict]} |" for each in found.held]
    st.markdown("\n".join(lines))
    metric = metrics.REGISTRY[lesson.metric]
    st.caption(f"Difference: the {metric.label} of the arm named first, less that of the other; "
               f"{'higher' if metric.higher_is_better else 'lower'} is better. A small model, few rows and short "
               "training may differ from a paper for good reasons. “Cannot tell” is no disagreement: the difference "
               "is within what seeds and rows do by chance.")


def _expected(each: Held) -> str:
    a, b = (shell.escape(name).replace("|", "\\|") for name in (each.a, each.b))
    return f"**{a}** {RELATIONS[each.relation]} **{b}** on {each.split} rows"


def _difference(lesson: Lesson, each: Held) -> str:
    gap = each.difference
    if metrics.REGISTRY[lesson.metric].unit is Unit.SHARE:
        return change(Interval(value=100 * gap.value, low=100 * gap.low, high=100 * gap.high), 1, " points")
    return change(gap, decimals(gap.low, gap.high), UNIT)
