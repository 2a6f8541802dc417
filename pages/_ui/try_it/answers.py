"""What the models answer, beside each other, as it comes; which answers are the same; which files they came from."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.api import Answers, ServerGone, State, TriedAnswer, same
from core.plots.numbers import percent, size
from pages._ui import guard, shell
from pages._ui.try_it import asking, near, rests, where

POLL_S = 0.5
WAIT_S = 2.0
"""A first look waits so long for the answer, which most texts need less than."""
MOST_CLASSES = 6
LOOK = {State.WAITING: ("gray", ":material/hourglass_empty:"), State.LOADING: ("blue", ":material/downloading:"),
        State.WORKING: ("orange", ":material/pending:"), State.STOPPED: ("gray", ":material/stop_circle:"),
        State.FAILED: ("red", ":material/error:")}


def section(ws: str) -> None:
    """The answers to what was asked last in this workspace; nothing before."""
    asked = st.session_state.get("try_asked")
    if not asked or asked["ws"] != ws:
        return
    st.header("Answers")
    final = asked["answers"] is not None and asked["answers"].final
    guard.fragment(_answers, run_every=None if final else POLL_S)(final)


def _answers(was_final: bool) -> None:
    asked: dict[str, Any] = st.session_state["try_asked"]
    if not was_final:
        _look(asked)
    found: Answers | None = asked["answers"]
    if found is None:
        return
    if found.final and not was_final:
        st.rerun()
    if asked.get("came_back"):
        st.info("The process that holds the models had ended before it answered, most often because memory ran out. It "
                "was started again, and the question was asked again.", icon=":material/restart_alt:")
    if not found.final:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Stop", icon=":material/stop:", key="try_stop"):
                asking.stop()
            if found.place:
                st.caption(f"Place {found.place} in the line. Visitors take turns, so that all get an equal share.")
    seen = where.maps(asked["ws"], asked["sides"], found.answers)
    windows = where.windows(seen, found.answers)
    for at, (column, answer) in enumerate(zip(st.columns(len(found.answers)), found.answers, strict=True)):
        with column:
            name, side = asked["names"][at], asked["sides"][at]
            _answer(name, answer, long=len(found.answers) < 3)
            where.draw(name, side, answer, seen[at], windows[at], handle=asked["handle"], key=f"try_place_{at}")
    if found.final:
        _check(asked, found)
        _sameness(asked["names"], found)
        _files(asked["names"], found)


def _look(asked: dict[str, Any]) -> None:
    """Fetch what is new. A server that was killed is asked once more, and the page says so."""
    try:
        wait_s = WAIT_S if asked["version"] < 0 else 0.0
        asked["answers"], asked["version"] = shell.api().playground.look(asked["handle"], known=asked["version"],
                                                                         wait_s=wait_s)
    except ServerGone:
        if asked.get("came_back"):
            asked["answers"] = Answers(answers=tuple(TriedAnswer(state=State.STOPPED) for _ in asked["sides"]))
            raise
        asked["came_back"] = True
        asking.begin(asked["ws"], asked["sides"], asked["names"], asked["question"], asked["before"], came_back=True)
        st.rerun()


def _answer(name: str, answer: TriedAnswer, *, long: bool) -> None:
    st.markdown(f"**{shell.escape(name)}**")
    if answer.state in LOOK:
        colour, icon = LOOK[answer.state]
        st.badge(answer.state.value, icon=icon, color=colour)  # type: ignore[arg-type]
    if answer.error:
        shell.problem(answer.error["what"], answer.error["why"], answer.error["remedy"])
        return
    if answer.probabilities is not None:
        ranked = sorted(answer.probabilities.items(), key=lambda one: -one[1])
        for label, share in ranked[:MOST_CLASSES]:
            st.progress(min(1.0, max(0.0, share)), text=f"{shell.escape(label)} {_percent(share)}")
        if len(ranked) > MOST_CLASSES:
            rest = sum(share for _, share in ranked[MOST_CLASSES:])
            st.caption(f"{len(ranked) - MOST_CLASSES} other classes: {_percent(rest)}")
    elif answer.text or answer.state is State.DONE:
        st.text(answer.text or "(nothing)")
        _told(answer)
    if answer.compared:
        st.caption(f":material/compare_arrows: Compared with the rows: {answer.compared}.")
    if answer.nearest is not None:
        near.draw(answer.nearest)
    if answer.progress is not None and answer.state is State.WORKING:
        st.progress(answer.progress, text=f"What the answer rests on: {percent(answer.progress)}")
    if answer.rests_on is not None:
        rests.draw(answer.rests_on)
    for note in answer.notes:
        st.caption(f":material/content_cut: {shell.escape(note)}")


def _percent(share: float) -> str:
    """`97.3 %`; what only rounds to nothing or to all of it is said so."""
    if 0 < share < 0.0005 or 0.9995 <= share < 1:
        return "under 0.1 %" if share < 0.5 else "over 99.9 %"
    return f"{100 * share:.1f} %"


def _told(answer: TriedAnswer) -> None:
    pace = f", {answer.tokens_a_second:.1f} a second" if answer.tokens_a_second else ""
    end = "" if answer.state is not State.DONE else ". It stopped by itself." if answer.ended else \
        ". It was cut at the longest answer."
    st.caption(f"{answer.tokens:,} tokens{pace}{end}")


def _check(asked: dict[str, Any], found: Answers) -> None:
    """The button that asks the same under randomised weights."""
    unchecked = any(answer.rests_on and not answer.rests_on.checked for answer in found.answers)
    if unchecked and st.button("Check with randomised weights", icon=":material/shuffle:", key="try_check",
                               help="The same once more with every weight drawn at random (Adebayo et al. 2018): what "
                                    "an answer rests on should then look different."):
        asking.check(asked)
        st.rerun()


def _sameness(names: list[str], found: Answers) -> None:
    """Which raw outputs are the same to the last bit, and which only read the same."""
    groups = same(found.answers)
    for group in groups:
        called = " and ".join(f"**{shell.escape(names[at])}**" for at in group)
        st.markdown(f":material/equal: {called} gave the same output to the last bit.")
    if not groups and len(found.answers) > 1 and len({a.text for a in found.answers}) == 1 and found.answers[0].text:
        st.markdown(":material/difference: They say the same words; their raw outputs differ.")


def _files(names: list[str], found: Answers) -> None:
    """What each side was loaded from."""
    rows = [{"Model": name, "File": file.name, "SHA-256": file.sha256, "Size": size(file.size_bytes),
             "Computes in": answer.precision}
            for name, answer in zip(names, found.answers, strict=True) for file in answer.files]
    if not rows:
        return
    with st.expander("The files each answer came from", icon=":material/verified:"):
        st.caption("The weights of each model were read from these files and no others. Equal sums mean equal files.")
        st.dataframe(rows, hide_index=True, key="try_files", alt="Model, file and SHA-256 of the weights")
