"""What a language model takes: counted from SmolLM2's shape (28.3 million in the embedding, 106.2 in 30 blocks)."""

from __future__ import annotations

import dataclasses

import pytest

from core.domain.dataset import Content, Task
from core.domain.device import Device
from core.domain.freeze import FreezePlan, lower_half
from core.domain.model import ModelFacts
from core.domain.recipe import LoraSpec, Recipe
from core.models import chunked_loss
from core.models import facts as model_facts
from core.planning import own_head
from core.planning.estimate import (
    COMPARE_S_PER_ROW,
    EFFICIENCY,
    WEIGHTS_S_PER_PARAMETER,
    Estimate,
    estimate,
    features_seconds,
)

LANGUAGE = Task.on(Content.TEXT, labelled=False)
EMBEDDING, LINEAR, NORMS = 49_152 * 576, 30 * 3_538_944, 30 * 2 * 576 + 576


@pytest.fixture
def smollm2() -> ModelFacts:
    found = model_facts.published("smollm2")
    assert found is not None
    return found


def run(method: str, facts: ModelFacts, device: Device, **changes: object) -> Estimate:
    recipe = Recipe(dataset="d", base_model="smollm2", method=method, task=LANGUAGE, batch_size=4, max_length=256,
                    precision="bf16", gradient_checkpointing="off", lora=LoraSpec(rank=16)).replace(**changes)
    return estimate(recipe, facts=facts, device=device, n_classes=0, mean_length=880.0,
                    rows={"train": 900, "validation": 60, "test": 100, "shift": 50})


@pytest.fixture
def half(cpu: Device) -> Device:
    return dataclasses.replace(cpu, bf16_gflops=3 * cpu.fp32_gflops)


def test_what_does_not_train_is_held_in_sixteen_bits(smollm2: ModelFacts, half: Device) -> None:
    assert run("lora", smollm2, half).memory.weights == 2 * (EMBEDDING + LINEAR) + 4 * NORMS
    assert run("lora", smollm2, half, precision="fp32").memory.weights == 4 * (EMBEDDING + LINEAR + NORMS)
    full = run("full", smollm2, half).memory
    assert full.weights == 4 * smollm2.parameters + 2 * LINEAR  # and what autocast keeps of them
    assert full.gradients == 4 * smollm2.parameters


def test_four_bit_weights_are_below_045_of_bf16(smollm2: ModelFacts, half: Device) -> None:
    for precision in ("bf16", "fp32"):
        assert run("qlora", smollm2, half, precision=precision).memory.weights < 0.45 * 2 * smollm2.parameters


def test_a_tied_output_layer_is_counted_once_and_its_own_where_there_is_one(smollm2: ModelFacts, half: Device) -> None:
    untied = dataclasses.replace(smollm2, tied_head=False)
    assert run("full", smollm2, half).total_params == smollm2.parameters
    assert run("full", untied, half).trainable_params == smollm2.parameters + EMBEDDING
    assert run("lora", untied, half).memory.weights - run("lora", smollm2, half).memory.weights == 2 * EMBEDDING
    frozen = FreezePlan(frozen=("embeddings", "head"))
    opened = FreezePlan(frozen=("embeddings",))
    more = [run("partial", untied, half, freeze=plan).trainable_params for plan in (frozen, opened)]
    assert more[1] - more[0] == EMBEDDING


def test_the_untouched_model_trains_nothing_and_reads_what_is_judged(smollm2: ModelFacts, half: Device) -> None:
    found = run("probe", smollm2, half)
    assert (found.trainable_params, found.steps, found.memory.optimizer) == (0, 0, 0)
    assert found.seconds < run("lora", smollm2, half).seconds / 3


def test_the_loss_takes_one_chunk_of_logits(smollm2: ModelFacts, half: Device) -> None:
    assert own_head.CHUNK_BYTES == chunked_loss.CHUNK_BYTES and own_head.BYTES_A_LOGIT == chunked_loss.BYTES_A_LOGIT
    recipe = Recipe(dataset="d", base_model="m", method="lora", task=LANGUAGE, batch_size=4, max_length=256)
    states = 2 * 4 * 576 * 1024  # those that are taught, and their gradient
    assert own_head.loss_bytes(recipe, smollm2, half) == 100_000_000 + states
    short = recipe.replace(batch_size=1, max_length=32)
    assert own_head.loss_bytes(short, smollm2, half) == 8 * 49_152 * 32 + states // 32
    full = recipe.replace(method="full", precision="bf16")
    assert own_head.loss_bytes(full, smollm2, half) == 100_000_000 + states + 8 * EMBEDDING
    lower = recipe.replace(method="partial", freeze=lower_half(smollm2.block_names))
    assert own_head.loss_bytes(lower, smollm2, half) == 100_000_000 + states


def test_what_is_held_to_its_base_model_takes_one_pass_and_its_states_more(smollm2: ModelFacts, half: Device) -> None:
    """Logits of two models are in chunks of half as many tokens, and take what those of one do."""
    lora, held = (run(name, smollm2, half) for name in ("lora", "kl_to_base"))
    assert held.trainable_params == lora.trainable_params and held.memory.weights == lora.memory.weights
    assert 1.4 < held.training_seconds / lora.training_seconds < 1.5
    recipe = Recipe(dataset="d", base_model="smollm2", method="lora", task=LANGUAGE, batch_size=4, max_length=256,
                    precision="bf16")
    alone, beside = (own_head.loss_bytes(recipe.replace(method=name), smollm2, half) for name in ("lora", "kl_to_base"))
    assert beside - alone == 8 * 576 * 4 * 256
    few = recipe.replace(batch_size=1, max_length=32)
    alone, beside = (own_head.loss_bytes(few.replace(method=name), smollm2, half) for name in ("lora", "kl_to_base"))
    assert beside - alone == (16 - 8) * 49_152 * 32 + 8 * 576 * 32
    assert chunked_loss.BYTES_HELD == own_head.BYTES_HELD


def test_general_texts_cost_a_quarter_more_time_and_no_memory(smollm2: ModelFacts, half: Device) -> None:
    lora, replayed = (run(name, smollm2, half) for name in ("lora", "replay"))
    assert replayed.trainable_params == lora.trainable_params and replayed.memory == lora.memory
    assert 1.2 < replayed.training_seconds / lora.training_seconds <= 1.25


def test_the_output_layer_costs_time(smollm2: ModelFacts) -> None:
    assert own_head.flops_per_token(smollm2) == pytest.approx(0.26 * 2 * LINEAR, rel=0.05)


def test_the_words_of_every_block_take_their_time(smollm2: ModelFacts, half: Device) -> None:
    """Of 64 rows of 64 tokens: twice through a model of 106 million multiplied weights and 31 blocks of it through
    49,152 words, as far as there is time for; some of it once more for rounding."""
    recipe = Recipe(dataset="d", base_model="smollm2", method="lora", task=LANGUAGE, max_length=256, precision="bf16")
    seconds = {rows: features_seconds(recipe, facts=smollm2, device=half, rows=rows, mean_length=256.0, sides=0,
                                      in_run=True) for rows in (64, 640)}
    compared = COMPARE_S_PER_ROW * 31
    assert seconds[640] - seconds[64] == pytest.approx(576 * compared)  # no more rows are read than these
    weights = sum(block.parameters for block in smollm2.blocks) * WEIGHTS_S_PER_PARAMETER
    words = (seconds[64] - 64 * compared - weights) * half.bf16_gflops * 1e9 * EFFICIENCY
    head, passed = 2.0 * EMBEDDING, 64 * 64 * smollm2.forward_flops_per_token
    assert words == pytest.approx(2 * (passed + 0.7e12) + 2 * head * 4096 + (passed + 2 * head * 4096) / 8)
    bits = features_seconds(recipe.replace(method="qlora"), facts=smollm2, device=half, rows=64, mean_length=256.0,
                            sides=0, in_run=True)
    assert bits > seconds[64]
