"""Every word of Thaw in one place, drawn from the registries: what is added there shows here by itself."""

import re

import streamlit as st

from core.analysis import CARDS
from core.models.methods import REGISTRY
from pages._ui import guard, shell
from pages._ui.words import WORDS

shell.require_entrypoint()

# Heading -> words and what they mean.
SECTIONS = {
    "General words": list(WORDS.items()),
    "Methods": [(method.card.label, method.card.summary) for method in REGISTRY.values()],
    "Numbers of the Features page": [
        (card.label, f"{card.meaning} Baseline: {card.baseline}" + (f" Careful: {card.trap}" if card.trap else ""))
        for card in CARDS.values()],
}
SEARCH = "glossary_search"


def plain(text: str) -> str:
    """Letters and digits only, so that `macro f1` finds macro-F1."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def matching(wanted: str) -> dict[str, list[tuple[str, str]]]:
    """The sections with the words whose name and meaning hold every part of `wanted`; empty sections are left out."""
    parts = plain(wanted).split()
    found = {heading: [(word, meaning) for word, meaning in words
                       if all(p in plain(f"{word} {meaning}") for p in parts)]
             for heading, words in SECTIONS.items()}
    return {heading: words for heading, words in found.items() if words}


def show_all() -> None:
    """Empty the search."""
    st.session_state[SEARCH] = ""


shell.title("Words")
st.markdown("What the words and numbers on these pages mean.")
wanted = st.text_input("Search", key=SEARCH, placeholder="For example: frozen, seed, CKA", max_chars=80) or ""
found = matching(wanted)
if not found:
    shell.empty(f"No word or meaning holds “{shell.escape(wanted)}”. Try fewer or other words.")
    st.button("Show all words", on_click=guard.callback(show_all))
    shell.stop()
st.markdown(f"{sum(map(len, found.values()))} of {sum(map(len, SECTIONS.values()))} words")
for heading, words in found.items():
    st.header(heading)
    st.markdown("\n".join(f"- **{word[:1].upper()}{word[1:]}**: {meaning}" for word, meaning in words))
