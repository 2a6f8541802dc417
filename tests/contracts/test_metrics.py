"""A metric is one file and one line: nothing outside `core/metrics` names one, so that adding one touches nothing else.

A name is found where it stands alone: as an identifier (attribute, variable, argument, function, import), as a whole
string, or in a string behind the name of a split ("test accuracy"). Labels that are no ordinary word ("macro-F1") are
found anywhere in a string. Numbers of the feature space with public names of their own, such as `knn_accuracy` and
`probe_accuracy_base` in the report of `core shift --json`, are other words: they are measured on features, not on what
a run predicted, and hold no metric's exact name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import lessons
from core.metrics import FILES, METRICS, REGISTRY

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("core", "pages") for path in sorted((ROOT / folder).rglob("*.py"))
           if "core/metrics/" not in path.as_posix()
           and path.relative_to(ROOT).as_posix() not in [f"core/lessons/{name}.py" for name in lessons.FILES]]
SOURCES.append(ROOT / "streamlit_app.py")
EVERYWHERE = {"loss"}
"""Also what training lowers, whatever the task: these words name no metric outside of the registry."""
WORDS = {word for metric in METRICS for word in (metric.name, metric.label)} - EVERYWHERE
ORDINARY = {word for word in WORDS if word.isalpha() and word.islower()}
"""Words that also stand in plain sentences ("k-NN accuracy"): in a string, only whole or behind a split."""
ANY = "|".join(map(re.escape, sorted(WORDS, key=len, reverse=True)))
OWN = "|".join(map(re.escape, sorted(WORDS - ORDINARY, key=len, reverse=True)))
IN_TEXT = re.compile(rf"^\W*({ANY})\W*$|\b(test|validation|shift|shift-set)[ _-]({ANY})\b|(?<![\w-])({OWN})(?![\w-])",
                     re.IGNORECASE)


def named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, what stands there) of every place that names a metric; docstrings explain, they decide nothing."""
    explained = {id(node.value) for node in ast.walk(tree)
                 if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in explained and IN_TEXT.search(text):
            yield node.lineno, repr(text)
        for identifier in identifiers(node):
            if identifier in REGISTRY and identifier not in EVERYWHERE:
                yield getattr(node, "lineno", 0), identifier


def identifiers(node: ast.AST) -> Iterator[str]:
    for field in ("attr", "id", "arg", "name", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield value.rpartition(".")[2]


@pytest.mark.parametrize("code", [
    'x["accuracy"]', "row.accuracy", "def accuracy(): ...", "f(accuracy=1)", "from core.metrics.scores import accuracy",
    'f"test accuracy {x}"', 'x = "Test macro-F1"', 'x = "macro_f1"', 'x = "Judge by macro-F1 instead."',
    '["validation accuracy", "training loss"]', 'x = " accuracy "',
])
def test_the_scan_sees_a_metric(code: str) -> None:
    assert list(named(ast.parse(code)))


@pytest.mark.parametrize("code", [
    'x = "knn_accuracy"', "block.knn_accuracy", 'x = "probe_accuracy_base"', "ACCURACY_K", '"""accuracy"""',
    'x = "k-NN accuracy, A → B"', 'x = "The probe\'s accuracy on held-out folds."',
])
def test_the_scan_leaves_numbers_of_the_feature_space_and_prose(code: str) -> None:
    assert not list(named(ast.parse(code)))


def test_nothing_outside_the_registry_names_a_metric() -> None:
    assert len(SOURCES) > 200
    found = [f"{path.relative_to(ROOT)}:{line} {what}" for path in SOURCES
             for line, what in named(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == []  # but for lessons, each of which is about one metric, as its text is


def test_every_metric_is_whole() -> None:
    assert tuple(REGISTRY) == FILES and len(METRICS) == len({metric.label for metric in METRICS})
    for metric in METRICS:
        assert metric.needs
        assert metric.meaning[0].isupper() and metric.meaning.endswith(".") and metric.meaning.count(". ") == 0
