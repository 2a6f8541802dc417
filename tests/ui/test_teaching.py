"""The mask viewer: what it counts, names and hands to the browser, whatever the rows hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import shown

NASTY = ["**bold** :red[no] $x^2$ `c` ~~s~~ [l](http://x)", "<script>alert(1)</script><b>&amp;</b>", "שלום\u202e مرحبا",
         "line\n\n\ttab   spaces\r\n", "👩‍👩‍👧 \x07\ufffd", "<|im_end|>", ""]


def survey(**totals: int) -> dict[str, Any]:
    kinds = ["context", "taught", "cut"]
    rows = [{"row_id": 1000 + i, "taught": 5 - i, "context": 40, "cut": 9 * i,
             "pieces": [{"text": text, "kind": kinds[(i + at) % 3]} for at, text in enumerate(NASTY)]}
            for i in range(2)]
    return {"schema_version": 1, "model": "m", "dataset": "d", "max_length": 256,
            "format": {"name": "the *model's*", "plain": False, "notes": ["It strips <spaces> of turns."]},
            "totals": {"rows": 600, "taught": 21_000, "context": 33_000, "cut": 420, "rows_without_taught": 0,
                       "rows_cut": 14, **totals},
            "lengths": {"edges": [0, 128, 256, 384], "counts": [386, 200, 14]}, "row_ids_without_taught": [],
            "rows": rows}


def draw(found: dict[str, Any]) -> AppTest:
    def page(found):  # type: ignore[no-untyped-def]
        from pages._ui import teaching

        teaching.show(found, key="t")

    at = AppTest.from_function(page, args=(found,), default_timeout=90).run()
    assert not at.exception, at.exception
    return at


def sent(at: AppTest) -> dict[str, Any]:
    """What the browser is given to draw."""
    found = [json.loads(e.proto.json) for e in at.get("bidi_component") if "pieces" in e.proto.json]
    return dict(found[0])


def test_counts_notes_and_lengths_are_said() -> None:
    at = draw(survey())
    values = {metric.label: metric.value for metric in at.metric}
    assert values == {"Taught tokens": "21.0 K (39 %)", "Context tokens": "33.0 K (61 %)", "Cut tokens": "420 (0.77 %)",
                      "Taught a row": "35.0", "Rows cut": "14 of 600"}
    text = shown(at)
    assert "2.3 % of the rows are longer than 256 tokens and are cut" in text
    assert "the \\*model's\\*" in text and "It strips \\<spaces\\> of turns." in text
    assert not at.warning and not at.error


def test_every_text_reaches_the_browser_as_it_is_with_its_kind() -> None:
    at = draw(survey())
    found = sent(at)
    assert [piece["text"] for piece in found["pieces"]] == NASTY
    assert [piece["kind"] for piece in found["pieces"]] == ["context", "taught", "cut", "context", "taught", "cut",
                                                            "context"]
    assert [entry["kind"] for entry in found["legend"]] == ["taught", "context", "cut"]
    at.selectbox(key="t_row").set_value(1).run()
    assert sent(at)["pieces"][0]["kind"] == "taught"
    assert sent(at)["label"] == "Row 1,001: 4 taught, 40 context, 9 cut"


@pytest.mark.parametrize(("ids", "n", "words"), [
    ([4], 1, "1 row teaches nothing: row 4."), ([4, 77], 2, "2 rows teach nothing: rows 4, 77."),
    (list(range(100)), 250, "250 rows teach nothing: rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 238 more.")])
def test_rows_that_teach_nothing_are_named(ids: list[int], n: int, words: str) -> None:
    at = draw(survey(rows_without_taught=n) | {"row_ids_without_taught": ids})
    assert at.warning[0].value == words


def test_a_dataset_that_teaches_nothing_cannot_start() -> None:
    at = draw(survey(taught=0, rows_without_taught=600))
    assert "no run can start" in at.error[0].value and not at.warning
