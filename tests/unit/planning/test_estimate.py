"""Memory and time: counts known from the model's shape, and how they must move."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.freeze import FreezePlan, lower_half, top_k
from core.domain.model import ModelFacts
from core.domain.recipe import LoraSpec, QuantSpec, Recipe, forward_rows
from core.errors import PatternError
from core.models import methods
from core.planning.estimate import Estimate, MemoryEstimate, estimate, memory
from core.planning.footprint import prefix_share

ROWS = {"train": 1600, "validation": 200, "test": 425}
CHECK_ALL = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def recipe(method: str = "full", **changes: object) -> Recipe:
    base = Recipe(dataset="d", base_model="minilm", method=method, batch_size=16, max_length=128, epochs=2.0,
                  gradient_checkpointing="off")
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def run(what: Recipe, facts: ModelFacts, device: Device | None, rows: dict[str, int] = ROWS) -> Estimate:
    return estimate(what, facts=facts, device=device, n_classes=5, rows=rows, mean_length=2200.0)


def test_full_counts_every_weight(minilm: ModelFacts, cpu: Device) -> None:
    found = run(recipe(), minilm, cpu)
    head = 384 * 5 + 5
    # all-MiniLM-L6-v2 has 22,713,216 with its pooler of 384 x 384 + 384 = 147,840
    assert (minilm.parameters == 22_565_376)
    assert found.trainable_params == found.total_params == minilm.parameters + head
    assert found.memory.weights == found.memory.gradients == 4 * found.total_params
    assert found.memory.optimizer == 8 * found.total_params
    assert found.memory.adapters == 0


def test_lora_counts_rank_times_in_plus_out(minilm: ModelFacts, cpu: Device) -> None:
    found = run(recipe("lora", lora=LoraSpec(rank=8, targets="all-linear")), minilm, cpu)
    per_block = 8 * (4 * (384 + 384) + 2 * (384 + 1536))
    assert found.trainable_params == 6 * per_block + 384 * 5 + 5
    assert found.memory.adapters == 4 * 6 * per_block
    attention = run(recipe("lora", lora=LoraSpec(rank=4, targets="attention")), minilm, cpu)
    assert attention.trainable_params == 6 * 4 * 4 * (384 + 384) + 1925


def test_partial_counts_the_open_blocks(minilm: ModelFacts, cpu: Device) -> None:
    found = run(recipe("partial", freeze=lower_half(minilm.block_names)), minilm, cpu)
    assert found.trainable_params == sum(b.parameters for b in minilm.blocks[4:]) + 1925


def test_probe_trains_the_head_only_and_keeps_no_activations(minilm: ModelFacts, cpu: Device) -> None:
    found = run(recipe("probe"), minilm, cpu)
    assert found.trainable_params == 1925
    assert found.steps == 0
    assert found.memory.optimizer == 0
    assert found.memory.activations < run(recipe(), minilm, cpu).memory.activations / 2


@pytest.mark.parametrize(("double", "bits"), [(False, 4.5), (True, 4.127)])
def test_qlora_weights_are_four_bits_and_scales(minilm: ModelFacts, cpu: Device, double: bool, bits: float) -> None:
    """4.127 bits with double quantisation: 4 + 8/64 + 32/(64 x 256), Dettmers et al. 2023 section 3."""
    found = run(recipe("qlora", quantization=QuantSpec(double=double)), minilm, cpu)
    linear = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    rest = 4 * (minilm.parameters - linear + 1925)
    assert 8 * (found.memory.weights - rest) / linear == pytest.approx(bits, abs=5e-3)


def test_the_paged_eight_bit_optimizer_keeps_two_bytes_a_parameter(minilm: ModelFacts, cpu: Device,
                                                                   gpu: Device) -> None:
    trainable = run(recipe("qlora"), minilm, cpu).trainable_params
    for device in (cpu, gpu):
        assert run(recipe("qlora"), minilm, device).memory.optimizer == 8 * trainable
    for method in ("lora", "qlora"):
        assert run(recipe(method, optimizer="paged_adamw_8bit"), minilm, gpu).memory.optimizer == 2 * trainable


def test_activations_are_measured_bytes_times_batch_times_length(minilm: ModelFacts, cpu: Device) -> None:
    way_down = 0.6 * 60_000  # gradients of one block, beside what is kept
    mask = 9 * 128 * 4096  # of 32 rows that validate
    assert run(recipe(), minilm, cpu).memory.activations == 16 * 128 * (6_000 + 6 * 60_000 + way_down) + mask
    top = run(recipe("partial", freeze=top_k(minilm.block_names, 3)), minilm, cpu)
    assert top.memory.activations == 16 * 128 * (3 * 60_000 + way_down) + mask


def test_checkpointing_keeps_block_inputs_and_one_block(minilm: ModelFacts, cpu: Device) -> None:
    what = recipe(gradient_checkpointing="on", batch_size=64)
    assert run(what, minilm, cpu).memory.activations == 64 * 128 * (7 * 4 * 384 + 1.6 * 60_000 + 9 * 128)


@pytest.mark.parametrize(("length", "tokens"), [(64, 32 * 64), (128, 4096), (300, 4096), (512, 4096), (8192, 8192)])
def test_a_forward_pass_holds_a_share_of_a_block_for_as_many_tokens_as_it_reads(
        minilm: ModelFacts, cpu: Device, length: int, tokens: int) -> None:
    """32 rows, or fewer where they are long, whatever the batch size that trains."""
    assert forward_rows(length) == max(1, min(32, 4096 // length))
    for batch_size in (1, 16, 256):
        found = run(recipe("probe", max_length=length, batch_size=batch_size), minilm, cpu)
        assert found.memory.activations == pytest.approx((0.6 * 60_000 + 9 * length) * tokens, abs=1)


def test_gradients_come_as_activations_go(minilm: ModelFacts, cpu: Device) -> None:
    for what in (recipe(), recipe(batch_size=1, max_length=8)):
        found = run(what, minilm, cpu).memory
        passing = max(found.gradients, found.activations)
        assert found.total == found.weights + found.optimizer + passing + found.runtime
    assert found.gradients > found.activations


def test_few_rows_that_train_take_what_validating_takes(minilm: ModelFacts, cpu: Device) -> None:
    found = run(recipe(batch_size=1), minilm, cpu).memory.activations
    assert found == pytest.approx((0.6 * 60_000 + 9 * 128) * 4096, abs=1)


def test_steps_follow_rows_batch_epochs_and_budget(minilm: ModelFacts, cpu: Device) -> None:
    assert run(recipe(), minilm, cpu).steps == 200
    assert run(recipe(label_budget=50), minilm, cpu).steps == 8
    assert run(recipe(label_budget=99_999), minilm, cpu).steps == 200


def test_advice_names_the_most_effective_change_first(minilm: ModelFacts, cpu: Device) -> None:
    small = dataclasses.replace(cpu, memory_bytes=10**9)
    memory = run(recipe(batch_size=64), minilm, small).memory
    assert memory.badge == "will not fit"
    assert memory.advice
    saved = [float(text.split("about ")[1].split(" GB")[0]) for text in memory.advice if " GB" in text]
    assert saved == sorted(saved, reverse=True)
    assert run(recipe(), minilm, cpu).memory.advice == ()


def test_auto_checkpointing_steps_in_only_where_it_does_not_fit(minilm: ModelFacts, cpu: Device) -> None:
    auto = recipe(gradient_checkpointing="auto")
    assert run(auto, minilm, cpu).memory.activations == run(recipe(), minilm, cpu).memory.activations
    small = dataclasses.replace(cpu, memory_bytes=1_300_000_000)
    assert (run(auto, minilm, small).memory.activations
            == run(recipe(gradient_checkpointing="on"), minilm, small).memory.activations)


def test_slots_share_the_memory(minilm: ModelFacts, cpu: Device) -> None:
    """A run that fits by itself may have to recompute its activations beside another one."""
    what, device = recipe(gradient_checkpointing="auto"), dataclasses.replace(cpu, memory_bytes=2_500_000_000)

    def at(slots: int) -> MemoryEstimate:
        return estimate(what, facts=minilm, device=device, n_classes=5, rows=ROWS, mean_length=2200.0,
                        slots=slots).memory

    assert at(1).badge == "fits"
    assert at(2).available == at(1).available // 2 and at(2).activations < at(1).activations


@pytest.mark.parametrize(("used", "badge"), [(80, "fits"), (81, "tight"), (100, "tight"), (101, "will not fit")])
def test_badge(used: int, badge: str) -> None:
    assert (MemoryEstimate(weights=used, gradients=0, optimizer=0, activations=0, adapters=0, available=100).badge
            == badge)


def test_time_orders_the_methods_and_stays_near_the_measured_step(minilm: ModelFacts, cpu: Device) -> None:
    """Measured on a 2-core CPU without bf16: a full step of 16 x 128 tokens takes about 1.2 s."""
    seconds = {m: run(recipe(m), minilm, cpu).seconds for m in ("probe", "lora", "full")}
    assert seconds["probe"] < seconds["lora"] < seconds["full"]
    step = (run(recipe(epochs=4.0), minilm, cpu).seconds - run(recipe(epochs=2.0), minilm, cpu).seconds) / 200
    assert 0.6 < step < 2.4


def test_targets_that_match_nothing_raise(minilm: ModelFacts, cpu: Device) -> None:
    with pytest.raises(PatternError, match="matches no layer"):
        run(recipe("lora", lora=LoraSpec(targets="q_proj")), minilm, cpu)


def test_an_unmeasured_device_still_gives_an_estimate(minilm: ModelFacts) -> None:
    assert run(recipe(), minilm, None).seconds > 0


@CHECK_ALL
@given(method=st.sampled_from(sorted(methods.REGISTRY)), batch=st.integers(1, 256),
       length=st.integers(4, 512), more=st.integers(1, 64), precision=st.sampled_from(["fp32", "bf16"]))
def test_a_larger_batch_never_needs_less(minilm: ModelFacts, cpu: Device, method: str, batch: int, length: int,
                                         more: int, precision: str) -> None:
    smaller = recipe(method, batch_size=batch, max_length=length, precision=precision)
    assert (run(smaller, minilm, cpu).memory.total
            <= run(smaller.replace(batch_size=batch + more), minilm, cpu).memory.total)
    assert (run(smaller, minilm, cpu).memory.total <= run(smaller.replace(max_length=length + more), minilm,
                                                          cpu).memory.total)


@CHECK_ALL
@given(frozen=st.sets(st.integers(0, 6), max_size=6), extra=st.integers(0, 6),
       method=st.sampled_from(["partial", "lora"]))
def test_freezing_more_never_needs_more(minilm: ModelFacts, cpu: Device, frozen: set[int], extra: int,
                                        method: str) -> None:
    if method == "lora" and {*frozen, extra} >= set(range(1, 7)):
        return  # nothing left to adapt: refused, see above
    names = minilm.block_names
    less = run(recipe(method, freeze=FreezePlan(frozen=tuple(names[i] for i in frozen))), minilm, cpu)
    more = run(recipe(method, freeze=FreezePlan(frozen=tuple(names[i] for i in {*frozen, extra}))), minilm, cpu)
    assert more.memory.total <= less.memory.total
    assert more.trainable_params <= less.trainable_params
    assert more.seconds <= less.seconds + 1e-9


def picture(method: str = "full", **changes: object) -> Recipe:
    base = Recipe(dataset="d", base_model="cnn", method=method, task=Task.IMAGE_CLASSIFICATION, batch_size=16,
                  max_length=0, epochs=2.0, gradient_checkpointing="off")
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_activations_of_pictures_are_measured_bytes_times_batch(cnn: ModelFacts, cpu: Device) -> None:
    kept = cnn.activation_bytes_per_block
    on_the_way_down = kept["block 2"] / 2
    assert run(picture(), cnn, cpu).memory.activations == 16 * (sum(kept.values()) + on_the_way_down)
    top = run(picture("partial", freeze=top_k(cnn.block_names, 1)), cnn, cpu).memory.activations
    assert top == 32 * kept["block 0"] / 2  # reading 32 pictures once takes more than training the top stage


def test_a_probe_on_pictures_holds_a_share_of_one_stage_for_32_pictures(cnn: ModelFacts, cpu: Device) -> None:
    assert run(picture("probe", batch_size=4), cnn, cpu).memory.activations == 32 * 30_000_000 / 2


def test_convolutions_with_batch_norm_are_never_recomputed(cnn: ModelFacts, cpu: Device) -> None:
    small = dataclasses.replace(cpu, memory_bytes=10**9)
    plain, wanted = run(picture(), cnn, small).memory, run(picture(gradient_checkpointing="on"), cnn, small).memory
    assert plain.badge == "will not fit" and wanted.activations == plain.activations
    assert not any("recomputing" in text or "QLoRA" in text or "text length" in text for text in plain.advice)
    assert any("Use LoRA" in text for text in plain.advice)


def test_the_frozen_share_of_pictures_goes_by_operations(cnn: ModelFacts, cpu: Device) -> None:
    """Freezing the two lower blocks saves 4/7 of the operations although they hold less than a fifth of the weights."""
    plan = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
    assert prefix_share(picture("partial", freeze=plan), cnn) == pytest.approx(400 / 700)
    assert prefix_share(picture("partial", freeze=plan, augmentation="light"), cnn) == 0
    cached, augmented = (run(picture("partial", freeze=plan, augmentation=level), cnn, cpu).seconds
                         for level in ("off", "light"))
    assert cached < augmented


def test_lp_ft_costs_what_full_fine_tuning_costs(cnn: ModelFacts, cpu: Device) -> None:
    head_first, full = run(picture("lp_ft"), cnn, cpu), run(picture(), cnn, cpu)
    assert (head_first.memory, head_first.trainable_params) == (full.memory, full.trainable_params)


def test_gradual_unfreezing_needs_the_memory_of_full_fine_tuning_and_less_time(cnn: ModelFacts, cpu: Device) -> None:
    """At its peak, in the last stage, all train; the stages before have less to pass backwards."""
    thawed, full = run(picture("gradual_unfreezing"), cnn, cpu), run(picture(), cnn, cpu)
    assert (thawed.memory, thawed.trainable_params) == (full.memory, full.trainable_params)
    assert 0.85 * full.training_seconds < thawed.training_seconds < full.training_seconds


def test_a_large_4_bit_run_counts_the_pass_over_the_published_weights(minilm: ModelFacts, gpu: Device) -> None:
    """Whose features its head is solved on: matrices in bf16, the rest in fp32; measured on an H100."""
    linear = sum(block.linear_parameters for block in minilm.blocks)
    recipe = Recipe(dataset="d", base_model="m", method="qlora", precision="bf16", max_length=8, batch_size=1)
    found = memory(recipe, facts=minilm, device=gpu, n_classes=4).total
    held = 4 * minilm.parameters - 2 * linear
    assert held < found < held + 40e6
    without = memory(recipe.replace(head_init="random"), facts=minilm, device=gpu, n_classes=4).total
    assert without < found


def test_a_gpu_takes_its_workspace_once_a_thread(minilm: ModelFacts, gpu: Device) -> None:
    """A backward pass runs on a thread of its own (H100: 32 MiB each)."""
    taken = 32 * 2**20
    for method, threads in (("probe", 1), ("full", 2)):
        recipe = Recipe(dataset="d", base_model="m", method=method)
        plain, more = (memory(recipe, facts=minilm, device=device, n_classes=4).total
                       for device in (gpu, dataclasses.replace(gpu, workspace_bytes=taken)))
        assert more - plain == threads * taken


def test_a_gpu_waits_for_every_layer_to_be_launched(minilm: ModelFacts, gpu: Device) -> None:
    """MiniLM on an H100, 100 steps: 4.7 s full, 5.7 s LoRA, 6.7 s QLoRA, by far more than its products take."""
    rows = {"train": 1600, "validation": 200, "test": 400}
    for method, seconds in (("full", 4.7), ("lora", 5.7), ("qlora", 6.7)):
        recipe = Recipe(dataset="d", base_model="m", method=method, batch_size=16, epochs=1.0, max_length=64)
        found = estimate(recipe, facts=minilm, device=gpu, n_classes=5, rows=rows, mean_length=2000.0)
        assert found.seconds - 12 == pytest.approx(seconds, rel=0.4)
