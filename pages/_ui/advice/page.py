"""Data, base model and use chosen; the method that is recommended, what that rests on, and what would settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core import advice
from core.advice import SERVED, Ground
from core.models.methods import REGISTRY, card_of
from core.plots.numbers import about, fixed, measured, size
from core.spreadsheets import inert
from pages._ui import shell
from pages._ui.experiment import actions
from pages._ui.train import form

if TYPE_CHECKING:
    from core.advice import Advice, Expected
    from core.api import Settling

SCORE_PX = 140
"""A column of scores: the browser measures few cells, and those that are empty too."""
MINUTES = (5, 10, 15, 30, 60, 120, 480)
GROUNDS = {Ground.OWN: ":material/person: Rests on your own runs",
           Ground.STORED: ":material/dataset: Rests on what Thaw measured on its bundled sets",
           Ground.PAPERS: ":material/menu_book: Rests on papers: nothing was measured that fits"}


def page(ws: str) -> None:
    """Everything below the title."""
    api = shell.api()
    left, right = st.columns(2)
    with left:
        dataset = form.dataset(ws)
        shell.link("data", "Bring your own data", icon=":material/upload_file:")
        served = str(st.radio("What the trained model is for", list(SERVED), format_func=SERVED.__getitem__,
                              key="advice_served", persist_state="session",
                              help="Adapters and new heads leave the base model as it is, so that one copy of it in "
                                   "memory serves any number of tasks."))
    with right:
        task = form.task_of(ws, dataset)
        model = form.model(task)
        minutes = int(st.select_slider("Time for an experiment", MINUTES, value=15, key="advice_minutes",
                                       format_func=lambda minutes: about(60 * minutes), persist_state="session",
                                       help="The experiment below compares as many methods with as many seeds as end "
                                            "within it, on this device."))
    if not model:
        shell.empty("Type the id of a hub model or the path of a folder, or choose a bundled model.")
        shell.stop()
    if api.models.facts(model) is None or api.data.expected(ws, dataset) is None:
        form.fetch_first(ws, model)
        shell.stop()
    with shell.guarded():
        found = api.advice.of(ws, dataset=dataset, model=model, served=served)
        _recommended(found)
        _settling(ws, found, api.advice.settling(ws, found, dataset=dataset, model=model, minutes=minutes), dataset,
                  model)
        _methods(found)
        _evidence(found)


def _recommended(found: Advice) -> None:
    with st.container(border=True):
        st.header(f"Train with: {shell.escape(found.label(found.method))}", anchor=False)
        st.caption(card_of(found.method).summary)
        st.markdown(shell.escape(found.because))
        st.caption(GROUNDS[found.ground])
        if st.button("Fill the Train page with it", icon=":material/model_training:", key="advice_train"):
            for method in REGISTRY:  # data and base model are the same choice on both pages
                st.session_state[f"method_{method}"] = method == found.method
            st.session_state["train_effort"] = "quick"
            shell.go("train")


def _settling(ws: str, found: Advice, settling: Settling | None, dataset: str, model: str) -> None:
    """The experiment that would settle it, and its start."""
    if settling is None:
        return
    st.header("What would settle it")
    plan, seeds = settling.plan, len(settling.plan.experiment.seeds)
    arms = ", ".join(arm.label for arm in plan.experiment.arms)
    time = about(plan.seconds) if plan.seconds is not None else "a time that is not known before the device is measured"
    st.markdown(f"**{shell.escape(plan.design.question)}** {shell.escape(arms)}, each with {seeds} "
                f"seed{'s' * (seeds > 1)}: {len(plan.runs)} runs, {time} in all.")
    if settling.budget is not None:
        st.caption(f":material/label: With {settling.budget:,} of your labels, as nothing fits the time above with all "
                   "of them. What it finds holds for so many.")
    if not settling.fits:
        st.caption(":material/schedule: This is the shortest experiment that says anything, and it takes longer than "
                   "the time above.")
    if seeds == 1:
        st.caption(":material/warning: One seed says nothing about what another would give.")
    form.to_fetch(ws, model, dataset)
    if st.button(f"Start {len(plan.runs)} runs", type="primary", icon=":material/play_arrow:", key="advice_start"):
        there = shell.api().data.expected(ws, dataset)
        few = f", {settling.budget:,} labels" if settling.budget is not None else ""
        title = f"{plan.design.question} {there.name if there else dataset}, {form.model_name(model)}{few}"
        actions.started(ws, shell.api().questions.start(ws, plan, name=title), by="advice")


def _methods(found: Advice) -> None:
    """Each method in question: what to expect and what it costs here."""
    st.header("The methods")
    expected = {each.method: each for each in found.expected}
    order = [each.method for each in found.expected]
    rows = sorted((each for each in found.candidates if each.reason is None and _shown(found, each.method)),
                  key=lambda each: order.index(each.method) if each.method in expected else len(order))
    st.dataframe(inert({
        "Method": each.label,
        "Expected behind the best": _points(expected[each.method].value) if each.method in expected
        else "not measured",
        "On the sets most like yours": _range(expected.get(each.method)),
        "One run here": about(each.seconds) if each.seconds is not None else "not known",
        "Memory": size(each.memory_bytes) if each.memory_bytes else "not known",
    } for each in rows), hide_index=True, height=min(35 * (len(rows) + 1) + 3, 420),
        alt="Each method with what is expected of it, its time and its memory on this device")
    if expected:
        st.caption("Points behind the best method of each measured set, 0 being the best itself: on average over all "
                   "of them, the more alike the more weight; and from least to most on the sets that weigh most.")
    out = [each for each in found.candidates if each.reason is not None]
    if out:
        with st.expander(f"Out of the question ({len(out)})", icon=":material/block:"):
            st.markdown("\n".join(f"- {shell.escape(each.label)}: {shell.escape(each.reason or '')}." for each in out))


def _shown(found: Advice, method: str) -> bool:
    """Of methods that nobody measured, the everyday ones."""
    return (card_of(method).everyday or method == found.method
            or any(each.method == method for each in found.expected))


def _evidence(found: Advice) -> None:
    """What there is, each marked as what it is."""
    st.header("What this rests on")
    with st.expander("Your own runs", icon=":material/person:", expanded=found.own is not None):
        _own(found)
    with st.expander("What Thaw measured on its bundled sets", icon=":material/dataset:",
                     expanded=found.ground is Ground.STORED):
        _stored(found)
    with st.expander("Papers", icon=":material/menu_book:", expanded=found.ground is Ground.PAPERS):
        st.markdown("\n".join(f"- {shell.escape(each.text)} *{shell.escape(each.source)}*" for each in found.papers)
                    or "None of those that Thaw knows is about such data.")


def _own(found: Advice) -> None:
    own = found.own
    if own is None:
        st.markdown("None yet, or of one method only: two methods on the same data, with validation rows, are needed.")
        return
    st.dataframe(inert({
        "Method": found.label(each.method), "Seeds": each.seeds,
        f"Validation {own.metric.label}": measured(each.score.value, each.score.low, each.score.high),
        "Beside the best": "worse" if each.worse else "cannot be told apart" if each is not own.methods[0] else "best",
    } for each in own.methods), hide_index=True, alt="Your runs of each method on validation rows")
    st.caption("On validation rows, as test rows choose nothing; pooled over seeds, with Holm's correction.")


def _stored(found: Advice) -> None:
    if not found.settings:
        st.markdown("Nothing was measured on sets of this kind.")
        return
    methods = [each.method for each in found.expected]
    rows = []
    for setting, weight in found.settings:
        row: dict[str, object] = {"Set": setting.name, "Weight": f"{100 * weight:.0f} %",
                                  "Labels a class": round(setting.situation.labels_a_class),
                                  "Effort": setting.effort, "Seeds": setting.seeds}
        for method in methods:
            arm = setting.arm(method)
            row[found.label(method)] = "" if arm is None else measured(arm.score.value, arm.score.low, arm.score.high)
        rows.append(row)
    st.dataframe(inert(rows), hide_index=True, alt="Scores of each method on each measured set, with their weight",
                 column_config={found.label(method): st.column_config.TextColumn(width=SCORE_PX) for method in methods})
    st.caption("Test rows, with 95 % intervals over rows and seeds. A set weighs more the more alike it is to yours: "
               "in labels a class, in kind (texts or pictures), and in how well a linear probe does on it.")
    tried = advice.leave_one_out(advice.stored())
    if any(each.rule == advice.ADVISOR for each in tried):  # fixed rules alone say nothing of advice
        st.markdown("How good a first choice was on a set that it had not seen:\n"
                    + "\n".join(f"- {shell.escape(line)}" for line in advice.summary(tried)))


def _range(found: Expected | None) -> str:
    if found is None:
        return ""
    if found.sets == 1:
        return "one set"
    least, most = _points(found.high), _points(found.low)
    return least if least == most else f"{least.removesuffix(' points')} to {most}"


def _points(behind: float) -> str:
    """A distance behind the best, which advice keeps as a negative number."""
    return f"{fixed(abs(100 * behind), 1)} points"
