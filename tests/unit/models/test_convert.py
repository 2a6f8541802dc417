"""Wheels of every kind become folders that load: a picture model knows a daisy, a GGUF file keeps its numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.domain.dataset import Task
from core.domain.model import ModelFacts, WheelKind
from core.errors import FetchError
from core.models import blocks, catalogue, convert, fetch, load, tokens
from core.models import facts as model_facts
from core.models.convert import CONVERTERS
from core.models.inspect import inspect_model
from core.models.processors import PictureProcessor
from core.settings import Settings

EFFICIENTNET = next(model for model in catalogue.MODELS if model.kind is WheelKind.TIMM)
LANGUAGE = dataclasses.replace(EFFICIENTNET, kind=WheelKind.GGUF)


def test_every_kind_of_wheel_that_does_not_load_as_it_is_has_a_converter() -> None:
    assert set(CONVERTERS) == set(WheelKind) - {WheelKind.FOLDER}


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(FetchError, match="does not hold the weights"):
        convert.timm_state_dict(tmp_path / "other.pth", tmp_path / "out", EFFICIENTNET)
    assert not (tmp_path / "out").exists()


def test_code_inside_a_weight_file_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    torch.save({"weight": Touch()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        convert.timm_state_dict(tmp_path / "evil.pth", tmp_path / "out", EFFICIENTNET)
    assert not (tmp_path / "ran").exists()


def write_gguf(path: Path, *, width: int = 32, inner: int = 64, blocks: int = 2, kind: str = "Q4_1",
               architecture: str = "llama", without: str = "", seed: int = 0) -> dict[str, np.ndarray]:
    """A decoder of random numbers as such files hold it, matrices of that kind; the numbers that they stand for, by
    name. without: a weight that is left out."""
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    writer = GGUFWriter(path, architecture)
    words = [*bytes_to_unicode().values(), "ca", "cat", "<|endoftext|>"]
    writer.add_block_count(blocks)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([TokenType.NORMAL] * (len(words) - 1) + [TokenType.CONTROL])
    writer.add_token_merges(["c a", "ca t"])
    writer.add_bos_token_id(len(words) - 1)
    writer.add_eos_token_id(len(words) - 1)
    writer.add_pad_token_id(len(words) - 1)

    shapes = {"token_embd": (len(words), width), "output_norm": (width,)}
    for block in range(blocks):
        shapes |= {f"blk.{block}.{name}": (width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        shapes |= {f"blk.{block}.{name}": (width,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"blk.{block}.ffn_up": (inner, width), f"blk.{block}.ffn_gate": (inner, width),
                   f"blk.{block}.ffn_down": (width, inner)}
    chance, meant = np.random.default_rng(seed), {}
    shapes.pop(without, None)
    for name, shape in shapes.items():
        numbers = chance.normal(size=shape).astype(np.float32)
        held = GGMLQuantizationType[kind] if len(shape) == 2 else GGMLQuantizationType.F32
        packed = quants.quantize(numbers, held)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=held)
        meant[name] = quants.dequantize(packed, held)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def test_a_gguf_file_becomes_plain_bf16_weights_with_the_output_layer(tmp_path: Path, settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    meant = write_gguf(tmp_path / "tiny.gguf")
    folder = tmp_path / "out"
    convert.gguf(tmp_path / "tiny.gguf", folder, LANGUAGE)

    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    for name, theirs in (("model.embed_tokens", "token_embd"), ("model.layers.1.mlp.down_proj", "blk.1.ffn_down"),
                         ("model.layers.0.self_attn.v_proj", "blk.0.attn_v"), ("model.norm", "output_norm")):
        assert torch.equal(stored[f"{name}.weight"], torch.from_numpy(meant[theirs]).bfloat16()), name
    assert "quantization_config" not in (folder / "config.json").read_text()
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    tokenizer = tokens.load(folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("cat")["input_ids"]) == ["cat"]
    assert tokens.pad_id(tokenizer) == len(tokenizer) - 1

    facts = inspect_model(str(folder), settings=settings)
    assert facts.tasks == (Task.TEXT_CLASSIFICATION, Task.LANGUAGE_MODELLING)
    assert (facts.vocabulary, facts.tied_head) == (259, True)
    assert facts.block_names == ("embeddings", "block 0", "block 1", "head")
    assert (facts.hidden_size, facts.refusals) == (32, {})


def assert_as_published(found: ModelFacts) -> None:
    """What ships with the code is what inspecting finds; bytes of activations depend on the build of torch."""
    known = model_facts.published(found.id)
    assert known is not None
    measured = {"activation_bytes_per_block", "source"}
    assert {k: v for k, v in vars(known).items() if k not in measured} == {
        k: v for k, v in vars(found).items() if k not in measured}
    assert known.activation_bytes_per_block == pytest.approx(found.activation_bytes_per_block, rel=0.2)


@pytest.mark.slow
def test_efficientnet_lite0_sees_a_daisy_and_a_palace(settings: Settings) -> None:
    from PIL import Image
    from sklearn.datasets import load_sample_image
    from transformers import AutoModelForImageClassification

    folder = fetch.ensure_model("efficientnet-lite0", settings=settings, progress=lambda done, total: None)
    processor = PictureProcessor(folder)
    whole = AutoModelForImageClassification.from_pretrained(folder).eval()
    body = load.load_body(folder)
    for name, expected in (("flower.jpg", "daisy"), ("china.jpg", "palace")):
        pixels = processor.normalise(processor.resize(Image.fromarray(load_sample_image(name)))[None])
        with torch.no_grad():
            logits = whole(pixel_values=pixels).logits
            pooled = body(pixel_values=pixels).last_hidden_state.mean((2, 3))
        assert whole.config.id2label[int(logits.argmax())].split(",")[0] == expected
        own = pooled @ whole.timm_model.classifier.weight.T + whole.timm_model.classifier.bias
        np.testing.assert_allclose(own.detach().numpy(), logits.numpy(), atol=1e-4)

    facts = inspect_model("efficientnet-lite0", settings=settings, measure=True)
    assert_as_published(facts)
    assert EFFICIENTNET.depth == 7 == len(facts.blocks) - 1
    assert (facts.image_size, facts.hidden_size, facts.pooling, facts.has_batch_norm) == (224, 1280, "mean", True)
    assert facts.forward_flops_per_token == pytest.approx(2 * 385e6, rel=0.05)
    owner = blocks.block_of([name for name, _ in body.named_parameters()], blocks.find_stack(body))
    assert owner["timm_model.conv_stem.weight"] == "embeddings" and owner["timm_model.conv_head.weight"] == "block 6"
    assert not list(folder.glob("**/*.pth"))


@pytest.mark.slow
def test_smollm2_knows_the_capital_of_france(settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    folder = fetch.ensure_model("smollm2", settings=settings, progress=lambda done, total: None)
    assert not list(folder.glob("**/*.gguf")) and not list(folder.glob("**/*.py"))
    tokenizer, model = tokens.load(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    entry = catalogue.find("smollm2")
    assert entry is not None and entry.depth == model.config.num_hidden_layers
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    assert "Paris" in tokenizer.decode(answer)
    assert_as_published(inspect_model("smollm2", settings=settings, measure=True))
    assert tokens.pad_id(tokenizer) == tokenizer.pad_token_id == model.config.pad_token_id
