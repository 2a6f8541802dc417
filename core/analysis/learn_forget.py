"""What runs learned against what they forgot: a point a run, and one a checkpoint, from what lies in run folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import files, metrics
from core.analysis import forgetting, predictions
from core.analysis.verdict import Ended, apart, seeds_of
from core.domain import codec
from core.domain.dataset import Split
from core.domain.run import Interval
from core.metrics.paired import by_metric
from core.models import methods
from core.plots.learn_forget import Point

FILE = "forgetting.jsonl"
"""In a run folder: a line an evaluation, {step, change, loss}."""
LOSS = "loss"


def points(ended: Sequence[Ended]) -> list[Point]:
    """Of language runs that measured what they forgot: each as it ended, and at its checkpoints.

    Learned is the change in loss on the test rows; at checkpoints on the validation rows, and what was forgotten there
    is measured on a small part of the panel.
    """
    found = []
    for each in ended:
        last = _final(each, ended)
        if last is not None:
            found += [*_checkpoints(each), last]
    return found


def _final(each: Ended, ended: Sequence[Ended]) -> Point | None:
    result = each.result
    after, before = (scores.get(Split.TEST, {}).get(LOSS) for scores in (result.metrics, result.base))
    if result.panel_change is None or after is None or before is None:
        return None
    seeds = [other.result for other in seeds_of(each, [other for other in ended if other.run.id != each.run.id])]
    return Point(run=each.run.id, name=each.name, forgot=result.panel_change, learned=_learned(each, after, before),
                 index=_index(each), floor=forgetting.floor_of(result, seeds=seeds).value)


def _learned(each: Ended, after: Interval, before: Interval) -> Interval:
    """Paired where the rows of both are there."""
    mine, theirs = predictions.read(Path(each.run.folder), Split.TEST), predictions.read_base(
        Path(each.run.folder), Split.TEST)
    if mine is None or theirs is None or not mine.same_rows(theirs):
        return apart(after, before)
    return by_metric(metrics.REGISTRY[LOSS], mine.judged, theirs.judged).difference


def _checkpoints(each: Ended) -> list[Point]:
    before = each.result.base.get(Split.VALIDATION, {}).get(LOSS)
    if before is None:
        return []
    found = []
    for step, line in sorted(by_step(Path(each.run.folder) / FILE).items()):
        gap = float(line["loss"]) - before.value
        found.append(Point(run=each.run.id, name=each.name, step=step, index=_index(each),
                           forgot=codec.from_json(Interval, line["change"]),
                           learned=Interval(value=gap, low=gap, high=gap),
                           kept=step == each.result.best_step))
    return found


def _index(each: Ended) -> int:
    recipe = each.run.recipe
    known = recipe is not None and recipe.method in methods.REGISTRY
    return methods.get(recipe.method).card.colour_index if known and recipe is not None else 0


def by_step(path: Path) -> dict[int, dict[str, Any]]:
    """The lines of the file that can be read, by step."""
    found: dict[int, dict[str, Any]] = {}
    for read in files.read_json_lines(path):
        try:
            codec.read(Interval, read["change"])
            found[int(read["step"])] = read | {"loss": float(read["loss"])}
        except (ValueError, TypeError, KeyError):
            continue
    return found
