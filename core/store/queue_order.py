"""The order of the waiting jobs, the same for the page that shows a place and for the claim that takes the first.

Workspaces take turns: in a workshop nobody waits until all the runs of whoever pressed first are done. Within a
workspace the order is that of submission. Fetching, inspecting and importing are a lane of their own, so that they need
not wait for a long training run.

A job's round is its place among its workspace's waiting jobs, later by as many as the workspace has under way; within a
round, whoever was served longest ago comes first, then whose waiting began first. The table `turns` holds what that
needs, a row a workspace and lane, so that a place is told, and a job claimed, without looking at the jobs that wait.
"""

from __future__ import annotations

PREPARE_SLOTS = 1
"""Jobs of the preparing lane at the same time."""

_PLACE = """
    place AS MATERIALIZED (
        SELECT own.waiting, own.round + coalesce((
            SELECT sum(min(o.waiting, max(0, own.round + mine.busy - 1 - o.busy))
                       + (o.busy < own.round + mine.busy AND own.round + mine.busy <= o.busy + o.waiting
                          AND (coalesce(o.served, 0), o.first) < (coalesce(mine.served, 0), mine.first)))
            FROM turns o WHERE o.lane = own.lane AND o.waiting > 0 AND o.workspace <> own.workspace), 0) AS position
        FROM own JOIN turns mine USING (lane, workspace))"""
"""Own round, and of every other workspace the jobs whose round comes before, or is the same and earlier in it."""

PLACES = f"""
    WITH own AS MATERIALIZED (
        SELECT id AS waiting, workspace, lane, row_number() OVER (PARTITION BY lane ORDER BY ticket) AS round
        FROM jobs WHERE workspace = :workspace AND status = 'queued'),{_PLACE}"""
"""Common table expressions; `place` holds a row a waiting job of a workspace: waiting (its id), position (1 = next)."""

PLACE = f"""
    WITH own AS (
        SELECT id AS waiting, workspace, lane, (SELECT count(*) FROM jobs before WHERE before.workspace = job.workspace
            AND before.lane = job.lane AND before.status = 'queued' AND before.ticket <= job.ticket) AS round
        FROM jobs job WHERE id = :job AND status = 'queued'),{_PLACE}"""
"""The same for one job."""

LINE = """
    WITH own AS (
        SELECT id, workspace, lane, row_number() OVER (PARTITION BY workspace ORDER BY ticket) AS round
        FROM jobs WHERE status = 'queued' AND lane = 0)
    SELECT jobs.id, jobs.workspace, jobs.recipe, jobs.resume, jobs.payload FROM own
    JOIN turns ON turns.lane = own.lane AND turns.workspace = own.workspace JOIN jobs ON jobs.id = own.id
    ORDER BY own.round + turns.busy, coalesce(turns.served, 0), turns.first"""
"""Id, workspace, recipe, whether it goes on, and payload of every waiting job of the training lane, in the order of
the places told above."""

_BUSY = """
    WITH busy AS (SELECT lane, count(*) AS jobs FROM jobs WHERE status IN ('running', 'stopping') GROUP BY lane)"""
_FREE = f"coalesce(busy.jobs, 0) < CASE WHEN lane THEN {PREPARE_SLOTS} ELSE :slots END"

NEXT = f"""{_BUSY},
    turn AS (
        SELECT lane, workspace, first,
            row_number() OVER (PARTITION BY lane ORDER BY turns.busy, coalesce(served, 0), first) AS position
        FROM turns WHERE waiting > 0),
    next AS (
        SELECT workspace, lane, first FROM turn LEFT JOIN busy USING (lane)
        WHERE position = 1 AND {_FREE} ORDER BY first LIMIT 1)"""
"""Common table expressions; `next` holds workspace, lane and ticket of the job to claim, if a lane has a free slot."""

NEXT_OF = f"""{_BUSY},
    next AS (
        SELECT workspace, lane, ticket AS first FROM jobs LEFT JOIN busy USING (lane)
        WHERE status = 'queued' AND id IN (SELECT value FROM json_each(:only)) AND {_FREE} ORDER BY ticket LIMIT 1)"""
"""The same among the jobs whose ids are in the JSON list `only`."""
