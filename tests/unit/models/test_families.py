"""Every family of base models × every method: it trains and is read back from disk to the same predictions, or is
refused in words before.

Each family is a tiny random model as `save_pretrained` leaves it. What a library or an architecture does not allow is
stored in docs/methods.json (`tests.capabilities`), so that a new version that changes it shows here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.side import Side
from core.errors import ModelError
from core.features.pooled import every_block
from core.models import methods
from core.models.inspect import inspect_model
from core.settings import Settings
from core.tasks.base import Rows
from core.tasks.classification import softmax
from core.training import artifact
from core.training.execute import execute
from core.training.session import read_rows
from tests import capabilities, families, turns
from tests.conftest import WORKSPACE, Notes, write_dataset, write_picture_dataset

LIMITS = {"roberta": 33, "mpnet": 32, "camembert": 32, "esmabsolute": 33, "data2vectext": 33, "luke": 33,
          "longformer": 129, "xlmroberta": 129, "shortpos": 40, "opt": 40, "cliptext": 77, "mpt": 64, "xglm": 64,
          "xlnet": 512, "t5encoder": 512, "bloom": 512, "mamba": 512, "leftpad": 130}
"""Longest text: positions counted from 2 (or from behind the padding token) end earlier; where nothing is said, 512."""
PADDING_MATTERS = {"canine", "convbert", "fnet", "funnel", "mobilebert", "nystromformer"}
"""Families that look over the attention mask: convolutions, Fourier transforms, pooling along the text."""
SPEAKS = {"biogpt", "bloom", "falcon", "gemma", "gemma3text", "gpt2neither", "gpt2nopad", "gptneo", "mamba", "mpt",
          "opt", "xglm"}
"""Families whose output layer is the embedding: saved without a head of their own, they are language models all the
same. The others (gptj, llama, qwen3, ...) would begin with a random one, and are not offered as such."""


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hub=False)


def inspected(name: str, tmp_path: Path, settings: Settings) -> ModelFacts:
    return inspect_model(str(families.make(name, tmp_path / name)), settings=settings)


@pytest.mark.slow
@pytest.mark.parametrize("family", turns.part(sorted(families.FAMILIES), every=6))
def test_every_method_reloads_equal_or_is_left_out_before(family: str, tmp_path: Path, place: Settings) -> None:
    facts = inspected(family, tmp_path, place)
    pictures = family in families.PICTURES
    assert facts.tasks[0] == (Task.IMAGE_CLASSIFICATION if pictures else Task.TEXT_CLASSIFICATION)
    assert facts.tasks[1:] == ((Task.LANGUAGE_MODELLING,) if family in SPEAKS else ())
    assert facts.fixed_width == (family in PADDING_MATTERS)
    assert facts.max_length == LIMITS.get(family, facts.max_length)
    found = capabilities.of_family(facts)
    assert found == capabilities.stored()["families"][family], "make it anew: python -m tests.capabilities"
    reasons = found["refused"]

    dataset = (write_picture_dataset if pictures else write_dataset)(place, n_rows=30)
    rows = read_rows(dataset, settings=place, workspace=WORKSPACE)
    for name in tried(family):
        if name not in reasons:
            trains_and_reloads(name, facts, dataset, rows, tmp_path / name, place)


def tried(family: str) -> list[str]:
    """Methods that a family is trained with: every one where THAW_WHOLE is set, else the one whose turn it is, so that
    each meets about one family in ten."""
    of_classifiers = [name for name in methods.REGISTRY if not methods.card_of(name).own_head_only]
    if turns.whole():
        return of_classifiers
    return [of_classifiers[sorted(families.FAMILIES).index(family) % len(of_classifiers)]]


def trains_and_reloads(name: str, facts: ModelFacts, dataset: Dataset, rows: Rows, folder: Path,
                       settings: Settings) -> None:
    frozen = facts.block_names[:2] if name == "partial" and len(facts.blocks) > 2 else ()
    recipe = Recipe(dataset=dataset.id, base_model=facts.id, method=name, task=dataset.task, epochs=1, batch_size=9,
                    precision="fp32", max_length=min(64, facts.max_length or 64), evaluations_per_epoch=1,
                    learning_rate=1e-3, freeze=FreezePlan(frozen=frozen))
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    recorded = pq.read_table(folder / "predictions-test.parquet")
    content = [rows.content[row] for row in recorded["row_id"].to_pylist()]
    expected = np.array(recorded["probabilities"].to_pylist())

    side = artifact.load(Side.of(folder), settings=settings)
    together = softmax(side.outputs(content)["logits"])
    alone = softmax(np.concatenate([side.outputs([one])["logits"] for one in content]))
    np.testing.assert_allclose(together, expected, atol=1e-5, err_msg=f"{name}: all rows")
    np.testing.assert_allclose(alone, expected, atol=1e-4, err_msg=f"{name}: a row at a time")


@pytest.mark.parametrize(("family", "fails"), [("deberta1", True), ("distilbert", False)])
def test_a_model_that_does_not_compute_in_bf16_is_computed_in_fp32(family: str, fails: bool, tmp_path: Path,
                                                                   place: Settings) -> None:
    facts = inspected(family, tmp_path, place)
    assert bool(facts.bf16_fails) == fails
    dataset = write_dataset(place, n_rows=30)
    recipe = Recipe(dataset=dataset.id, base_model=facts.id, method="probe", precision="bf16", max_length=32)
    notes = Notes()
    result = execute(recipe, settings=place, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=notes)
    assert result.precision == ("fp32" if fails else "bf16")
    assert artifact.load(Side.of(tmp_path / "run"), settings=place).precision == result.precision
    assert any("does not compute in bf16" in note for note in notes.notes) == fails


@pytest.mark.parametrize("family", sorted(families.REFUSED))
def test_what_cannot_be_trained_is_refused_by_inspection_in_three_parts(family: str, tmp_path: Path,
                                                                        place: Settings) -> None:
    with pytest.raises(ModelError) as caught:
        inspected(family, tmp_path, place)
    error = caught.value
    assert families.REFUSED[family][0] in str(error)
    assert error.what.endswith(".") and error.why and error.remedy.endswith(".")
    assert "\n" not in str(error) and len(str(error)) < 700


@pytest.mark.slow
@pytest.mark.parametrize("family", ["albert", "funnel", "segformer", "deberta2", "onelayer", "convbert", "xlnet"])
def test_features_of_every_block_can_be_looked_at(family: str, tmp_path: Path, place: Settings) -> None:
    from core import tasks

    facts = inspected(family, tmp_path, place)
    dataset = (write_picture_dataset if family in families.PICTURES else write_dataset)(place, n_rows=15)
    rows = read_rows(dataset, settings=place, workspace=WORKSPACE)
    recipe = Recipe(dataset=dataset.id, base_model=facts.id, method="probe", task=dataset.task)
    task = tasks.get(dataset.task).of(Path(facts.id), rows)
    encoded = task.encode(rows, recipe=recipe, facts=facts, cache=tmp_path)
    import torch

    network = task.build(Path(facts.id), recipe=recipe, facts=facts, weights="pretrained", dropout=0.0,
                         compute_dtype=torch.float32, device="cpu")
    found = every_block(network, encoded, np.arange(15), precision="fp32")
    assert list(found) == [block.name for block in facts.blocks]
    assert all(len(values) == 15 and np.isfinite(values).all() and values.std() > 0 for values in found.values())
