"""A body as it is loaded: the published weights or none of them, in fp32, with the dropout that was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.errors import ModelError
from core.models import load
from tests import families, tiny


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_is_everywhere_what_was_asked_for(dropout: float, tmp_path: Path) -> None:
    body = load.load_body(tiny.llama(tmp_path / "llama"), dropout=dropout)
    assert body.config.use_cache is False and body.config.attention_dropout == dropout and not body.training
    body = load.load_body(tiny.bert(tmp_path / "bert"), dropout=dropout)
    assert {module.p for module in body.modules() if isinstance(module, torch.nn.Dropout)} == {dropout}
    body = load.load_body(tiny.timm_resnet(tmp_path / "timm"), weights="fresh", dropout=dropout)  # type: ignore[arg-type]
    skipped = {module.drop_prob for module in body.modules() if type(module).__name__ == "DropPath"}
    assert (max(skipped, default=0.0) == pytest.approx(dropout)), "a share of residual branches, up to this at the top"


def test_what_timm_was_told_besides_dropout_stays(tmp_path: Path) -> None:
    folder = tiny.timm_resnet(tmp_path)
    families._edit(folder, model_args={"in_chans": 1, "drop_path_rate": 0.5, "drop_rate": 0.5})
    body = load.load_body(folder, weights="fresh")  # type: ignore[arg-type]
    assert body.config.model_args == {"in_chans": 1}
    assert next(p for p in body.parameters() if p.ndim == 4).shape[1] == 1


def test_weights_that_are_not_there_are_never_random_numbers(tmp_path: Path) -> None:
    name = "encoder.layer.1.output.dense.weight"
    gone, other = tiny.bert(tmp_path / "gone"), tiny.bert(tmp_path / "other")
    families._weights(gone, lambda tensors: tensors.pop(name))
    with pytest.raises(ModelError, match="do not hold a whole BertModel") as caught:
        load.load_body(gone)
    assert caught.value.why == f"1 of its tensors are missing, such as {name}."
    families._weights(other, lambda tensors: tensors.update({name: tensors[name][:, :5].contiguous()}))
    with pytest.raises(ModelError, match="do not fit its configuration") as caught:
        load.load_body(other)
    assert f"{name} has the shape (64, 5) in the file and (64, " in caught.value.why
    (other / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load.load_body(other)


@pytest.mark.parametrize(("modes", "pooling"), [
    (None, "mean"), ({"pooling_mode_mean_tokens": True}, "mean"), ({"pooling_mode_cls_token": True}, "cls"),
    ({"pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}, "last"),
])
def test_the_pooling_that_a_model_was_trained_with(modes: dict[str, bool] | None, pooling: str, tmp_path: Path) -> None:
    if modes is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    assert load.trained_pooling(tmp_path) == pooling
