"""Which part of a published model is trained, and what is said where its files do not hold it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from core.models import architecture
from tests import tiny


@pytest.mark.parametrize(("family", "options"), [
    (tiny.bert, {"add_pooling_layer": False}),  # a dense layer that classifiers do without
    (tiny.vit, {"add_pooling_layer": False}),
    (tiny.swin, {}),                            # a mean over places
    (tiny.resnet, {}), (tiny.llama, {}),
])
def test_a_pooler_is_kept_where_it_only_pools(family: object, options: dict[str, bool], tmp_path: Path) -> None:
    found = architecture.read(family(tmp_path / "model"))  # type: ignore[operator]
    assert found.options == options and found.config.model_type


@pytest.mark.parametrize(("saved", "remedy"), [
    (["WholeModel"], "Load it with WholeModel and save the part that reads your data"),
    (["Linear"], "Fetch or save the model again; files were cut or renamed."), (None, "Fetch or save the model again"),
])
def test_weights_that_are_not_there_are_asked_for_where_they_may_be(saved: list[str] | None, remedy: str,
                                                                    tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": saved}))
    error = architecture.incomplete(tmp_path, nn.Linear(2, 2), ["b", "c"])
    assert error.why == "2 of its tensors are missing, such as b." and error.remedy.startswith(remedy)
    assert f"The files of the base model {tmp_path.name} do not hold a whole Linear." == error.what
