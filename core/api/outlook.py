"""How long experiments and places in the queue will take: the line of all workspaces, told in seconds only."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence

from core.api.desk import Desk
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Run, Status
from core.planning.schedule import FEATURES_S, JUDGING_SHARE, Outlook, Stretch, factor, left, pace, schedule, share_left
from core.store.queue import Claim, Waiting

Seconds = Callable[[str, Recipe, bool], "float | None"]
"""Workspace, recipe and whether its features are made -> estimated seconds; None when that cannot be told yet."""

LINE = 2000
"""Waiting jobs that are looked at; places behind them are told without minutes."""
KEPT_S = 4.0
"""So long the line is kept: everybody's pages poll, and it changes when a run starts or ends."""

_NOT_TRAINING = (JobKind.PREPARE, JobKind.IMPORT)
"""Kinds that have a lane of their own."""
_lines: dict[str, tuple[float, object, dict[str, Stretch]]] = {}


def of_runs(desk: Desk, runs: Sequence[Run], factors: Mapping[str | None, float], seconds: Seconds) -> Outlook:
    """When these runs start and end.

    factors: experiment -> how much longer than estimated its runs that are done took: so will its others.
    """
    open_ = [run for run in runs if not run.status.final]
    if not open_:
        return Outlook(left_s=0.0)
    line = _line(desk, seconds)
    found = {run.id: Stretch(starts_s=correct * line[run.id].starts_s, ends_s=correct * line[run.id].ends_s)
             for run in open_ if run.id in line and (correct := factors.get(run.experiment, 1.0))}
    known = len(found) == len(open_)
    return Outlook(left_s=max(stretch.ends_s for stretch in found.values()) if known else None, runs=found)


def correction(done: Sequence[tuple[Run, Result]], seconds: Seconds) -> float:
    """How much longer than estimated these runs took."""
    pairs = [(result.seconds if result.marginal_seconds is None else result.marginal_seconds, expected)
             for run, result in done
             if run.recipe and (expected := seconds(run.workspace, run.recipe, run.makes_features))]
    return factor([took for took, _ in pairs], [expected for _, expected in pairs])


def _line(desk: Desk, seconds: Seconds) -> dict[str, Stretch]:
    """Every job that runs or waits; kept for a few seconds while none starts, ends or comes."""
    key, now, stamp = str(desk.settings.database), time.monotonic(), desk.store.queue.stamp()
    at, of, found = _lines.get(key, (float("-inf"), None, {}))
    if now - at > KEPT_S or of != stamp:
        found = _laid_out(desk, seconds)
        _lines[key] = (now, stamp, found)
    return found


def _laid_out(desk: Desk, seconds: Seconds) -> dict[str, Stretch]:
    queue = desk.store.queue
    training = [claim for claim in queue.active() if claim.run.kind not in _NOT_TRAINING]
    waiting = [(job.id, _takes(desk, job, seconds)) for job in queue.line(most=LINE)]
    return schedule({claim.run.id: _left(desk, claim, seconds) for claim in training}, waiting,
                    slots=desk.settings.slots)


def _takes(desk: Desk, job: Waiting, seconds: Seconds) -> float | None:
    if job.recipe is None:
        return FEATURES_S
    try:
        estimated = seconds(job.workspace, _recipe(job.recipe), job.makes_features)
    except Exception:  # noqa: BLE001 - somebody else's damaged row: it ends as soon as it starts
        return 0.0
    return _to_go(desk, job.id, estimated) if job.resume else estimated


def _to_go(desk: Desk, job: str, estimated: float | None) -> float | None:
    """Of the estimated seconds of a run that goes on from a checkpoint, those that are still needed."""
    step = desk.store.events.last(job, "step")
    if step is None or estimated is None:
        return estimated
    return estimated * max(JUDGING_SHARE, share_left(step.data))


def _left(desk: Desk, claim: Claim, seconds: Seconds) -> float | None:
    """Seconds that a run under way still needs."""
    run = claim.run
    if run.recipe is None:
        return FEATURES_S
    now, estimated = time.time(), seconds(run.workspace, run.recipe, run.makes_features)
    if run.status is Status.STOPPING:
        return left(estimated, elapsed_s=estimated or 0.0, pace_s=None)
    step = desk.store.events.last(run.id, "step")
    this_attempt = step is not None and step.time >= (run.started or 0.0)
    measured = pace(step.data, age_s=now - step.time) if step is not None and this_attempt else None
    if claim.resume and measured is None:
        estimated = _to_go(desk, run.id, estimated)
    return left(estimated, elapsed_s=now - (run.started or now), pace_s=measured)


@functools.lru_cache(maxsize=4096)
def _recipe(text: str) -> Recipe:
    return Recipe.from_json(json.loads(text))
