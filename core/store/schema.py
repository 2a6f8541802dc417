"""The database schema as numbered migrations: append to the tuple, never edit an entry that was released."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    # 1: the queue, its event streams, who works on it
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        workspace TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        ticket INTEGER NOT NULL,          -- place in the order of claims; a resumed job draws a new one
        folder TEXT NOT NULL,
        experiment TEXT,
        recipe TEXT,                      -- JSON
        payload TEXT NOT NULL,            -- JSON
        failure TEXT,                     -- JSON
        parent TEXT,
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        heartbeat REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        resume INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0, -- grows with each claim: a worker of an older claim can change nothing
        supervisor TEXT,
        host TEXT,
        pid INTEGER,
        pid_created REAL,
        stop_asked REAL,
        stop_seen REAL,
        stop_forced INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX jobs_by_workspace ON jobs (workspace, created);
    CREATE INDEX jobs_by_status ON jobs (status, ticket);
    CREATE TABLE events (
        run TEXT NOT NULL,
        seq INTEGER NOT NULL,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,               -- JSON
        PRIMARY KEY (run, seq)
    ) WITHOUT ROWID;
    CREATE TABLE experiments (
        id TEXT PRIMARY KEY,
        workspace TEXT NOT NULL,
        name TEXT NOT NULL,
        created REAL NOT NULL
    );
    CREATE TABLE supervisors (
        id TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        pid INTEGER,                      -- NULL while it is being started
        pid_created REAL,
        started REAL NOT NULL,
        heartbeat REAL NOT NULL
    );
    CREATE TABLE marks (name TEXT PRIMARY KEY, time REAL NOT NULL);
    """,
)
