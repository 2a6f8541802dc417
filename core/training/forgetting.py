"""What training changed elsewhere: loss on the forgetting panel before and after, and KL from the untouched model.

The untouched model is read once for all runs on it (`before`): its final states on the panel, on a fixed part of the
test rows, and on a small part of the panel for checkpoints; and what rounding alone changes, the noise floor. A
finished run is then read on the same texts in the same batches (`after`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import panel
from core.domain.run import Interval, PanelChange
from core.features import extract
from core.metrics.documents import a_token
from core.models.language import LanguageHead, LanguageNetwork
from core.training import fixed_texts, panel_states, peak_memory, rounding, untouched
from core.training.fixed_texts import AT_CHECKPOINTS, PANEL, TASK
from core.training.inputs import Inputs
from core.training.session import Session
from core.training.untouched import Known

TABLE = "panel.parquet"


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
    if not session.speaks:
        return
    began, source = time.monotonic(), untouched.Source(session)
    parts = {name: untouched.known(session, name, texts, source)
             for name, texts in fixed_texts.of(session).items()}
    if not parts:
        return
    source.head()  # kept on disk while the model is at hand
    source.let_go()
    floor = rounding.floor(session, parts)
    peak_memory.give_back()
    whole = sum(untouched.cost(session, name) for name in parts)
    session.shared.append(extract.Spent(own=time.monotonic() - began, whole=whole))
    session.reference = Reference(parts=parts, head=source.head, floor=floor,
                                  trained_on=fixed_texts.trained_on(session))


# -- after training ----------------------------------------------------------------------------------------------------


def after(session: Session, inputs: Inputs) -> dict[str, Any]:
    """The fields of a `Result` that say what the network of `inputs` changed; empty where nothing could be measured.

    Also writes what happened to each document of the panel into the run folder.
    """
    reference = session.reference
    if reference is None:
        return {}
    with whole(inputs) as network:
        numbers = {name: _compared(session, network, reference.parts[name], name) for name in (PANEL, TASK)
                   if name in reference.parts}
    for part in reference.parts.values():
        part.lease.end()
    found: dict[str, Any] = {"kl": {}, "noise_floor": reference.floor}
    if TASK in numbers:
        _, sums, tokens = reference.parts[TASK].texts.by_document(numbers[TASK][2])
        found["kl"] |= {TASK: a_token(sums, tokens)} if len(sums) > 1 else {}
    if PANEL in numbers:
        found |= _panel(session, reference.parts[PANEL], numbers[PANEL])
        found["kl"][PANEL] = found.pop("kl_panel")
    return found


def _compared(session: Session, network: LanguageNetwork, part: Known,
              name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert session.reference is not None
    tuned = panel_states.states(network, part.texts, precision=session.precision,
                                report=session.report("tokens", f"the tuned model on the {untouched.WORDS[name]}"))
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
    if reference is None or AT_CHECKPOINTS not in reference.parts:
        return None
    part = reference.parts[AT_CHECKPOINTS]
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
