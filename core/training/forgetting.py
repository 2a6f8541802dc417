"""What training changed elsewhere: loss on the forgetting panel before and after, and KL from the untouched model.

The untouched model is read once for all runs on it (`before`): its final states on the panel, on a fixed part of the
test rows, and on a small part of the panel for checkpoints; and what rounding alone changes, the noise floor. A
finished run is then read on the same texts in the same batches (`after`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import cache, files
from core.data import panel
from core.data.panel import Document
from core.domain.dataset import Shape, Split
from core.domain.model import Weights
from core.domain.run import Interval, PanelChange, Phase
from core.errors import ThawError
from core.features import extract
from core.features.extract import by_length
from core.features.row_store import CacheDamageError
from core.metrics.documents import a_token
from core.models.chunked_loss import IGNORED
from core.models.language import LanguageHead, LanguageNetwork
from core.tasks.teaching import format_of, teach
from core.training import artifact, base_side, panel_states
from core.training.inputs import Inputs
from core.training.panel_states import Batch, Texts
from core.training.session import Session

VERSION = 1
"""Part of every key: raise it when what is kept changes."""
LENGTH = 256
"""Tokens of a text of the panel, at most."""
TASK = "task"
TASK_TOKENS = {"quick": 4_000}
DEFAULT_TASK_TOKENS = 10_000
"""Taught tokens of the test rows on which models are compared word by word, by effort."""
FEW_GROUPS = 5
"""With fewer groups of test rows, intervals are over rows."""
SMALL = 2
"""Documents of a domain that are read again at checkpoints: about 2,000 tokens in all."""
FIFTH = 5
"""Rounding is measured on one in so many documents."""
MOST_FOR_ROUNDING = 1_500_000_000
"""Larger models are not loaded once more to see what rounding does."""
TABLE = "panel.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What is known of the untouched model on some texts."""

    texts: Texts
    folder: Path
    """Where it is kept; read when it is compared with, so that it takes no memory while a run trains."""
    lease: cache.Lease

    def read(self) -> dict[str, np.ndarray]:
        """`states` and `losses` (n_tokens,). Raises CacheDamageError where the cache has let them go."""
        found = cache.load_arrays(self.folder, ("states", "losses"))
        if found is None:
            raise CacheDamageError("What is known of the untouched model was damaged or removed while it was in use.",
                                   why=f"forgetting/{self.folder.name} in the cache is not what was written there.",
                                   remedy="Press Resume: what is damaged is computed again.")
        return found

    @property
    def losses(self) -> np.ndarray:
        """(n_tokens,) nats."""
        return np.array(self.read()["losses"])

    @property
    def states(self) -> torch.Tensor:
        """(n_tokens, width)."""
        return panel_states.from_array(self.read()["states"])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The untouched model, as far as a run is compared with it."""

    parts: Mapping[str, Known]
    """`panel`, `task` and `small`; those that could be had."""
    head: Callable[[], LanguageHead]
    trained_on: frozenset[str]
    floor: dict[str, Any]


# -- before training ---------------------------------------------------------------------------------------------------


def before(session: Session) -> None:
    """Read the untouched model, or what an earlier run has read of it, into `session.reference`: before the run's
    memory is measured, as its cost is shared."""
    if session.task.card.new_head:
        return
    began, source = time.monotonic(), _Source(session)
    parts = {name: _known(session, name, texts, source) for name, texts in _texts(session).items()}
    if not parts:
        return
    source.head()  # kept on disk while the model is at hand
    source.let_go()
    floor = _floor(session, parts)
    base_side.give_back_memory()
    whole = sum(_cost(session, name) for name in parts)
    session.shared.append(extract.Spent(own=time.monotonic() - began, whole=whole))
    session.reference = Reference(parts=parts, head=source.head, floor=floor, trained_on=_trained_on(session))


def watched(session: Session) -> bool:
    """Whether a part of the panel is read again at every evaluation: not with quick effort, unless a bound asks."""
    return session.recipe.forgetting_bound is not None or session.recipe.effort != "quick"


class _Source:
    """The untouched model, built when it is first called for."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @functools.cached_property
    def network(self) -> LanguageNetwork:
        found = self.session.build(Weights.PRETRAINED, 0.0, reads_only=True)
        assert isinstance(found, LanguageNetwork)
        return found

    def let_go(self) -> None:
        """Free its memory."""
        self.__dict__.pop("network", None)

    def head(self) -> LanguageHead:
        """Its output layer, kept on disk: training may change the one at hand."""
        folder = _folder(self.session, "head")
        arrays = cache.kept(folder, lambda: _read_head(self.session), lambda: _keep(
            folder, panel_states.head_arrays(self.network.head), seconds=0.0))
        cache.mark_used(folder)
        return panel_states.head_of(arrays, torch.device(self.session.device.kind))


def _texts(session: Session) -> dict[str, Texts]:
    """The texts that there are, made once a run."""
    if not session.fixed_texts:
        documents = _documents(session)
        if documents:
            small = {id(document) for name in panel.BY_NAME
                     for document in [each for each in documents if each.domain == name][:SMALL]}
            session.fixed_texts["panel"] = _encoded(session, documents)
            if watched(session):
                session.fixed_texts["small"] = _encoded(session, [each for each in documents if id(each) in small])
        if (task := _task_texts(session)) is not None:
            session.fixed_texts[TASK] = task
    return session.fixed_texts


def _documents(session: Session) -> tuple[Document, ...]:
    """The panel; nothing, with a note, where it cannot be had: the run goes on without."""
    if not session.settings.panel:
        return ()
    try:
        return panel.load(settings=session.settings, progress=session.report("bytes", "forgetting panel"))
    except ThawError as error:
        session.observer.note("What the model forgets is not measured: the texts of the forgetting panel could not be "
                              f"had. {error.why}")
        return ()


def _encoded(session: Session, documents: tuple[Document, ...] | list[Document]) -> Texts:
    format = format_of(session.task.processor)
    limit = min(LENGTH, session.facts.max_length or LENGTH)
    ids = [teach(format, document.text, Shape.TEXT, limit, ends=False).ids for document in documents]
    return panel_states.encode(ids, domains=[document.domain for document in documents],
                               one_by_one=session.facts.fixed_width)


def _task_texts(session: Session) -> Texts | None:
    """A fixed part of the test rows, whole rows of them, as the task teaches them; None where there is none."""
    rows = session.rows.of(Split.TEST)
    order, chosen, tokens = np.random.default_rng(0).permutation(rows), [], 0
    for row in order:
        if tokens >= TASK_TOKENS.get(session.recipe.effort, DEFAULT_TASK_TOKENS):
            break
        counted = int((_labels(session, np.array([row]))[:, 1:] != IGNORED).sum())
        tokens += counted
        chosen += [row] if counted else []
    if not chosen:
        return None
    sample = np.sort(np.array(chosen))
    place = {int(row): position for position, row in enumerate(sample)}
    batches = tuple(Batch(inputs=session.encoded.batch(some), labels=_labels(session, some),
                          texts=np.array([place[int(row)] for row in some]))
                    for some in by_length(session.encoded, sample))
    groups = session.rows.groups
    own = np.arange(len(sample)) if groups is None else groups[sample]
    if len(np.unique(own)) < FEW_GROUPS:
        own = np.arange(len(sample))
    return Texts(batches=batches, domains=(TASK,) * len(sample), documents=own)


def _labels(session: Session, rows: np.ndarray) -> torch.Tensor:
    return session.task.targets(session.rows, session.encoded, rows)["labels"].clone()


def _trained_on(session: Session) -> frozenset[str]:
    if "panel" not in session.fixed_texts:
        return frozenset()
    texts = (session.rows.content[row] for row in session.train)
    return panel.trained_on(_documents(session), session.dataset.source, texts)


# -- what is kept of the untouched model -------------------------------------------------------------------------------


def _folder(session: Session, name: str, **more: Any) -> Path:
    return cache.folder_of(session.settings.cache, "forgetting", _key(session, name) | more)


def _key(session: Session, name: str) -> dict[str, Any]:
    key: dict[str, Any] = {"version": VERSION, "part": name, "model": session.facts.revision}
    if name == "head":
        return key
    key |= {"precision": session.precision, "device": session.device.kind, "threads": torch.get_num_threads()}
    if name != TASK:
        return key | {"panel": panel.SHA256, "length": LENGTH}
    recipe = session.recipe
    return key | {"dataset": session.rows.dataset_hash, "length": recipe.max_length,
                  "taught": recipe.taught,
                  "tokens": TASK_TOKENS.get(recipe.effort, DEFAULT_TASK_TOKENS)}


def _known(session: Session, name: str, texts: Texts, source: _Source) -> Known:
    def make() -> dict[str, np.ndarray]:
        began = time.monotonic()
        session.enter(Phase.CACHING)
        network = source.network
        found = panel_states.states(network, texts, precision=session.precision,
                                    report=session.report("tokens", f"the untouched model on the {_WORDS[name]}"))
        losses = panel_states.losses(found, network.head, texts.truth, precision=session.precision)
        return _keep(folder, {"states": panel_states.to_array(found), "losses": losses},
                     seconds=time.monotonic() - began)

    folder = _folder(session, name)
    lease = cache.Lease(folder)
    cache.kept(folder, lambda: _read(session, name), make)
    cache.mark_used(folder)
    return Known(texts=texts, folder=folder, lease=lease)


_WORDS = {"panel": "forgetting panel", "small": "part of the panel that is read at checkpoints", TASK: "test rows"}


def _keep(folder: Path, arrays: dict[str, np.ndarray], *, seconds: float) -> dict[str, np.ndarray]:
    cache.save_arrays(folder, arrays)
    files.write_json(folder / cache.KEY, {"names": list(arrays), "seconds": seconds})
    return arrays


def _read(session: Session, name: str) -> dict[str, np.ndarray] | None:
    return cache.load_arrays(_folder(session, name), ("states", "losses"))


def _read_head(session: Session) -> dict[str, np.ndarray] | None:
    folder = _folder(session, "head")
    return (cache.load_arrays(folder, ("weight", "shape", "bias"))
            or cache.load_arrays(folder, ("weight", "shape")))


def _cost(session: Session, name: str) -> float:
    """Seconds that the pass took, whoever made it."""
    try:
        about = files.read_json(_folder(session, name) / cache.KEY) or {}
        return float(about.get("seconds", 0.0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0.0


# -- the noise floor ---------------------------------------------------------------------------------------------------


def _floor(session: Session, parts: Mapping[str, Known]) -> dict[str, Any]:
    """What rounding alone changes of the loss: of a model in 4 bits, that; else another precision.

    The number is the largest change that its interval over documents allows.
    """
    four_bit = session.card.weights is Weights.FOUR_BIT
    source = "4-bit" if four_bit else "precision"
    if not four_bit and (session.facts.parameters > MOST_FOR_ROUNDING or session.facts.bf16_fails):
        return {}
    floor: dict[str, Any] = {"from": source}
    rounded = _Rounded(session, four_bit=four_bit)
    for name in ("panel", TASK):
        if name not in parts:
            continue
        own = parts[name]
        texts = own.texts if four_bit else _one_in(own.texts, FIFTH)
        other = rounded.losses(name, texts)
        changes = _changes(own, texts, other)
        if name == TASK:
            floor["target"] = _largest(changes, TASK)
        else:
            floor["panel"] = {domain: _largest(changes, domain) for domain in dict.fromkeys(own.texts.domains)}
            floor["pooled"] = _largest(changes, "")
    return floor


def _one_in(texts: Texts, share: int) -> Texts:
    """One of so many documents of each domain, in batches of their own."""
    wanted: set[int] = set()
    for domain in dict.fromkeys(texts.domains):
        own = np.unique([document for document, name in zip(texts.documents, texts.domains, strict=True)
                         if name == domain])
        wanted |= {int(document) for document in own[::share]} | {int(document) for document in own[:2]}
    batches = []
    for batch in texts.batches:
        lines = np.flatnonzero(np.isin(texts.documents[batch.texts], list(wanted)))
        if len(lines):
            at = torch.from_numpy(lines)
            batches.append(replace(batch, inputs={name: tensor[at] for name, tensor in batch.inputs.items()},
                                   labels=batch.labels[at], texts=batch.texts[lines]))
    return replace(texts, batches=tuple(batches))


class _Rounded:
    """The untouched model in 4 bits, or in another precision; built when it is first called for."""

    def __init__(self, session: Session, *, four_bit: bool) -> None:
        self.session = session
        self.four_bit = four_bit
        self.precision = session.precision if four_bit else "fp32" if session.precision != "fp32" else "bf16"

    @functools.cached_property
    def network(self) -> LanguageNetwork:
        session = self.session
        found = session.task.build(
            session.folder, recipe=session.recipe, facts=session.facts, dropout=0.0, device=session.device.kind,
            weights=Weights.FOUR_BIT if self.four_bit else Weights.PRETRAINED,
            compute_dtype=artifact.compute_dtype(self.precision), reads_only=not self.four_bit)
        assert isinstance(found, LanguageNetwork)
        return found

    def losses(self, name: str, texts: Texts) -> np.ndarray:
        """(n_tokens,) of each token; kept for all runs."""
        spec = self.session.recipe.quantization
        folder = _folder(self.session, name, rounded=self.precision,
                         quantised=[spec.type, spec.double] if self.four_bit else None)

        def make() -> dict[str, np.ndarray]:
            began = time.monotonic()
            self.session.enter(Phase.CACHING)
            report = self.session.report("tokens", f"what {'4 bits' if self.four_bit else 'another precision'} changes")
            found = panel_states.states(self.network, texts, precision=self.precision, report=report)
            losses = panel_states.losses(found, self.network.head, texts.truth, precision=self.precision)
            return _keep(folder, {"losses": losses}, seconds=time.monotonic() - began)

        found = cache.kept(folder, lambda: cache.load_arrays(folder, ("losses",)), make)
        cache.mark_used(folder)
        return np.array(found["losses"])


def _changes(own: Known, texts: Texts, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each document that was read twice: its domain, the sum of the differences in loss, its tokens."""
    domains, after, tokens = texts.by_document(other)
    _, before, _ = own.texts.by_document(own.losses)
    numbers = np.unique(own.texts.documents[own.texts.text_of_token])
    read = np.isin(numbers, np.unique(texts.documents[texts.text_of_token]))
    return domains, after - before[read], tokens


def _largest(changes: tuple[np.ndarray, np.ndarray, np.ndarray], domain: str) -> float:
    domains, sums, tokens = changes
    own = domains == domain if domain else np.ones(len(domains), bool)
    found = a_token(sums[own], tokens[own], strata=domains[own])
    return max(abs(bound) for bound in (found.low, found.high) if np.isfinite(bound)) if np.isfinite(
        found.low) else abs(found.value)


# -- after training ----------------------------------------------------------------------------------------------------


def after(session: Session, inputs: Inputs) -> dict[str, Any]:
    """The fields of a `Result` that say what the network of `inputs` changed; empty where nothing could be measured.

    Also writes what happened to each document of the panel into the run folder.
    """
    reference = session.reference
    if reference is None:
        return {}
    with whole(inputs) as network:
        numbers = {name: _compared(session, network, reference.parts[name], name) for name in ("panel", TASK)
                   if name in reference.parts}
    for part in reference.parts.values():
        part.lease.end()
    found: dict[str, Any] = {"kl": {}, "noise_floor": reference.floor}
    if TASK in numbers:
        _, sums, tokens = reference.parts[TASK].texts.by_document(numbers[TASK][2])
        found["kl"] |= {TASK: a_token(sums, tokens)} if len(sums) > 1 else {}
    if "panel" in numbers:
        found |= _panel(session, reference.parts["panel"], numbers["panel"])
        found["kl"]["panel"] = found.pop("kl_panel")
    return found


def _compared(session: Session, network: LanguageNetwork, part: Known,
              name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert session.reference is not None
    tuned = panel_states.states(network, part.texts, precision=session.precision,
                                report=session.report("tokens", f"the tuned model on the {_WORDS[name]}"))
    return panel_states.compare(part.states, session.reference.head(), tuned, network.head, part.texts.truth,
                                precision=session.precision)


def _panel(session: Session, part: Known, numbers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> dict[str, Any]:
    assert session.reference is not None
    domains, first, tokens = part.texts.by_document(numbers[0])
    last, kl = (part.texts.by_document(values)[1] for values in numbers[1:])
    seen = session.reference.trained_on
    _write(session.run_dir / TABLE, domains, first, last, kl, tokens)
    panel_of = {}
    for name in dict.fromkeys(part.texts.domains):
        own = domains == name
        one, other = a_token(first[own], tokens[own]), a_token(last[own], tokens[own])
        panel_of[name] = PanelChange(
            before=one.value, after=other.value, before_interval=one, after_interval=other,
            change=a_token(last[own] - first[own], tokens[own]), kl=a_token(kl[own], tokens[own]),
            documents=int(own.sum()), tokens=int(tokens[own].sum()), trained_on=name in seen)
    unseen = ~np.isin(domains, list(seen))
    pooled = (a_token((last - first)[unseen], tokens[unseen], strata=domains[unseen]) if unseen.any() else None)
    return {"panel": panel_of, "panel_change": pooled, "panel_version": panel.PANEL_VERSION,
            "kl_panel": a_token(kl, tokens, strata=domains)}


def _write(path: Path, domains: np.ndarray, first: np.ndarray, last: np.ndarray, kl: np.ndarray,
           tokens: np.ndarray) -> None:
    """A line a document: what two runs are paired by."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"domain": domains.tolist(), "document": np.arange(len(domains)), "tokens": tokens,
                      "before": first, "after": last, "kl": kl})
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary)


# -- at checkpoints ----------------------------------------------------------------------------------------------------


def now(session: Session, inputs: Inputs) -> Interval | None:
    """The change in loss on a small part of the panel, over the domains that the run was not trained on."""
    reference = session.reference
    if reference is None or "small" not in reference.parts:
        return None
    part = reference.parts["small"]
    with whole(inputs) as network:
        tuned = panel_states.states(network, part.texts, precision=session.precision)
        losses = panel_states.losses(tuned, network.head, part.texts.truth, precision=session.precision)
    domains, sums, tokens = part.texts.by_document(losses - part.losses)
    unseen = ~np.isin(domains, list(reference.trained_on))
    return a_token(sums[unseen], tokens[unseen], strata=domains[unseen]) if unseen.any() else None


@contextmanager
def whole(inputs: Inputs) -> Iterator[LanguageNetwork]:
    """The network with all its blocks, also where it starts from a cached prefix."""
    network = inputs.network
    assert isinstance(network, LanguageNetwork)
    if inputs.runner is None:
        yield network
        return
    inputs.runner.remove()
    try:
        yield network
    finally:
        inputs.runner.install()
