"""A side in an address: links made by earlier versions open the same model."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.side import Side, Which
from core.errors import NotFoundError, RecipeError


@pytest.mark.parametrize(("text", "side"), [
    ("ab12:final", Side(run="ab12")),
    ("ab12:base", Side(run="ab12", which=Which.BASE)),
    ("ab12:4bit", Side(run="ab12", which=Which.FOUR_BIT)),
    ("ab12:step:40", Side(run="ab12", which=Which.STEP, step=40)),
    ("ab12:step:0", Side(run="ab12", which=Which.STEP, step=0)),
    ("ab12:final@0.5", Side(run="ab12", strength=0.5)),
    ("ab12:final@=low and careful", Side(run="ab12", point="low and careful")),
])
def test_a_side_and_its_address(text: str, side: Side) -> None:
    assert side.text == text
    assert Side.parse(text) == side


@pytest.mark.parametrize("text", ["", "ab12", "ab12:nothing", "ab12:step:x", "ab12:final@loud", "ab12:final@=",
                                  "ab12:final@=../x"])
def test_an_address_that_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(NotFoundError, match="no model that Thaw knows"):
        Side.parse(text)


def test_a_side_is_the_same_model_by_its_folder(tmp_path: Path) -> None:
    found = Side(run="ab12", which=Which.STEP, step=3, strength=0.5).at(tmp_path)
    assert found == Side(run=str(tmp_path), which=Which.STEP, step=3, strength=0.5)
    assert found.folder == tmp_path
    assert Side(run="ab12", which=Which.BASE).at(tmp_path) == Side.of(tmp_path, Which.BASE)


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0, float("nan")])
def test_a_change_that_is_turned_up_or_down_is_refused_in_words(strength: float) -> None:
    Side(run="ab12").check_as_trained()
    with pytest.raises(RecipeError, match=f"at strength {strength:g}") as error:
        Side(run="ab12", strength=strength).check_as_trained()
    assert error.value.why and error.value.remedy
