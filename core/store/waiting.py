"""The order of the waiting jobs, the same for the page that shows a place and for the claim that takes the first.

Workspaces take turns: in a workshop nobody waits until all the runs of whoever pressed first are done. Within a workspace the order is
that of submission. Fetching, inspecting and importing are a lane of their own, so that they need not wait for a long training run.
"""

from __future__ import annotations

PREPARES = "kind IN ('prepare', 'import')"
"""SQL: 1 for the lane of preparing, 0 for that of training and extracting."""

LINE = f"""
    WITH queued AS (
        SELECT id, workspace, ticket, {PREPARES} AS lane,
            row_number() OVER (PARTITION BY workspace, {PREPARES} ORDER BY ticket) AS round,
            min(ticket) OVER (PARTITION BY workspace, {PREPARES}) AS first
        FROM jobs WHERE status = 'queued'),
    turns AS (
        SELECT workspace, {PREPARES} AS lane, max(started) AS served, sum(status IN ('running', 'stopping')) AS busy
        FROM jobs WHERE workspace IN (SELECT workspace FROM queued) GROUP BY 1, 2),
    line AS (
        SELECT id AS waiting, lane, ticket AS number,
            row_number() OVER (PARTITION BY lane ORDER BY round + busy, coalesce(served, 0), first) AS position
        FROM queued JOIN turns USING (workspace, lane))"""
"""Common table expressions; `line` holds a row a waiting job: waiting (its id), lane, number (its ticket), position (1 = next).

A job's round is its place among its workspace's waiting jobs, later by as many as the workspace has under way; within a round, whoever was
served longest ago comes first, then whose waiting began first.
"""
