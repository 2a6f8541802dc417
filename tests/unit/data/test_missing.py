"""Words that mean no value, and words that are answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from core.data import missing
from core.data.check import check_file
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


def as_file(file: File, kind: str, labels: Sequence[str | None]) -> Path:
    rows = [(f"a sentence of its own, number {i}", label) for i, label in enumerate(labels)]
    if kind == "csv":
        return file("t.csv", "text,label\n" + "".join(f'"{text}",{label or ""}\n' for text, label in rows))
    if kind == "jsonl":
        return file("t.jsonl", "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows))
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [("text", "label"), *rows]:
        book.active.append(row)
    book.save(out)
    return file("t.xlsx", out.getvalue())


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
@pytest.mark.parametrize("word", ["NA", "N/A", "n/a", "null", "None", "none", "NULL", "Na"])
def test_a_word_as_frequent_as_the_others_is_an_answer(file: File, settings: Settings, kind: str, word: str) -> None:
    report = check_file(as_file(file, kind, ["yes", "no", word] * 20), settings=settings)
    assert report.classes == dict.fromkeys(sorted(["yes", "no", word]), 20) and not report.left_out
    assert ("null-word-class" in {f.code for f in report.findings}) == (word.lower() != "none")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
@pytest.mark.parametrize("word", ["NA", "null", "NaN", "#REF!"])
def test_a_rare_word_means_no_value_and_the_reason_says_it(file: File, settings: Settings, kind: str,
                                                           word: str) -> None:
    report = check_file(as_file(file, kind, [*["yes", "no"] * 30, word, word]), settings=settings)
    assert set(report.classes) == {"yes", "no"}
    reason = f"the label says {word!r}, which means no value"
    assert [(item.row, item.reason) for item in report.left_out] == [(61, reason), (62, reason)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_beside_empty_cells_the_words_mean_no_value(file: File, settings: Settings, kind: str) -> None:
    report = check_file(as_file(file, kind, [*["yes", "no", "NA"] * 10, None]), settings=settings)
    assert report.classes == {"no": 10, "yes": 10}
    assert ({item.reason for item in report.left_out}
            == {"the label says 'NA', which means no value", "the label is empty"})


def test_nan_is_never_a_class_and_texts_are_no_labels() -> None:
    assert "nan" in missing.words(pa.chunked_array([["yes", "no", "nan"] * 20]))
    assert missing.words(pa.chunked_array([[f"text {i}" for i in range(50)] + ["n/a"] * 20])) >= missing.ANSWERS
    assert missing.words(pa.chunked_array([["NA"] * 20])) >= missing.ANSWERS
