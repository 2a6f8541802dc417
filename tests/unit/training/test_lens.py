"""What each block says, measured of a base model and a tuned one as a run's last phase does it, and read back."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from core.analysis import lens as words
from core.analysis import lens_files
from core.errors import NotFoundError
from core.features.extract import autocast
from core.models import blocks
from core.models.language import load_language
from core.planning import lens_cost
from core.training import lens, lens_places
from tests import tiny


class Texts:
    """Encoded texts, each token of which is taught but the first."""

    ragged = True

    def __init__(self, tokenizer, texts):
        self.ids = [tokenizer(text)["input_ids"] for text in texts]
        self.lengths = np.array([len(ids) for ids in self.ids])

    def batch(self, indices, *, epoch=None):
        width = int(self.lengths[indices].max())
        ids, mask = torch.zeros(2, len(indices), width, dtype=torch.long)
        for row, index in enumerate(indices):
            ids[row, :self.lengths[index]], mask[row, :self.lengths[index]] = torch.tensor(self.ids[index]), 1
        return {"input_ids": ids, "attention_mask": mask}

    def targets(self, rows, encoded, indices):
        batch = self.batch(indices)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        labels[:, 0] = -100
        return {"labels": labels}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "llama"
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                      num_key_value_heads=4, intermediate_size=128, max_position_embeddings=64)
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)
    return path


def subject(folder, run_dir, *, tuned=lambda network: None, floor=None, precision="fp32", groups=None):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts, _ = tiny.make_texts(30)
    encoded = Texts(tokenizer, texts)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def load():
        return load_language(folder, compute_dtype=dtype, reads_only=True)

    def load_tuned():
        network = load()
        tuned(network)
        return network

    block = SimpleNamespace(name="block")
    where = SimpleNamespace(run_dir=run_dir, base=run_dir / "none", tuned=run_dir / "none",
                            facts=SimpleNamespace(hidden_size=64, blocks=[block] * 4, fixed_width=False))
    splits = np.array(["test"] * 20 + ["shift"] * 10)
    rows = SimpleNamespace(row_ids=np.arange(100, 130), splits=splits, groups=groups)
    observer = SimpleNamespace(progress=lambda *args: None, should_stop=lambda: False)
    return lens_places.Subject(
        where=where, task=SimpleNamespace(processor=tokenizer, targets=encoded.targets), rows=rows, encoded=encoded,
        sample=np.arange(30), base=load, tuned=load_tuned, precision=precision, observer=observer, floor=floor)


@torch.no_grad()
def nudge(network):
    """Another last block, and the embedding of one word."""
    torch.manual_seed(1)
    for parameter in blocks.members(network.body, network.stack)[2].parameters():
        parameter += 0.2 * torch.randn_like(parameter)


@pytest.fixture(scope="module")
def measured(folder, tmp_path_factory):
    """(what was asked, where it lies) of a run that moved its last block."""
    asked = subject(folder, tmp_path_factory.mktemp("nudged"), tuned=nudge)
    lens.ensure(asked)
    return asked, asked.where.run_dir


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_untouched_model_reads_exactly_the_same_on_both_sides(folder, tmp_path, precision):
    lens.ensure(subject(folder, tmp_path, precision=precision))
    found = lens_files.read(tmp_path)
    assert (found.arrays["kl"] == 0).all()
    assert (found.kl.value, found.kl.low, found.kl.high) == (0, 0, 0)
    assert all(block.base == block.tuned for block in found.blocks)
    assert all(left.size == 0 and left.agreement is None and left.words == () for left in found.left)
    assert not found.moved(found.shown[0], rose=True)


def test_blocks_below_the_first_that_moved_say_the_same_and_the_last_says_what_the_model_says(measured):
    asked, run_dir = measured
    found = lens_files.read(run_dir)
    assert found.names == ("embeddings", "block 0", "block 1", "block 2")
    assert all(block.base == block.tuned for block in found.blocks[:3])
    assert found.blocks[3].base != found.blocks[3].tuned
    assert [left.size for left in found.left[:3]] == [0, 0, 0]
    assert found.left[3].size > 0
    assert len(found.left[3].words) == len(found.left[3].random) == 20
    assert found.kl.value > 0

    row = max(found.shown, key=lambda row: row.kl)
    index = int(np.flatnonzero(asked.rows.row_ids == row.row_id)[0])
    ids = torch.tensor([asked.encoded.ids[index]])
    for side, load in (("base", asked.base), ("tuned", asked.tuned)):
        network = load()
        with torch.no_grad():
            logits = network.logits(network.body(input_ids=ids).last_hidden_state)[0, :-1]
        shares = logits.double().softmax(-1)
        truth = ids[0, 1:]
        said = found.said(row, side, slice(None))
        places = torch.arange(len(truth))[:row.shown]
        np.testing.assert_allclose(said.probability[-1], shares[places, truth[places]], rtol=1e-3)
        np.testing.assert_array_equal(said.rank[-1], 1 + (shares > shares[places, truth[places]][:, None]).sum(-1))
        assert said.top.shape == (4, row.shown)
        assert said.top[-1, 0] == lens_places.word(asked.task.processor, int(shares[0].argmax()))
    assert found.tokens(row) == [lens_places.word(asked.task.processor, int(token)) for token in truth]


def test_tokens_that_rose_and_fell_carry_their_context(measured):
    found = lens_files.read(measured[1])
    row = found.shown[0]
    rose, fell = found.moved(row, rose=True), found.moved(row, rose=False)
    assert 0 < len(rose) <= 10
    assert all(one.after > one.before for one in rose)
    assert all(one.after < one.before for one in fell)
    assert [one.after - one.before for one in rose] == sorted((one.after - one.before for one in rose), reverse=True)
    assert all("".join(row.pieces).startswith(one.context) or one.context in "".join(row.pieces) for one in rose)


def test_only_target_rows_are_measured_and_groups_widen_the_interval(folder, measured, tmp_path):
    lens.ensure(subject(folder, tmp_path, tuned=nudge, groups=np.arange(30) % 2))
    rows, groups = (lens_files.read(path) for path in (measured[1], tmp_path))
    assert {row.row_id for row in rows.rows} == set(range(100, 120))
    assert len(rows.shown) == 12
    assert rows.kl.value == groups.kl.value
    assert (rows.kl.low, rows.kl.high) != (groups.kl.low, groups.kl.high)


def test_the_floor_is_what_rounding_alone_makes(folder, tmp_path):
    """A 4-bit floor covers every token; one of precision the first rows."""
    def whole():
        return load_language(folder, compute_dtype=torch.float32, reads_only=True)

    def rounded():
        network = whole()
        with torch.no_grad():
            for parameter in network.body.parameters():
                parameter.copy_(parameter.half().mul(8).round().div(8).float())
        return network

    lens.ensure(subject(folder, tmp_path / "bits", tuned=nudge, floor=lens_places.Floor(
        source="4-bit", precision="fp32", load=rounded)))
    bits = lens_files.read(tmp_path / "bits")
    assert np.isfinite(bits.arrays["floor"]).all()
    assert bits.floor.source == "4-bit"
    assert 0 < bits.floor.mean <= bits.floor.high

    lens.ensure(subject(folder, tmp_path / "precision", tuned=nudge, precision="bf16", floor=lens_places.Floor(
        source="precision", precision="fp32", load=whole)))
    half = lens_files.read(tmp_path / "precision")
    assert 0 < np.isfinite(half.arrays["floor"]).sum() < len(half.arrays["floor"])
    assert 0 < half.floor.mean < half.kl.value


def test_large_vocabularies_are_read_at_fewer_places(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(lens_cost.FLOAT_OPERATIONS, "cpu", 1.0)
    monkeypatch.setitem(lens_cost.FLOAT_OPERATIONS, "cuda", 1.0)
    spots = lens_places.find(subject(folder, tmp_path))
    assert max(np.bincount(spots.row[spots.shown])) == 2
    assert max(np.bincount(spots.row[spots.averaged])) == 2


def test_rows_that_teach_nothing_are_said(folder, tmp_path):
    asked = subject(folder, tmp_path)
    targets = asked.encoded.targets
    asked.task.targets = lambda *args: {"labels": torch.full_like(targets(*args)["labels"], -100)}
    with pytest.raises(NotFoundError):
        lens.ensure(asked)


def test_files_that_are_damaged_or_gone_are_measured_again(folder, measured, tmp_path):
    assert lens_files.read(tmp_path) is None
    shutil.copytree(measured[1], tmp_path, dirs_exist_ok=True)
    assert lens_files.there(tmp_path)
    path = tmp_path / "features" / lens_files.ARRAYS
    path.write_bytes(path.read_bytes()[:-8] + b"\0\1\2\3\4\5\6\7")
    assert not lens_files.there(tmp_path)
    lens.ensure(subject(folder, tmp_path))
    assert lens_files.there(tmp_path)


def test_two_seeds_are_set_against_each_other(folder, measured, tmp_path):
    def other(network):
        torch.manual_seed(2)
        with torch.no_grad():
            for parameter in blocks.members(network.body, network.stack)[2].parameters():
                parameter += 0.2 * torch.randn_like(parameter)

    lens.ensure(subject(folder, tmp_path, tuned=other))
    one, two = (lens_files.read(path) for path in (measured[1], tmp_path))
    apart, same = words.seeds(one, two), words.seeds(one, one)
    assert same.between == 0
    assert same.agreement[3] == pytest.approx(1)
    assert apart.between > 0
    assert apart.change > 0
    assert apart.agreement[0] is None  # nothing moved there
    assert abs(apart.agreement[3]) < 0.9


def test_bf16_reads_the_head_as_the_model_does(folder, tmp_path):
    """The last block's words under bf16 are those of the model's own logits under bf16."""
    asked = subject(folder, tmp_path, precision="bf16")
    lens.ensure(asked)
    found = lens_files.read(tmp_path)
    row = found.shown[0]
    index = int(np.flatnonzero(asked.rows.row_ids == row.row_id)[0])
    network = asked.base()
    with torch.no_grad(), autocast("bf16", network.device):
        logits = network.causal(input_ids=torch.tensor([asked.encoded.ids[index]])).logits[0, :-1].float()
    own = logits.log_softmax(-1)[torch.arange(row.shown), torch.tensor(asked.encoded.ids[index][1:])[:row.shown]]
    np.testing.assert_allclose(np.log(found.said(row, "base", slice(None)).probability[-1]), own, atol=2e-2)
