"""What an answer rests on: shares that sum to the score, on the word that decides, and others under random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.domain.side import Side
from core.serving import answering
from core.serving.question import Question
from core.settings import Settings
from core.training import artifact, attribution
from tests import tiny
from tests.conftest import write_dataset, write_picture_dataset
from tests.unit.training.test_known_rows import trained

TEXT = "goal match team the year"


def state(model: artifact.LoadedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network.state_dict().items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_shares_of_a_text_sum_to_its_score_and_random_weights_are_put_back(settings: Settings, tiny_model: Path,
                                                                           tmp_path: Path, precision: str) -> None:
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run", precision=precision)
    model = artifact.load(Side.of(run), settings=settings)
    before = state(model)
    found = attribution.of(model, TEXT, check=True)
    assert found.pieces == tuple(TEXT.split()) and len(found.shares) == 5
    assert sum(found.shares) == pytest.approx(found.difference, abs=0.02 * abs(found.difference) + 2e-3)
    assert found.error == pytest.approx(abs(sum(found.shares) - found.difference), abs=1e-5)
    assert found.label == model.predict([TEXT])[0]["label"]
    assert found.checked and found.random_rank is not None and found.random_rank < 0.999
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert not attribution.of(model, TEXT).checked
    assert attribution.of(model, "goal", check=True).random_rank is None


def test_a_network_that_reads_one_word_only_rests_on_that_word(settings: Settings, tiny_model: Path,
                                                               tmp_path: Path) -> None:
    """The embeddings of all other words are those of padding, so that they cannot add anything."""
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    model = artifact.load(Side.of(run), settings=settings)
    tokenizer, table = model.task.processor, model.network.body.get_input_embeddings().weight
    with torch.no_grad():
        for word in ("goal", "match", "the", "year"):
            table[tokenizer.convert_tokens_to_ids(word)] = table[tokenizer.pad_token_id]
    found = attribution.of(model, TEXT)
    shares = dict(zip(found.pieces, found.shares, strict=True))
    assert abs(shares.pop("team")) > 1e-4 and all(share == pytest.approx(0, abs=1e-7) for share in shares.values())


def test_pictures_get_a_map_of_cells(settings: Settings, tmp_path: Path) -> None:
    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(settings, dataset, tiny.vit(tmp_path / "vit"), tmp_path / "run", max_length=0)
    side = Side.of(run)
    loaded = answering.Loaded(side, settings)
    picture = tmp_path / "one.png"
    tiny.make_picture("disc", seed=5).save(picture)  # type: ignore[attr-defined]
    asked = Question(sides=(side,), picture=str(picture), rests_on=True, randomised=True)
    first, last = answering.answer(loaded, asked, 0)
    assert first.rests_on is None and first.label == last.label and not first.state.final and last.state.final
    found = last.rests_on
    assert found is not None, last.notes
    assert found.columns and len(found.shares) % found.columns == 0 and found.picture
    assert sum(found.shares) == pytest.approx(found.difference, abs=0.05 * abs(found.difference) + 2e-3)
    assert found.checked and found.random_rank is not None and found.random_rank < 0.9


def test_the_rank_correlation_is_of_sizes_and_leaves_out_what_adds_nothing() -> None:
    shares = np.array([1, -2, 3, -4, 0, 0], np.float32)
    assert attribution.rank(shares, -shares) == pytest.approx(1)
    assert attribution.rank(shares, np.array([4, 3, 2, 1, 0, 0], np.float32)) == pytest.approx(-1)
    assert attribution.rank(shares[:3], shares[:3]) is None
