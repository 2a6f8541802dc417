"""The fixed texts on which a language run is compared with the untouched model: the forgetting panel, a part of the
test rows, and a small part of the panel for checkpoints."""

from __future__ import annotations

import numpy as np
import torch

from core.data import panel
from core.data.panel import Document
from core.domain.dataset import Shape, Split
from core.errors import ThawError
from core.features.extract import by_length
from core.models.chunked_loss import IGNORED
from core.tasks.teaching import format_of, teach
from core.training import panel_states, replay
from core.training.panel_states import Batch, Texts
from core.training.session import Session

PANEL, TASK, AT_CHECKPOINTS = "panel", "task", "small"
LENGTH = 256
"""Tokens of a text of the panel, at most."""
TASK_TOKENS = {"quick": 4_000}
DEFAULT_TASK_TOKENS = 10_000
"""Taught tokens of the test rows on which models are compared word by word, by effort."""
FEW_GROUPS = 5
"""With fewer groups of test rows, intervals are over rows."""
SMALL = 2
"""Documents of a domain that are read again at checkpoints: about 2,000 tokens in all."""


def of(session: Session) -> dict[str, Texts]:
    """The texts that there are, made once a run."""
    if not session.fixed_texts:
        documents = _documents(session)
        if documents:
            session.fixed_texts[PANEL] = _encoded(session, documents)
            if watched(session):
                few = [document for name in panel.BY_NAME
                       for document in [each for each in documents if each.domain == name][:SMALL]]
                session.fixed_texts[AT_CHECKPOINTS] = _encoded(session, few)
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
        if tokens >= task_tokens(session):
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


def trained_on(session: Session) -> frozenset[str]:
    """Domains of the panel that the run is trained on, on its rows or on general texts beside them."""
    if PANEL not in session.fixed_texts:
        return frozenset()
    texts = (session.rows.content[row] for row in session.train)
    seen = panel.trained_on(_documents(session), session.dataset.source, texts)
    return seen.union(replay.rehearsed(session.recipe))


def watched(session: Session) -> bool:
    """Whether a part of the panel is read again at every evaluation: not with quick effort, unless a bound asks."""
    return session.recipe.forgetting_bound is not None or session.recipe.effort != "quick"


def task_tokens(session: Session) -> int:
    """Taught tokens of the test rows that are read."""
    return TASK_TOKENS.get(session.recipe.effort, DEFAULT_TASK_TOKENS)
