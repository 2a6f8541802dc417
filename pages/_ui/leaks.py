"""Beside a number: how many of the rows that it was measured on a model has, in substance, been trained on."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from core.domain.run import Run
from pages._ui import shell
from pages._ui.words import word


def caption(ws: str, runs: Iterable[Run], splits: Iterable[str]) -> None:
    """Say it for each of these splits, once a dataset; nothing where no row leaks."""
    refs = dict.fromkeys(run.recipe.dataset for run in runs if run.recipe)
    asked = list(splits)
    said: dict[str, str] = {}
    for ref in refs:
        found = shell.api().mending.leaks(ws, ref)
        said |= {found[split].sentence(split): ref for split in asked if split in found}
    for sentence, ref in said.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":orange-badge[:material/warning: leak] {sentence}", help=word("leak"))
            shell.link("dataset", "See which rows leak", dataset=ref)
