"""The memory estimate of language models against what runs were measured to take, and against its causes."""

from __future__ import annotations

import dataclasses

import pytest

from core.domain.dataset import Content, Task
from core.domain.device import Device
from core.domain.freeze import lower_half
from core.domain.model import KEPT_PAIRS, ModelFacts
from core.domain.recipe import LoraSpec, Recipe
from core.models import facts as model_facts
from core.planning import footprint, language_memory, own_head
from core.planning.estimate import MemoryEstimate, memory
from core.training import panel_states

LANGUAGE = Task.on(Content.TEXT, labelled=False)
MEASURED = {
    ("lora", "bf16", 256, 4): 1278, ("lora", "bf16", 512, 2): 1191, ("lora", "bf16", 1024, 1): 1193,
    ("lora", "bf16", 2048, 1): 1894, ("qlora", "bf16", 256, 4): 1102, ("full", "bf16", 256, 4): 3259,
    ("partial", "bf16", 256, 4): 1539, ("full", "fp32", 256, 4): 3271, ("partial", "fp32", 256, 4): 1784,
}
"""(method, precision, tokens, rows of a batch) -> `peak_memory_bytes` in MB of runs of SmolLM2, two threads."""


@pytest.fixture
def smollm2() -> ModelFacts:
    found = model_facts.published("smollm2")
    assert found is not None
    return found


@pytest.fixture
def half(cpu: Device) -> Device:
    return dataclasses.replace(cpu, memory_bytes=25_000_000_000, bf16_gflops=3 * cpu.fp32_gflops)


def of(method: str, facts: ModelFacts, device: Device, **changes: object) -> MemoryEstimate:
    plan = lower_half(facts.block_names)
    recipe = Recipe(dataset="d", base_model="smollm2", method=method, task=LANGUAGE, batch_size=4, max_length=256,
                    precision="bf16", gradient_checkpointing="off", lora=LoraSpec(rank=16)).replace(**changes)
    recipe = recipe.replace(freeze=plan) if method == "partial" else recipe
    return memory(recipe, facts=facts, device=device, n_classes=0)


@pytest.mark.parametrize(("case", "megabytes"), MEASURED.items(), ids=lambda value: str(value))
def test_it_is_within_15_percent_of_what_runs_take(case: tuple[str, str, int, int], megabytes: int,
                                                   smollm2: ModelFacts, half: Device) -> None:
    method, precision, tokens, rows = case
    found = of(method, smollm2, half, precision=precision, max_length=tokens, batch_size=rows)
    assert megabytes * 1e6 == pytest.approx(found.total, rel=0.15)


def test_adapters_keep_less_than_trained_blocks_and_half_precision_less_than_full(
        smollm2: ModelFacts, half: Device) -> None:
    kept = {(method, precision): of(method, smollm2, half, precision=precision, max_length=2048).activations
            for method in ("lora", "full") for precision in ("fp32", "bf16")}
    assert kept["lora", "bf16"] < kept["full", "bf16"] < kept["lora", "fp32"] < kept["full", "fp32"]


def test_models_looked_at_by_an_earlier_version_are_estimated_by_what_others_keep(
        smollm2: ModelFacts, half: Device) -> None:
    earlier = dataclasses.replace(smollm2, kept=None)
    for method in ("lora", "full", "partial", "qlora"):
        for precision in ("fp32", "bf16"):
            now, then = (of(method, facts, half, precision=precision, max_length=1024).total
                         for facts in (smollm2, earlier))
            assert then == pytest.approx(now, rel=0.08)


def test_before_it_trains_a_small_run_holds_its_weights_and_the_file_they_are_made_of(
        smollm2: ModelFacts, half: Device) -> None:
    recipe = Recipe(dataset="d", base_model="smollm2", method="lora", task=LANGUAGE, batch_size=1, max_length=32,
                    precision="bf16")
    loaded = language_memory.before_training(recipe, facts=smollm2, device=half)
    assert loaded >= 6 * smollm2.parameters
    assert of("lora", smollm2, half, batch_size=1, max_length=32).total == loaded
    assert language_memory.before_training(recipe.replace(method="scratch"), facts=smollm2, device=half) == 0


def test_a_model_in_four_bits_is_packed_from_its_file_and_its_embeddings_pass_through_fp32(
        smollm2: ModelFacts, half: Device) -> None:
    """Measured: 522 MB while it was loaded, 1,102 MB at 4 x 256 tokens while it trained."""
    loaded = of("qlora", smollm2, half, batch_size=1, max_length=32, precision="fp32").total
    assert loaded == language_memory.before_training(
        Recipe(dataset="d", base_model="smollm2", method="qlora", task=LANGUAGE, batch_size=1, max_length=32,
               precision="fp32"), facts=smollm2, device=half)
    table = smollm2.parameters - sum(block.linear_parameters for block in smollm2.blocks)
    packed = 0.53 * (smollm2.parameters - table)
    assert loaded == pytest.approx(2 * smollm2.parameters + packed + 6 * table, rel=0.08)
    assert loaded == pytest.approx(522e6, rel=0.1)


def test_a_short_run_takes_most_where_it_is_compared_with_the_untouched_model(
        smollm2: ModelFacts, half: Device) -> None:
    wide = dataclasses.replace(smollm2, vocabulary=400_000, hidden_size=64)
    few = of("lora", wide, half, batch_size=1, max_length=16)
    assert few.activations >= own_head.compared_bytes(wide, half) == 2 * 400_000 * 64 + 160_000_000
    assert own_head.COMPARED_BYTES == panel_states.CHUNK_BYTES


def test_gradients_of_several_batches_are_there_together_with_activations(smollm2: ModelFacts, half: Device) -> None:
    one = of("full", smollm2, half)
    several = of("full", smollm2, half, gradient_accumulation=4)
    assert several.total - one.total == several.gradients == 4 * smollm2.parameters


def test_attention_without_a_fused_kernel_grows_with_the_square_of_the_length(
        smollm2: ModelFacts, half: Device) -> None:
    assert smollm2.kept is not None
    eager = dataclasses.replace(smollm2, kept={**smollm2.kept, KEPT_PAIRS: 4.0 * 9})
    more = [of("lora", eager, half, max_length=length).activations
            - of("lora", smollm2, half, max_length=length).activations for length in (512, 1024)]
    assert more[0] == pytest.approx(4 * 9 * 30 * 4 * 512 ** 2, rel=0.02)
    assert more[1] == pytest.approx(4 * more[0], rel=0.02)


def test_recomputing_keeps_inputs_and_one_block(smollm2: ModelFacts, half: Device) -> None:
    found = of("lora", smollm2, half, max_length=2048, gradient_checkpointing="on")
    kept = of("lora", smollm2, half, max_length=2048)
    inputs = 30 * 4 * 576 * 4 * 2048
    assert inputs < found.activations < 0.35 * kept.activations
    assert footprint.forward_tokens(2048) == 4096
