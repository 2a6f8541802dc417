"""The Words page: every word of the registries, and a search that finds them or says that there is none."""

from __future__ import annotations

import dataclasses

import pytest

from core.analysis import CARDS
from core.metrics import METRICS
from core.models.methods import REGISTRY
from pages._ui.words import WORDS
from tests.ui.conftest import shown

NAMES = [*WORDS, *(method.card.label for method in REGISTRY.values()), *(card.label for card in CARDS.values())]


def search(at, text):
    return at.text_input(key="glossary_search").set_value(text).run()


def test_every_word_of_every_registry_is_there_with_its_meaning(app):
    at = app("glossary")
    text = shown(at)
    for name in NAMES:
        assert f"**{name[:1].upper()}{name[1:]}**: " in text, name
    meanings = [*WORDS.values(), *(m.card.summary for m in REGISTRY.values()), *(c.meaning for c in CARDS.values())]
    assert all(meaning in text for meaning in meanings)
    assert f"{len(NAMES)} of {len(NAMES)} words" in text
    assert {metric.label for metric in METRICS} <= set(WORDS)


def test_a_new_method_is_there_by_itself(app, monkeypatch):
    class Other:
        card = dataclasses.replace(REGISTRY["probe"].card, name="other", label="Wholly other",
                                   summary="Trains nothing.")

    monkeypatch.setitem(REGISTRY, "other", Other())
    assert "**Wholly other**: Trains nothing." in shown(app("glossary"))


@pytest.mark.parametrize(("text", "first", "heading"), [
    ("MACRO f1", "Macro-F1", "General words"), ("low-rank", "LoRA", "Methods"),
    ("direction kept", "Direction kept", "Numbers of the Features page")])
def test_a_search_reads_names_and_meanings_whatever_the_case_and_signs(app, text, first, heading):
    at = search(app("glossary"), text)
    assert f"**{first}**" in shown(at)
    assert heading in [found.value for found in at.header]
    assert "**Arm**" not in shown(at)


def test_a_search_without_a_hit_says_so_and_leads_back(app):
    at = search(app("glossary"), "*<b>zebra</b>")
    assert "No word or meaning holds" in shown(at) and "\\*\\<b\\>zebra" in shown(at)
    assert not at.header
    at.button[0].click().run()
    assert not at.exception
    assert len(at.header) == 3
    assert at.text_input(key="glossary_search").value == ""


def test_headings_come_in_order(app):
    at = app("glossary")
    assert [title.value for title in at.title] == ["Words"]
    assert len(at.header) == 3 and not at.subheader
