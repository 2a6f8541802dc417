"""A task is one file and one line: nothing outside `core/tasks` asks which one it is, but for readers that detect
it."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain.dataset import Task
from core.planning.knobs import KNOBS
from core.tasks import CARDS, REGISTRY, Card
from core.tasks.base import Objective

ROOT = Path(__file__).resolve().parents[2]
OWN = ("core/tasks/", "core/data/readers/", "core/domain/dataset.py")
"""The tasks, the readers that detect one, and the enumeration itself."""
SOURCES = [ROOT / "streamlit_app.py", *sorted((ROOT / "core").rglob("*.py")), *sorted((ROOT / "pages").rglob("*.py"))]
NAMES = {name for task in Task for name in (task.name, task.name.lower(), task.value)}


def named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what stands there) of every place that names a task; docstrings explain, they decide nothing."""
    said = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    explained = {id(value) for value in said if isinstance(value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained:
            if any(name in node.value for name in NAMES):
                yield node.lineno, repr(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            parts = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
            yield from ((node.lineno, part) for part in parts & NAMES)


@pytest.mark.parametrize("code", [
    "if task is Task.IMAGE_CLASSIFICATION: pass", 'task = "text-classification"', "f'{x} language-modelling'",
    "from core.tasks.text_classification import TextClassification", "tasks.image_classification",
    "from core.tasks import text_classification"])
def test_the_scan_sees_a_task(code: str) -> None:
    assert list(named(ast.parse(code)))


@pytest.mark.parametrize("code", [
    '"""Of text-classification."""', "task.content is Content.PICTURE", "AutoModelForImageClassification"])
def test_the_scan_leaves_other_words_alone(code: str) -> None:
    assert not list(named(ast.parse(code)))


def test_no_task_is_named_outside_its_folder_and_the_readers() -> None:
    found = [(path.relative_to(ROOT).as_posix(), line, name) for path in SOURCES
             if not path.relative_to(ROOT).as_posix().startswith(OWN)
             for line, name in named(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == []


def test_a_missing_trait_is_an_error() -> None:
    assert [field.name for field in dataclasses.fields(Card) if field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING] == []


def test_cards_fit_the_registry_and_the_knobs() -> None:
    assert {name: card.task for name, card in CARDS.items()} == {task: task for task in Task}
    fields = {knob.field for knob in KNOBS}
    for card in CARDS.values():
        assert set(card.unused) <= fields
        assert set(card.needed) <= set(card.roles)
    files = {path.stem for path in (ROOT / "core/tasks").glob("*.py")}
    assert {Task(name).name.lower() for name in REGISTRY} <= files


def test_every_task_does_all_that_the_engine_asks() -> None:
    asked = {name for name, value in vars(Objective).items() if callable(value) or isinstance(value, classmethod)
             if not name.startswith("_")}
    assert len(asked) > 12
    for task in REGISTRY.values():
        assert [name for name in sorted(asked) if not callable(getattr(task, name, None))] == []


def test_what_a_row_holds_and_whether_it_has_a_label_decide_the_task() -> None:
    for task in Task:
        assert Task.on(task.content, labelled=task.labelled) is task is Task(task.value)
