"""A run's own test rows, as its exports are asked about them and as the run recorded its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.analysis import predictions
from core.data import conversations
from core.domain.dataset import Shape, Split
from core.metrics import Judged

if TYPE_CHECKING:
    from core.export.finished import Finished
    from core.training.artifact import LoadedModel

SMALLEST = 1e-38
ASKED = 50
"""Conversations whose question alone is put to an export's own script, too."""


@dataclass(kw_only=True)
class TestRows:
    """asked: what `checker.py` reads. recorded: what the run said. indices: of these rows in its dataset."""

    __test__ = False

    asked: dict[str, Any]
    recorded: Judged
    indices: np.ndarray
    encoded: Any = None

    @property
    def n_rows(self) -> int:
        return len(self.indices)


def of_run(run: Finished) -> TestRows | None:
    """None where the rows are gone, or the run was tested on none."""
    recorded, rows = predictions.read(run.folder, Split.TEST), run.rows
    if recorded is None or rows is None:
        return None
    place = {int(row_id): index for index, row_id in enumerate(rows.row_ids)}
    if not all(int(row_id) in place for row_id in recorded.row_ids):
        return None
    indices = np.array([place[int(row_id)] for row_id in recorded.row_ids])
    content = [rows.content[index] for index in indices]
    if recorded.judged.losses is not None:
        asked, encoded = _language(run, indices)
        asked["row_ids"] = recorded.row_ids.tolist()
        return TestRows(asked=asked, recorded=recorded.judged, indices=indices, encoded=encoded)
    asked = {"input": str(run.recipe.task.content), "content": content, "classes": list(run.labels["classes"]),
             "row_ids": recorded.row_ids.tolist()}
    return TestRows(asked=asked, recorded=recorded.judged, indices=indices)


def _language(run: Finished, indices: np.ndarray) -> tuple[dict[str, Any], Any]:
    """Token by token what the run read, which tokens are taught, and the text that was made into them."""
    from core import tasks
    from core.tasks import teaching

    rows: Any = run.rows
    task: Any = tasks.get(run.recipe.task).load(run.folder / "artifact", run.labels)
    encoded = task.encode(rows, recipe=run.recipe, facts=run.facts, cache=run.settings.cache)
    format = teaching.format_of(task.processor)
    asked: dict[str, Any] = {name: [] for name in ("content", "ids", "taught", "special", "asked")}
    for number, index in enumerate(indices):
        part = slice(encoded.offsets[index], encoded.offsets[index + 1])
        text, special, question = rows.content[index], True, None
        if rows.shape is Shape.CHAT:
            turns = conversations.load(text)
            rendered = format.render(turns)
            special = format.plain or bool(rendered.refusal)
            if number < ASKED and [turn.role for turn in turns] == [conversations.USER, conversations.ASSISTANT]:
                question = [turns[0].content, teaching.prompt_ids(format, text, rows.shape)]
            text = rendered.text
        for name, value in (("content", text), ("ids", encoded.ids[part].tolist()), ("special", special),
                            ("taught", encoded.arrays["taught"][part].astype(int).tolist()), ("asked", question)):
            asked[name].append(value)
    return asked, encoded


def in_32_bits(run: Finished, rows: TestRows) -> np.ndarray:
    """What Thaw's own network of the run, read back and computed in fp32, says of these rows: (n_rows, n_classes)
    log-probabilities, or (n_rows,) losses."""
    _, kept = outputs(run, rows, precision="fp32")
    if "losses" in kept:
        return np.asarray(kept["losses"], np.float64)
    logits = kept["logits"].astype(np.float64)
    highest = logits.max(1, keepdims=True)
    return np.asarray(logits - highest - np.log(np.exp(logits - highest).sum(1, keepdims=True)))


def outputs(run: Finished, rows: TestRows, *, precision: str | None) -> tuple[LoadedModel, dict[str, np.ndarray]]:
    """(the run's own network, what it says of these rows). precision: to compute in, None for the run's."""
    import torch

    from core.training import evaluate
    from core.training.inputs import Inputs

    side = run.as_trained(precision)
    for module in side.network.modules() if precision == "fp32" else ():
        if (state := getattr(getattr(module, "weight", None), "quant_state", None)) is not None:
            module.compute_dtype = state.dtype = torch.float32  # type: ignore[assignment]
    all_rows: Any = run.rows
    encoded = rows.encoded if rows.encoded is not None else side.task.encode(
        all_rows, recipe=run.recipe, facts=run.facts, cache=run.settings.cache)
    inputs = Inputs(task=side.task, network=side.network, rows=all_rows, encoded=encoded,
                    precision=precision or side.precision)
    kept = evaluate.outputs(inputs, rows.indices, lambda done, total: run.progress(done, total, "rows", "reference"))
    return side, kept


def recorded_values(rows: TestRows) -> np.ndarray:
    """The same, as the run recorded it."""
    if rows.recorded.losses is not None:
        return np.asarray(rows.recorded.losses, np.float64)
    return np.log(np.maximum(np.asarray(rows.recorded.probabilities, np.float64), SMALLEST))
