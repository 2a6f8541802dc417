"""Each check on a table made to trigger it, and on one that must not."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import check, tables
from core.data.check import Options
from core.data.report import Finding, ImportReport
from core.domain.dataset import Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
Rows = list[tuple[object, ...]]
WORDS = {"a": ["apple", "orange", "banana", "fruit", "tree", "juice"],
         "b": ["engine", "wheel", "car", "road", "petrol", "brake"]}


def clean(n: int = 60) -> Rows:
    """Distinct rows of two balanced classes."""
    chance = random.Random(0)
    return [(f"{' '.join(chance.choices(WORDS['ab'[i % 2]], k=8))} number {i} {chance.random()}", "ab"[i % 2])
            for i in range(n)]


def report(file: File, settings: Settings, rows: Rows, header: tuple[str, ...] = ("text", "label"),
           **options: object) -> ImportReport:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return check.check_file(file("t.csv", out.getvalue()), settings=settings, options=Options(**options))  # type: ignore[arg-type]


def one(found: ImportReport, code: str) -> Finding:
    matching = [f for f in found.findings if f.code == code]
    assert len(matching) == 1, [f.code for f in found.findings]
    assert matching[0].message and matching[0].remedy
    return matching[0]


def test_clean_rows_have_no_finding_but_their_length(file: File, settings: Settings) -> None:
    found = report(file, settings, clean())
    assert [f.code for f in found.findings] == ["length"]
    assert (found.rows_read, found.rows_kept, found.left_out) == (60, 60, ())
    assert found.columns == {"text": "text", "label": "label"}
    assert found.classes == {"a": 30, "b": 30}
    assert ({name: sum(counts.values()) for name, counts in found.splits.items()}
            == {"train": 42, "validation": 6, "test": 12})


ERRORS: list[tuple[str, Rows, str]] = [
    ("one class", [(f"text {i}", "same") for i in range(20)], "one-class"),
    ("one row a class", [(f"text {i}", f"label {i}") for i in range(20)], "one-row-per-class"),
    ("5,000 classes", [(f"text {i}", f"class {i % 5000}") for i in range(10_000)], "too-many-classes"),
    ("a measurement", [(f"text {i}", i * 0.37) for i in range(100)], "continuous-label"),
    ("many whole numbers", [(f"text {i}", i // 2) for i in range(100)], "continuous-label"),
    ("too few rows", [("x", "a"), ("y", "a"), ("z", "b"), ("w", "b")], "too-few-rows"),
    ("nothing left", [("", "a"), ("x", ""), ("nan", "b")], "no-rows"),
]


@pytest.mark.parametrize(("rows", "code"), [(rows, code) for _, rows, code in ERRORS],
                         ids=[name for name, _, _ in ERRORS])
def test_labels_that_cannot_be_learned(file: File, settings: Settings, rows: Rows, code: str) -> None:
    found = report(file, settings, rows)
    assert one(found, code).severity == "error"
    with pytest.raises(DataError) as caught:
        found.raise_errors()
    assert caught.value.what == one(found, code).message


def test_numeric_classes_are_fine(file: File, settings: Settings) -> None:
    rows = [(text, str(i % 5)) for i, (text, _) in enumerate(clean(100))]
    assert report(file, settings, rows).errors == ()


def test_rare_classes_and_balance(file: File, settings: Settings) -> None:
    found = report(file, settings, [*clean(), ("alone here", "c"), *[(f"few of these {i}", "d") for i in range(5)]])
    assert one(found, "rare-classes").example == "c"
    assert one(found, "few-rows").example == "d"
    assert "30 times" in one(found, "imbalance").message


def test_labels_that_differ_by_case_or_spaces(file: File, settings: Settings) -> None:
    rows = clean()
    rows[0], rows[1] = (rows[0][0], "A"), (rows[1][0], " b ")
    found = report(file, settings, rows)
    assert one(found, "label-spelling").count == 2
    merged = report(file, settings, rows, merge_labels=True)
    assert merged.classes == {"a": 30, "b": 30}
    assert "label-spelling" not in {f.code for f in merged.findings}


def test_duplicates_and_contradictions(file: File, settings: Settings) -> None:
    rows = clean()
    text = str(rows[0][0])
    found = report(file, settings, [*rows, (text.upper(), "a"), (text + " ", "b")])
    assert (one(found, "exact-duplicates").count, one(found, "exact-duplicates").rows) == (2, (61, 62))
    assert one(found, "contradicting-labels").rows == (1, 61, 62)
    assert "leakage" not in {f.code for f in found.findings}


def test_leakage_is_found_and_fixed(file: File, settings: Settings) -> None:
    rows: Rows = [(*row, "train" if i < 40 else "validation" if i < 50 else "test") for i, row in enumerate(clean())]
    long = " ".join(f"w{i}" for i in range(200))
    rows += [(long, "a", "train"), (long + " tail", "a", "test"), (rows[3][0], rows[3][1], "test"),
             (rows[45][0], rows[45][1], "test")]
    header = ("text", "label", "split")
    found = report(file, settings, rows, header)
    assert (one(found, "leakage").count, one(found, "leakage").rows) == (2, (63, 64))
    assert one(found, "near-leakage").rows == (62,)
    fixed = report(file, settings, rows, header, fix_leaks=True)
    assert not {"leakage", "near-leakage"} & {f.code for f in fixed.findings}
    assert {name: sum(c.values()) for name, c in fixed.splits.items()} == {"train": 43, "validation": 11, "test": 10}


def test_a_column_that_gives_the_label_away(file: File, settings: Settings) -> None:
    rows: Rows = [(*row, {"a": "x1", "b": "x2"}[str(row[1])], i % 7) for i, row in enumerate(clean())]
    found = report(file, settings, rows, ("text", "label", "code", "noise"))
    assert one(found, "giveaway-column").example == "code"


def test_texts_that_begin_with_their_label(file: File, settings: Settings) -> None:
    rows: Rows = [(f"[fruit] {text}" if label == "a" else f"CAR {text}", {"a": "fruit", "b": "car"}[str(label)])
                  for text, label in clean()]
    assert one(report(file, settings, rows), "label-in-text").count == 60


def test_lengths(file: File, settings: Settings) -> None:
    rows = [*clean(), ("x" * 100_000, "a"), ("ok", "b")]
    found = report(file, settings, rows, max_length=5)
    assert one(found, "length").severity == "warning"
    assert one(found, "very-long-texts").rows == (61,)
    assert one(found, "very-short-texts").rows == (62,)


def test_signs_left_as_html_codes_are_named_and_kept(file: File, settings: Settings) -> None:
    rows = [*clean(), ("it costs &#163;5 &amp; more", "a"), ("R&D; AT&T and a & b", "b")]
    found = one(report(file, settings, rows), "html-codes")
    assert (found.rows, found.severity) == ((61,), "info") and "&#163; for '£'" in found.example


def test_lengths_come_from_the_tokenizer_when_there_is_one(file: File, settings: Settings, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = [(" ".join(["word"] * 17) + f" {i}", "ab"[i % 2]) for i in range(40)]
    found = report(file, settings, rows, tokenizer=tmp_path / "tokenizer.json", max_length=17)
    assert "Half of the texts have 18 tokens" in one(found, "length").message
    assert one(found, "length").count == 40


def test_left_out_rows_are_summed_up_by_reason(file: File, settings: Settings) -> None:
    found = report(file, settings, [*clean(), ("", "a"), ("x", ""), (" ", "b")])
    assert {(f.count, f.rows) for f in found.findings if f.code == "left-out"} == {(2, (61, 63)), (1, (62,))}
    assert found.left_out_csv().splitlines()[:2] == ["row,reason", "61,the text is empty"]


def test_suspected_label_noise(file: File, settings: Settings) -> None:
    chance = random.Random(0)
    rows: Rows = [(" ".join(chance.choices(WORDS["ab"[i % 2]], k=12)) + f" {i}", "ab"[i % 2]) for i in range(200)]
    rows[10] = (rows[10][0], "b")
    found = one(report(file, settings, rows, thorough=True), "label-noise")
    assert found.rows[0] == 11
    assert found.count <= 3


def test_equal_ids_stay_in_one_split(file: File, settings: Settings) -> None:
    rows: Rows = [(*row, f"person {i // 6}") for i, row in enumerate(clean(120))]
    table = tables.read(file("t.jsonl", "\n".join(json.dumps(dict(zip(("text", "label", "person"), row, strict=True)))
                                                  for row in rows)),
                        settings=settings)
    examined = check.examine(table, roles={"text": Role.TEXT, "label": Role.LABEL, "person": Role.ID},
                             settings=settings)
    for person in range(20):
        assert len(set(examined.split[person * 6 : person * 6 + 6])) == 1


def test_the_report_survives_json(file: File, settings: Settings) -> None:
    found = report(file, settings, [*clean(), ("", "a")])
    data = json.loads(json.dumps(found.to_json()))
    assert {"rows_read", "rows_kept", "left_out", "columns", "classes", "findings"} <= set(data)
    assert data["left_out"] == [{"row": 61, "reason": "the text is empty", "file": ""}]
    assert {"code", "severity", "count", "message", "remedy"} <= set(data["findings"][0])
    assert ImportReport.from_json(data) == found


def test_checking_never_imports_torch(file: File, settings: Settings) -> None:
    import subprocess
    import sys

    path = file("t.csv", "text,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(200)))
    code = ("import sys; from pathlib import Path; from core.data.check import *; from core.settings import Settings;"
            f"check_file(Path({str(path)!r}), settings=Settings(home=Path({str(settings.home)!r})), "
            "options=Options(thorough=True));sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CELL = st.sampled_from(["", " ", "nan", "a", "b", "A", "1", "2.5", "train", "test", "some longer text here",
                        "some longer text here.", "é\u202e", "=1", "x" * 300])


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=40), st.booleans(), st.booleans())
def test_any_table_gets_a_true_report_or_a_refusal(file: File, settings: Settings, rows: Rows, merge: bool,
                                                   fix: bool) -> None:
    refusal: DataError | None = None
    try:
        found = report(file, settings, rows, ("text", "label", "split"), merge_labels=merge, fix_leaks=fix)
    except DataError as error:
        refusal = error
    if refusal is not None:
        assert refusal.what and refusal.remedy
        return
    assert found.rows_read == found.rows_kept + len(found.left_out) == len([r for r in rows if any(r)])
    assert found.rows_kept == sum(sum(c.values()) for c in found.splits.values())
    assert sum(found.classes.values()) == (found.rows_kept if found.classes else 0)
