"""Labels that look the same: one key for import, merging and shift sets."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import check, labels
from core.data.attach import match_labels
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
TWINS = [
    ("café", unicodedata.normalize("NFD", "café")),
    ("한국", unicodedata.normalize("NFD", "한국")),
    ("Ångström", "A\u030angstr\u00f6m"),
    ("sport", "sport\u200b"), ("sport", "\ufeffsport"), ("sport", "sp\u00adort"), ("sport", "\u200esport"),
    ("sport", "spo\u2060rt"), ("sport", "sport\u00a0"), ("ice hockey", "ice\u00a0hockey"),
    ("ice hockey", "ice\u2009hockey"), ("ice hockey", "ice  hockey"), ("sport", "Sport"), ("true", "True"),
    ("true", "TRUE"), ("straße", "STRASSE"), ("\ufb01le", "file"), ("Ａ", "A"), ("２", "2"), ("❤", "❤\ufe0f"),
    ("e-mail", "e\u2011mail"), ("-1", "\u22121"), ("don't", "don\u2019t"),
    ("1", "1.0"), ("1", "01"), ("1", "1."), ("1", "1,0"), ("1", "+1"), ("1", "1.00E+00"), ("0", "-0.0"),
    ("10", "10.000"), ("2.5", "2.50"),
]
OTHERS = [("1", "10"), ("1", "-1"), ("1,000", "1"), ("C", "C+"), ("C++", "C#"), ("a", "á"), ("not spam", "not_spam"),
          ("true", "1"), ("1.2.3", "1.2.30"), ("10", "1e10"),
          ("🏴\U000e0067\U000e0062\U000e0065\U000e007f", "🏴\U000e0067\U000e0062\U000e0073\U000e007f"),
          ("NaN", "0"), ("infinity", "0")]


@pytest.mark.parametrize(("first", "second"), TWINS)
def test_labels_that_look_the_same_have_one_key(first: str, second: str) -> None:
    assert labels.key(first) == labels.key(second)
    assert labels.same([first, "else", second]) == [[first, second]]
    assert match_labels((second, "else"), (first, "other")) == {second: first}


@pytest.mark.parametrize(("first", "second"), OTHERS)
def test_labels_that_look_different_do_not(first: str, second: str) -> None:
    assert labels.key(first) != labels.key(second)


def test_an_equal_name_comes_first_and_a_doubtful_one_is_left() -> None:
    assert labels.match(["1.0", "1", "01"], ["1", "1.0"]) == {"1.0": "1.0", "1": "1"}


def test_merged_labels_are_spelled_as_most_rows_do_and_without_anything_hidden() -> None:
    counts = {"sport\u200b": 9, "Sport": 3, "1.0": 2, "1": 2, "cafe\u0301": 1}
    assert (labels.merged(counts) == {"sport\u200b": "sport", "Sport": "sport", "1.0": "1", "1": "1",
                                      "cafe\u0301": "café"})


@pytest.mark.parametrize(("first", "second"), TWINS)
def test_the_finding_names_them_and_merging_joins_them(file: File, settings: Settings, first: str, second: str) -> None:
    out = io.StringIO()
    spelled = [first, second, "another class"]
    for number in range(36):
        out.write(f'"text number {number} about {number * 7919 % 101}","{spelled[number % 3]}"\n')
    path = file("t.csv", "text,label\n" + out.getvalue())
    options = check.Options(thorough=False)
    found = check.check_file(path, text="text", label="label", settings=settings, options=options)
    twins = [item for item in found.findings if item.code == "label-spelling"]
    assert len(found.classes) == 3 and len(twins) == 1
    one, two = twins[0].example.split(" = ")
    assert (one.isprintable() and two.isprintable() and unicodedata.normalize("NFC", one)
            != unicodedata.normalize("NFC", two))
    merged = check.check_file(path, text="text", label="label", settings=settings,
                              options=check.Options(thorough=False, merge_labels=True))
    assert (sorted(merged.classes.values()) == [12, 24]
            and not [f for f in merged.findings if f.code == "label-spelling"])


def test_a_label_of_invisible_characters_is_empty(file: File, settings: Settings) -> None:
    rows = "".join(f"text {i},{['a', 'b'][i % 2]}\n" for i in range(20))
    found = check.check_file(file("t.csv", f"text,label\n{rows}odd one,\u200b\u00a0\n"), settings=settings)
    assert ([(item.row, item.reason) for item in found.left_out] == [(21, "the label is empty")] and set(found.classes)
            == {"a", "b"})
