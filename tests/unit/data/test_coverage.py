"""What the splits leave out is said before training: classes without a training row, splits without a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.check import Options, check_file
from core.data.checks.splits import cautions
from core.data.report import Finding
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
WORDS = "rain match bank goal rate market team song river mountain train green paper window early late".split()


def line(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=9)) + f" {number}"


def found(path: Path, settings: Settings) -> dict[str, Finding]:
    report = check_file(path, settings=settings, options=Options(thorough=False))
    return {item.code: item for item in report.findings}


@pytest.mark.parametrize(("elsewhere", "said"), [(["test"], "weather (10 rows)"), (["validation"], "weather (10 rows)"),
                                                 (["test", "dev"], "weather (10 rows)")])
def test_a_class_without_training_rows_is_named(file: File, settings: Settings, elsewhere: list[str],
                                                said: str) -> None:
    rows = [(line(i), ["sport", "money"][i % 2], ["train", "train", "test", "dev"][i // 2 % 4]) for i in range(40)]
    rows += [(line(100 + i), "weather", elsewhere[i % len(elsewhere)]) for i in range(10)]
    finding = found(file("t.csv", "text,label,split\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)),
                    settings)["untrained-classes"]
    assert finding.severity == "warning" and finding.count == 1 and said in finding.message


def test_a_class_in_every_split_is_not(file: File, settings: Settings) -> None:
    rows = [(line(i), ["sport", "money"][i % 2]) for i in range(60)]
    codes = found(file("t.csv", "text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)), settings)
    assert not {"untrained-classes", "no-validation-rows", "no-test-rows"} & set(codes)


def templates(count: int, groups: int) -> list[tuple[str, str]]:
    """Rows that are nearly the same within each group."""
    heads = [f"{line(1000 + g)} and {line(2000 + g)} then {line(3000 + g)}" for g in range(groups)]
    return [(f"{heads[i % groups]} number {i}", ["sport", "money"][i % groups % 2]) for i in range(count)]


def one_author(count: int) -> list[tuple[str, str, str]]:
    return [(line(i), ["sport", "money"][i % 2], f"author {i % 2}") for i in range(count)]


def test_groups_so_large_that_a_split_stays_empty_are_said(file: File, settings: Settings) -> None:
    codes = found(file("t.csv", "text,label\n" + "".join(f"{a},{b}\n" for a, b in templates(40, 2))), settings)
    assert {codes[f"no-{split}-rows"].severity for split in ("validation", "test")} == {"warning"}
    authors = found(file("a.csv", "text,label,id\n" + "".join(f"{a},{b},{c}\n" for a, b, c in one_author(16))),
                    settings)
    assert {"no-validation-rows", "no-test-rows"} & set(authors)


def test_few_rows_that_leave_no_validation_are_said(file: File, settings: Settings) -> None:
    codes = found(file("t.csv", "text,label\n" + "".join(f"{line(i)},{label}\n" for i, label in enumerate("aaabbbcc"))),
                  settings)
    splits = {"train": {"a": 1}, "validation": {"a": 0}, "test": {"a": 1}}
    assert [item.code for item in cautions(splits)] == ["no-validation-rows"]
    assert "no-test-rows" not in codes


def test_a_dataset_of_an_earlier_version_is_judged_by_its_counts() -> None:
    counts = {"train": {"a": 5, "b": 0}, "test": {"a": 2, "b": 3}, "shift": {"b": 2}}
    assert ([(item.code, item.count) for item in cautions(counts)]
            == [("untrained-classes", 1), ("no-validation-rows", 1)])
    assert "b (5 rows)" in next(iter(cautions(counts))).message
    assert list(cautions({})) == [] and list(cautions({"train": {"a": 0}})) == []


def test_runs_without_test_rows_are_not_paired(tmp_path: Path) -> None:
    from core.cli.compare import Arm, _paired
    from core.domain.recipe import Recipe

    arms = [Arm(recipe=Recipe(dataset="d", base_model="m", method=m), folder=tmp_path / m) for m in ("probe", "full")]
    assert _paired(arms) == []
