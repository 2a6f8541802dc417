"""Reading blocks in words: the last block is the model itself, a model equals itself, what is planted is found."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from core.features import lens, neutral
from core.models import blocks
from core.shift import lens as arithmetic

SIZES = {"vocab_size": 97, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 128, "max_position_embeddings": 64}
CONFIGS = {
    "gpt2": lambda: transformers.GPT2Config(vocab_size=97, n_embd=64, n_layer=3, n_head=4, n_positions=64),
    "llama": lambda: transformers.LlamaConfig(**SIZES, num_key_value_heads=2),
    "qwen2": lambda: transformers.Qwen2Config(**SIZES, num_key_value_heads=2),
    "gemma2": lambda: transformers.Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "phi": lambda: transformers.PhiConfig(**SIZES),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**SIZES),
    "opt": lambda: transformers.OPTConfig(vocab_size=97, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                          ffn_dim=128, max_position_embeddings=64),
    "opt, projected": lambda: transformers.OPTConfig(
        vocab_size=97, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, ffn_dim=128,
        max_position_embeddings=64, word_embed_proj_dim=32, do_layer_norm_before=False),
}


def speaker(config, seed=0):
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    body = model.base_model
    return SimpleNamespace(model=model, body=body, head=model.get_output_embeddings(), stack=blocks.find_stack(body),
                           device=torch.device("cpu"))


def some(rows=3, tokens=12, seed=1):
    torch.manual_seed(seed)
    ids = torch.randint(2, 97, (rows, tokens))
    places = lens.Places(torch.arange(rows).repeat_interleave(tokens - 1), torch.arange(tokens - 1).repeat(rows))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, places, ids[:, 1:].reshape(-1)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_last_block_says_what_the_model_says_to_the_last_bit(family):
    found, (inputs, places, truth) = speaker(CONFIGS[family]()), some()
    tail = lens.tail_of(found, inputs, precision="fp32")
    states = lens.states_at(found, inputs, places, precision="fp32")
    assert tail is not None
    assert list(states) == ["embeddings", "block 0", "block 1", "block 2"]
    with torch.no_grad():
        output = found.model(**inputs, output_hidden_states=True)
        logits = output.logits[places.rows, places.tokens]
        said = lens.read(states["block 2"], _own(found), truth, truth.roll(5))
        np.testing.assert_array_equal(said.top, logits.argmax(-1))
        np.testing.assert_array_equal(said.log_probability,
                                      (logits.gather(-1, truth[:, None]) - logits.logsumexp(-1, keepdim=True))[:, 0])
        raw = lens.states_at(found, inputs, places, precision="fp32", before_tail=True)["block 2"]
        torch.testing.assert_close(tail(raw), states["block 2"], rtol=0, atol=1e-6)
        below = output.hidden_states[1][places.rows, places.tokens]  # leaves block 0, by transformers' own count
        torch.testing.assert_close(states["block 0"], below, rtol=0, atol=0)


def _own(found):
    """The model's own way from final states to logits: Gemma bounds them."""
    cap = getattr(found.model.config, "final_logit_softcapping", None)
    return found.head if cap is None else lambda states: cap * torch.tanh(found.head(states) / cap)


def test_a_tail_that_does_more_than_modules_do_is_not_guessed():
    found, (inputs, _, _) = speaker(CONFIGS["llama"]()), some()
    own = found.body.forward

    def doubled(**inputs):
        output = own(**inputs)
        return SimpleNamespace(last_hidden_state=2 * output.last_hidden_state)

    found.body.forward = doubled
    assert lens.tail_of(found, inputs, precision="fp32") is None


def test_ranks_and_log_probabilities_are_those_of_a_softmax(monkeypatch):
    torch.manual_seed(0)
    states, weight = torch.randn(40, 8), torch.randn(100, 8)
    truth, null = torch.randint(0, 100, (40,)), torch.randint(0, 100, (40,))
    monkeypatch.setattr(lens, "LOGIT_BYTES", 4 * 100 * 7)  # seven places at a time
    said = lens.read(states, lambda part: part @ weight.T, truth, null)
    shares = torch.softmax(states.double() @ weight.double().T, -1)
    places = torch.arange(40)
    np.testing.assert_array_equal(said.top, shares.argmax(-1))
    np.testing.assert_allclose(said.log_probability, shares[places, truth].log(), rtol=1e-4)
    np.testing.assert_array_equal(said.rank, 1 + (shares > shares[places, truth][:, None]).sum(-1))
    np.testing.assert_array_equal(said.null_rank, 1 + (shares > shares[places, null][:, None]).sum(-1))


def test_a_token_of_another_place_ranks_as_chance_would_have_it():
    """The model's own likeliest tokens rank first; dealt out to other places they rank anywhere."""
    torch.manual_seed(0)
    states, weight = torch.randn(3000, 16), torch.randn(101, 16)
    truth = (states @ weight.T).argmax(-1)
    said = lens.read(states, lambda part: part @ weight.T, truth, truth.roll(1501))
    assert (said.rank == 1).all()
    assert np.median(said.null_rank) == pytest.approx(51, abs=6)


def test_kl_of_a_model_with_itself_is_zero_to_the_last_bit():
    found, (inputs, places, truth) = speaker(CONFIGS["gpt2"]()), some()
    states = lens.states_at(found, inputs, places, precision="fp32")["block 2"]
    again = lens.states_at(found, inputs, places, precision="fp32")["block 2"]
    same = lens.compare(states, found.head, again, found.head, truth)
    assert (same.kl == 0).all()
    assert (same.base == same.tuned).all()
    assert (same.rose_from == same.rose_to).all()
    assert same.kl_shuffled.mean() > 0.001


def test_kl_and_the_tokens_that_moved_most_are_those_of_two_softmaxes(monkeypatch):
    torch.manual_seed(0)
    one, two = torch.randn(30, 8), torch.randn(30, 8)
    weights = torch.randn(2, 50, 8)
    truth = torch.randint(0, 50, (30,))
    monkeypatch.setattr(lens, "LOGIT_BYTES", 4 * 50 * 7)
    found = lens.compare(one, lambda s: s @ weights[0].T, two, lambda s: s @ weights[1].T, truth)
    p, q = (torch.softmax(s.double() @ w.double().T, -1) for s, w in ((one, weights[0]), (two, weights[1])))
    np.testing.assert_allclose(found.kl, (q * (q / p).log()).sum(-1), rtol=1e-4)
    np.testing.assert_array_equal(found.rose, (q - p).argmax(-1))
    np.testing.assert_array_equal(found.fell, (q - p).argmin(-1))
    np.testing.assert_allclose(found.rose_to - found.rose_from, (q - p).max(-1).values, rtol=1e-4)
    np.testing.assert_allclose(found.tuned, q[torch.arange(30), truth].log(), rtol=1e-4)


class _Letters:
    """A tokenizer of characters."""

    def __call__(self, text):
        return {"input_ids": [2 + ord(letter) % 90 for letter in text]}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_planted_direction_is_named_first(family):
    """A tuning that adds the same word's direction everywhere, on top of some noise, is read out by name."""
    base, tuned = speaker(CONFIGS[family]()), speaker(CONFIGS[family]())
    planted = 41
    direction = tuned.head.weight[planted].detach()
    direction = 2 * direction / direction.norm()
    blocks.members(tuned.body, tuned.stack)[1].register_forward_hook(
        lambda module, args, output: (output[0] + direction, *output[1:]) if isinstance(output, tuple)
        else output + direction)
    inputs, _, _ = some()
    tail = lens.tail_of(tuned, inputs, precision="fp32")
    before, after = (lens.on_neutral_text(side, _Letters(), precision="fp32") for side in (base, tuned))
    assert before["block 0"].shape == (len(neutral.TEXTS), 64)
    np.testing.assert_array_equal(before["block 0"], after["block 0"])
    found = arithmetic.left(before["block 1"], after["block 1"])
    random = arithmetic.random_directions(found.size, 64, 4)
    asked = np.stack([found.direction, *random]).astype(np.float32)
    ids, shares = lens.words_of(asked, tail, tuned.head, device=torch.device("cpu"), precision="fp32", count=20)
    assert ids[0, 0] == planted
    assert shares[0, 0] > shares[1:, 0].max()
    assert found.size == pytest.approx(2, rel=1e-3)
    assert found.agreement == pytest.approx(1, abs=1e-3)
    assert (np.diff(shares[0]) <= 0).all()
