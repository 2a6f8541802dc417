"""A method is one file and one line: nothing outside `core/models/methods` asks which one it is; cards say it all."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import lessons
from core.domain.recipe import Recipe
from core.models.methods import COMPARED, HOME, REGISTRY, Card
from core.models.methods.base import Rates
from core.planning.knobs import knob

ROOT = Path(__file__).resolve().parents[2]
OWN = "core/models/methods/"
TAUGHT = [f"core/lessons/{name}.py" for name in lessons.FILES]
"""A lesson is about certain methods, as its text is."""
SOURCES = sorted(path for folder in ("core", "pages") for path in (ROOT / folder).rglob("*.py"))
UPGRADES = "upgrade"
"""Functions that say what a document of an earlier version meant: a name in there is that document's."""
FIELDS = {field.name for field in dataclasses.fields(Recipe)}
"""Of recipes: one that is called like a method (`recipe.lora`) belongs to it. Other attributes (`np.full`) mean
something else.
"""
CARDS = [method.card for method in REGISTRY.values()]


def names_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(method, line) of every string that names methods, alone or in a list with commas, and of every attribute
    called like one.
    """
    upgrades = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == UPGRADES]
    old = {inner for node in upgrades for inner in ast.walk(node)}
    for node in (node for node in ast.walk(tree) if node not in old):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [part for part in node.value.split(",") if part.strip() in REGISTRY]
            yield from ((part.strip(), node.lineno) for part in found if " " not in node.value.strip())
        elif isinstance(node, ast.Attribute) and node.attr in REGISTRY:
            if node.attr in FIELDS or ast.unparse(node.value).endswith("methods"):
                yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core.models.methods."):
            yield node.module or "", node.lineno


@pytest.mark.parametrize(("code", "found"), [
    ('if recipe.method == "lora": pass', ["lora"]),
    ('rate = {"full": 1e-4}', ["full"]),
    ('default="probe,lora"', ["probe", "lora"]),
    ("recipe.lora.rank", ["lora"]),
    ("methods.full.METHOD", ["full"]),
    ("np.full(3, 1)", []),
    ('"Use the method probe, or LoRA."', []),
    ('def upgrade(data): return data["method"] == "qlora"', []),
    ("from core.models.methods.lora import WRAPPED", ["core.models.methods.lora"])])
def test_the_scan_sees_what_it_is_for(code: str, found: list[str]) -> None:
    assert sorted(name for name, _ in names_in(ast.parse(code))) == sorted(found)


def test_no_method_is_named_outside_its_folder() -> None:
    found = [(path.relative_to(ROOT).as_posix(), name, line) for path in SOURCES if OWN not in path.as_posix()
             if path.relative_to(ROOT).as_posix() not in TAUGHT
             for name, line in names_in(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == []


@pytest.mark.parametrize("kind", [Card, Rates])
def test_a_missing_trait_is_an_error(kind: type) -> None:
    assert [field.name for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING] == []
    with pytest.raises(TypeError, match="missing"):
        kind()


def test_cards_fit_each_other_and_the_knobs() -> None:
    assert [card.name for card in CARDS] == list(REGISTRY)
    assert len({card.colour_index for card in CARDS}) == len(CARDS)
    for card in CARDS:
        assert set(card.lighter) <= set(REGISTRY) - {card.name}
        assert all(knob(field) for field in card.knobs if field != "freeze")
        assert ("freeze" in card.knobs) == card.needs_freeze_plan
        assert card.solved == (card.passes == 0)
        assert card.everyday or not card.preselected, "what is ticked at first is not folded away"
    assert {name for names in (*HOME.values(), COMPARED) for name in names} <= set(REGISTRY)


def test_every_method_has_a_look_of_its_own() -> None:
    from core.plots import palette

    looks = {(arm.colour, arm.symbol, arm.dash) for arm in (palette.arm(card.colour_index) for card in CARDS)}
    assert len(looks) == len(CARDS)


def test_every_file_of_the_folder_is_in_the_registry() -> None:
    assert {path.stem for path in (ROOT / OWN).glob("*.py")} - {"__init__", "base"} == set(REGISTRY)
