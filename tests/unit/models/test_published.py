"""What is known of bundled models and datasets before they are fetched agrees with their catalogues."""

from __future__ import annotations

import pytest

from core.data import catalogue as data_catalogue
from core.domain.dataset import BundledDataset
from core.domain.model import BundledModel
from core.models import catalogue, facts

# Parameters of the bodies as their model cards count them: MiniLM without its pooler, SmolLM2 (its head is its
# embedding), EfficientNet-Lite0 without its classifier.
PARAMETERS = {"minilm": 22_565_376, "smollm2": 134_515_008, "efficientnet-lite0": 3_371_008}


@pytest.mark.parametrize("entry", catalogue.MODELS, ids=lambda entry: entry.id)
def test_facts_of_every_bundled_model_come_with_the_code(entry: BundledModel) -> None:
    found = facts.published(entry.id)
    assert found is not None and found.id == entry.id and found.parameters == PARAMETERS[entry.id]
    assert (found.tasks, found.has_batch_norm) == (entry.tasks, entry.has_batch_norm)
    assert len(found.blocks) - 1 == entry.depth
    looked_for = (found.shared, found.refusals, found.bf16_fails, found.vocabulary)
    assert None not in looked_for, "inspected by a version that tried nothing"
    assert found.licence == entry.licence
    assert all(found.flops_per_block.get(b.name, 0) > 0 for b in found.blocks[1:])


@pytest.mark.parametrize("entry", data_catalogue.DATASETS, ids=lambda entry: entry.id)
def test_what_a_bundled_set_holds_comes_with_the_code(entry: BundledDataset) -> None:
    found = data_catalogue.published(entry.id)
    assert found is not None and found.source == entry.id and found.task is entry.task
    own, _, joined = found.licence.partition("; shift set: ")
    assert (found.name, own, found.rows_kept) == (entry.name, entry.licence, entry.rows)
    other = data_catalogue.find(entry.shift) if entry.shift else entry
    assert joined == ("" if other.licence == entry.licence else other.licence)
    if entry.split_sizes:
        assert tuple(found.rows(split) for split in ("train", "validation", "test")) == entry.split_sizes


def test_nothing_is_known_of_what_is_not_bundled() -> None:
    assert facts.published("../published/minilm") is None and facts.published("prajjwal1/bert-tiny") is None
    assert data_catalogue.published("../bbc-news") is None
