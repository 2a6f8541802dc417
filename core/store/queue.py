"""Transitions of a job, each one statement or one short transaction, so that no two processes can both make it.

A claim raises the job's fence; whatever a worker of an older claim tries afterwards matches no row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from core.domain import codec
from core.domain.run import Failure, Run, Status
from core.store.database import Database
from core.store.jobs import check_room, missing, to_run, to_status
from core.store.queue_order import LINE, NEXT, NEXT_OF

_CLAIM = """
    UPDATE jobs SET status = 'running', fence = fence + 1, attempts = attempts + 1, started = :now, finished = NULL,
        heartbeat = :now, supervisor = :supervisor, host = :host, pid = NULL, pid_created = NULL, birth = NULL,
        stop_asked = NULL, stop_seen = NULL, stop_forced = 0
    WHERE id = (SELECT id FROM jobs JOIN next USING (workspace, lane) WHERE status = 'queued' AND ticket = first)
    RETURNING *"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job in somebody's hands: the run, and what tells its worker from any other."""

    run: Run
    fence: int
    resume: bool
    supervisor: str
    host: str
    pid: int | None
    pid_created: float | None
    birth: str | None
    stop_asked: float | None
    stop_seen: float | None
    stop_forced: bool


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job in the line."""

    id: str
    workspace: str
    recipe: str | None
    """Its JSON, as it is stored; None for jobs that do not train."""
    resume: bool
    """Whether it goes on from its last checkpoint."""
    makes_features: bool = True
    """See `Run.makes_features`."""


class Queue:
    """Claim, begin, beat, stop, resume, finish."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, *, supervisor: str, host: str, slots: int, only: Collection[str] = ()) -> Claim | None:
        """Take the next job whose lane has a free slot, counting every supervisor's jobs; None when there is none.

        only: ids of jobs to choose from; all when empty.
        """
        row = self._db.row((NEXT_OF if only else NEXT) + _CLAIM, {
            "now": time.time(), "supervisor": supervisor, "host": host, "slots": slots, "only": json.dumps([*only])})
        return _to_claim(row) if row else None

    def begin(self, job: str, *, fence: int, pid: int, pid_created: float, birth: str | None = None) -> Claim | None:
        """A worker takes up its claim; None when the claim is no longer valid or another worker has it."""
        row = self._db.row(
            "UPDATE jobs SET pid = :pid, pid_created = :born, birth = :birth, heartbeat = :now"
            " WHERE id = :job AND fence = :fence AND status IN ('running', 'stopping')"
            " AND (pid IS NULL OR pid = :pid) RETURNING *",
            {"pid": pid, "born": pid_created, "birth": birth, "now": time.time(), "job": job, "fence": fence})
        return _to_claim(row) if row else None

    def beat(self, job: str, *, fence: int) -> Claim | None:
        """A sign of life; None tells the worker that the job is no longer its own."""
        row = self._db.row("UPDATE jobs SET heartbeat = ?"
                           " WHERE id = ? AND fence = ? AND status IN ('running', 'stopping') RETURNING *",
                           (time.time(), job, fence))
        return _to_claim(row) if row else None

    def active(self) -> list[Claim]:
        """Jobs that somebody claims to work on."""
        return [_to_claim(row) for row in self._db.rows("SELECT * FROM jobs WHERE status IN ('running', 'stopping')")]

    def waiting(self) -> int:
        """Number of queued jobs."""
        return int(self._db.rows("SELECT count(*) FROM jobs WHERE status = 'queued'")[0][0])

    def finish(self, job: str, *, fence: int, status: Status, failure: Failure | None = None) -> bool:
        """Record the end of a claim; False when it had ended already or was taken over."""
        text = json.dumps(codec.to_json(failure)) if failure else None
        return bool(self._db.execute(
            "UPDATE jobs SET status = ?, failure = ?, finished = ?, pid = NULL, pid_created = NULL, birth = NULL"
            " WHERE id = ? AND fence = ? AND status IN ('running', 'stopping')",
            (status.value, text, time.time(), job, fence)))

    def put_back(self, job: str, *, fence: int) -> bool:
        """Queue a claimed job again that no worker ever began."""
        return bool(self._db.execute(
            "UPDATE jobs SET status = CASE WHEN stop_asked IS NULL THEN 'queued' ELSE 'stopped' END,"
            " finished = CASE WHEN stop_asked IS NULL THEN NULL ELSE ? END,"
            " attempts = attempts - 1, started = NULL, heartbeat = NULL, supervisor = NULL"
            " WHERE id = ? AND fence = ? AND pid IS NULL AND status IN ('running', 'stopping')",
            (time.time(), job, fence)))

    def ask_stop(self, workspace: str, job: str) -> Status:
        """Ask a job to stop: a queued one ends at once, a running one keeps its best; asked again, it ends at once."""
        row = self._db.row(
            "UPDATE jobs SET stop_forced = (status = 'stopping'), stop_asked = coalesce(stop_asked, :now),"
            " finished = CASE WHEN status = 'queued' THEN :now ELSE finished END,"
            " status = CASE WHEN status = 'queued' THEN 'stopped' ELSE 'stopping' END"
            " WHERE id = :job AND workspace = :ws AND status IN ('queued', 'running', 'stopping') RETURNING status",
            {"now": time.time(), "job": job, "ws": workspace})
        return to_status(row["status"]) if row else self._status(workspace, job)

    def ask_stop_all(self, workspace: str, experiment: str, *, waiting_only: bool = False) -> int:
        """Ask every job of an experiment to stop, in one step, so that none starts in between: queued ones end at once,
        running ones keep their best; those that are stopping go on with that. Returns how many were asked.

        waiting_only: the queued ones alone; what runs goes on to its end.
        """
        asked = "('queued')" if waiting_only else "('queued', 'running')"
        return self._db.execute(
            "UPDATE jobs SET stop_asked = coalesce(stop_asked, :now),"
            " finished = CASE WHEN status = 'queued' THEN :now ELSE finished END,"
            " status = CASE WHEN status = 'queued' THEN 'stopped' ELSE 'stopping' END"
            f" WHERE experiment = :experiment AND workspace = :ws AND status IN {asked}",
            {"now": time.time(), "experiment": experiment, "ws": workspace})

    def line(self, *, most: int) -> list[Waiting]:
        """The first jobs of the training lane that wait, of all workspaces, in the order in which they will start: for
        telling how long a wait is, never for pages."""
        rows = self._db.rows(f"{LINE} LIMIT :most", {"most": most})
        return [Waiting(id=row["id"], workspace=row["workspace"], recipe=row["recipe"], resume=bool(row["resume"]),
                        makes_features=bool(json.loads(row["payload"] or "{}").get("features", True)))
                for row in rows]

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever a job comes, starts or ends; a few numbers, however long the queue is."""
        return tuple(self._db.rows("SELECT total(waiting), total(busy), max(served), total(first) FROM turns")[0])

    def stop_seen(self, job: str, *, fence: int) -> None:
        """The worker has noticed the wish to stop and is winding up."""
        self._db.execute("UPDATE jobs SET stop_seen = ? WHERE id = ? AND fence = ?", (time.time(), job, fence))

    def resume(self, workspace: str, job: str, *, most: int | None = None) -> bool:
        """Queue an ended job again, recipe unchanged, to go on from its last checkpoint; False when its state does not
        allow it.

        most: jobs that the workspace may have waiting; ThawError when it would have more.
        """
        states = [status.value for status in Status if status.resumable]
        with self._db.write() as connection:
            check_room(connection, workspace, more=1, most=most)
            changed = connection.execute(
                "UPDATE jobs SET status = 'queued', ticket = (SELECT max(ticket) + 1 FROM jobs),"
                " resume = (attempts > 0), failure = NULL, finished = NULL, heartbeat = NULL,"
                " stop_asked = NULL, stop_seen = NULL, stop_forced = 0"
                f" WHERE id = ? AND workspace = ? AND status IN ({','.join('?' * len(states))})"
                " AND json_extract(payload, '$.imported') IS NULL",
                (job, workspace, *states)).rowcount
        if not changed:
            self._status(workspace, job)
        return bool(changed)

    def put_first(self, workspace: str, job: str) -> bool:
        """Let a waiting job start before the others of its workspace and lane that wait, whose order stays; False when
        it does not wait. Jobs of other workspaces keep their turns: the workspace's tickets go round among its own."""
        with self._db.write() as connection:
            waiting = connection.execute(
                "SELECT id, ticket FROM jobs WHERE workspace = :ws AND status = 'queued'"
                " AND lane = (SELECT lane FROM jobs WHERE id = :job AND workspace = :ws) ORDER BY ticket",
                {"ws": workspace, "job": job}).fetchall()
            ids = [row["id"] for row in waiting]
            order = sorted(ids, key=lambda id: id != job) if job in ids else []
            connection.executemany("UPDATE jobs SET ticket = ? WHERE id = ?",
                                   [(row["ticket"], id) for row, id in zip(waiting, order, strict=False)])
        if not order:
            self._status(workspace, job)
        return bool(order)

    def mates_wait(self, job: str) -> bool:
        """Whether another job of its experiment waits."""
        return self._db.row("SELECT 1 FROM jobs me JOIN jobs mate USING (workspace, experiment)"
                            " WHERE me.id = ? AND mate.status = 'queued' LIMIT 1", (job,)) is not None

    def wait_again(self, job: str, *, fence: int, last: bool = False) -> bool:
        """Put a job that was under way back at its place in the queue, or behind all that wait, to go on from its last
        checkpoint."""
        ticket = "(SELECT max(ticket) + 1 FROM jobs)" if last else "ticket"
        return bool(self._db.execute(
            "UPDATE jobs SET status = CASE WHEN stop_asked IS NULL THEN 'queued' ELSE 'stopped' END,"
            " finished = CASE WHEN stop_asked IS NULL THEN NULL ELSE ? END,"
            f" ticket = {ticket}, resume = 1, pid = NULL, pid_created = NULL, birth = NULL, heartbeat = NULL"
            " WHERE id = ? AND fence = ? AND status IN ('running', 'stopping')",
            (time.time(), job, fence)))

    def _status(self, workspace: str, job: str) -> Status:
        row = self._db.row("SELECT status FROM jobs WHERE id = ? AND workspace = ?", (job, workspace))
        if row is None:
            raise missing(job)
        return to_status(row["status"])


def _to_claim(row: Any) -> Claim:
    return Claim(run=to_run(row), fence=row["fence"], resume=bool(row["resume"]), supervisor=row["supervisor"] or "",
                 host=row["host"] or "", pid=row["pid"], pid_created=row["pid_created"], birth=row["birth"],
                 stop_asked=row["stop_asked"], stop_seen=row["stop_seen"], stop_forced=bool(row["stop_forced"]))
