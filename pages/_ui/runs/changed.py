"""What training a language model changed besides its task: the forgetting panel, and how far its predictions moved."""

from __future__ import annotations

import streamlit as st

from core.domain.run import Result, Run
from core.plots import forgetting
from core.plots.numbers import change, measured
from pages._ui import charts, shell
from pages._ui.words import word

_KL = {"task": "KL on its own rows", "panel": "KL on other texts"}


def section(ws: str, run: Run, result: Result) -> None:
    """Chart, KL and the sentences behind it; nothing for a run of which it was not measured."""
    found = shell.api().runs.forgotten(ws, run.id)
    if not found and not result.kl:
        return
    st.header("What else changed", help=word("forgetting"))
    if found:
        domains = [forgetting.Domain(label=row["label"], before=row["before"], after=row["after"], change=row["change"],
                                     floor=row["floor"], word=row["word"]) for row in found]
        charts.show(forgetting.changes(domains), key=f"forgetting_{run.id}")
        source = next((row["floor_from"] for row in found if row["floor_from"]), "")
        if source:
            st.caption(f"Grey: the noise floor, from {_SOURCES.get(source, source)}. A change inside it means nothing.",
                       help=word("noise floor"))
    with st.container(horizontal=True, gap="medium"):
        for name, interval in result.kl.items():
            st.metric(_KL.get(name, f"KL, {name}"), measured(interval.value, interval.low, interval.high), width=230,
                      help=word("KL"))
    if found:
        with st.expander("Kind of text by kind of text", icon=":material/table_rows:"):
            st.table({"Text": [row["label"] for row in found],
                      "Before": [f"{row['before']:.3f}" for row in found],
                      "After": [f"{row['after']:.3f}" for row in found],
                      "Change, 95 % interval": [change(row["change"], 3) for row in found],
                      "Noise floor": [f"{row['floor']:.3f}" if row["floor_from"] else "not measured" for row in found],
                      "Said": [row["word"] for row in found]}, hide_index=True, border="horizontal",
                     alt="; ".join(f"{row['label']}: {row['word']}" for row in found))


_SOURCES = {"precision": "computing in another precision", "4-bit": "rounding to 4 bits alone", "seeds": "other seeds"}
