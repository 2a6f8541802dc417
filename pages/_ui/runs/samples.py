"""What a language model answers to fixed prompts as it trains: a column a step, beside the untouched model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.api import Answer, Asked
from core.domain.run import Run
from pages._ui import shell, token_text

COLUMNS = 3
"""Steps that are drawn beside the untouched model unless others are chosen; more do not fit side by side."""
KINDS = {"new": "", "gone": "", "same": ""}


def section(ws: str, run: Run) -> None:
    """The answers at every step that was recorded; nothing for a run that said nothing yet."""
    found = shell.api().runs.samples(ws, run.id)
    if found is None or not found.asked:
        return
    st.header("What it answers", help="The same prompts and the same random choices at every step and in every run, "
                                      "so that what differs was learned. A single answer proves nothing: the numbers "
                                      "above do.")
    at = int(st.selectbox("Prompt", range(len(found.asked)), key=f"prompt_{run.id}",
                          format_func=lambda place: _called(found.asked[place])) or 0)
    asked = found.asked[at]
    later = [step for step in found.steps if step or not found.starts_untouched]
    chosen = later
    if len(later) > COLUMNS:
        chosen = list(st.pills("Steps", later, selection_mode="multi", default=_spread(later),
                               key=f"steps_{run.id}_{len(later)}"))
    st.text(asked.prompt)
    shown = [answer for step in chosen if (answer := asked.at(step))]
    columns = st.columns(1 + len(shown))
    with columns[0]:
        st.markdown("**Untouched model**")
        token_text.show([{"text": asked.untouched, "kind": "same"}], kinds=KINDS, label="The untouched model's answer",
                        key=f"answer_{run.id}_{at}_untouched")
    for column, answer in zip(columns[1:], shown, strict=True):
        with column:
            _answer(answer, key=f"answer_{run.id}_{at}_{answer.step}")
    if shown:
        st.caption("Underlined: what the untouched model does not say there. Struck through: what it alone says.")


def _answer(answer: Answer, *, key: str) -> None:
    st.markdown(f"**Step {answer.step:,}**" if answer.step else "**Before training**")
    token_text.show([{"text": span.text, "kind": span.kind} for span in answer.spans], kinds=KINDS, key=key,
                    label=f"Answer at step {answer.step}: {answer.text}")
    if not answer.ended:
        st.caption("It did not stop by itself.")


def _called(asked: Asked) -> str:
    """A prompt in a list: its beginning, and how answers were drawn."""
    line = " ".join(asked.prompt.split())
    line = line if len(line) <= 80 else f"{line[:79]}…"
    return f"{line} ({'likeliest words' if asked.seed is None else 'drawn at random'})"


def _spread(steps: Sequence[int]) -> list[int]:
    """A few steps over all of them, the last one always."""
    return [steps[-1 - round(i * (len(steps) - 1) / COLUMNS)] for i in range(COLUMNS)][::-1]
