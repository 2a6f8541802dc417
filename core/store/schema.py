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
    # 2: who works on a job survives a change of the clock; the turns of the queue are counted when they change, not when they are asked for
    """
    ALTER TABLE jobs ADD COLUMN birth TEXT;           -- of the worker's process, see core.jobs.process
    ALTER TABLE jobs ADD COLUMN lane INTEGER GENERATED ALWAYS AS (kind IN ('prepare', 'import')) VIRTUAL;
    CREATE TABLE signs (                              -- beside `supervisors`, which a supervisor of the version before may be writing to
        supervisor TEXT PRIMARY KEY,
        birth TEXT,
        uptime REAL NOT NULL,             -- seconds since its machine started, at the last sign of life: no clock to be set
        trouble TEXT                      -- why it cannot work at present
    );
    CREATE INDEX jobs_by_ticket ON jobs (ticket);
    CREATE INDEX jobs_by_experiment ON jobs (experiment);
    CREATE INDEX jobs_by_line ON jobs (workspace, lane, status, ticket);
    CREATE INDEX jobs_by_start ON jobs (workspace, lane, started);
    CREATE TABLE turns (                              -- a row a workspace and lane; kept by the triggers below
        lane INTEGER NOT NULL,
        workspace TEXT NOT NULL,
        waiting INTEGER NOT NULL,         -- queued jobs
        busy INTEGER NOT NULL,            -- jobs under way
        served REAL,                      -- when its newest start was
        first INTEGER,                    -- ticket of the job that comes next
        PRIMARY KEY (lane, workspace)
    ) WITHOUT ROWID;
    CREATE INDEX turns_waiting ON turns (lane, waiting) WHERE waiting > 0;
    INSERT INTO turns SELECT lane, workspace, sum(status = 'queued'), sum(status IN ('running', 'stopping')), max(started),
        min(CASE WHEN status = 'queued' THEN ticket END) FROM jobs GROUP BY lane, workspace;
    CREATE TRIGGER turns_insert AFTER INSERT ON jobs BEGIN
        INSERT INTO turns VALUES (NEW.lane, NEW.workspace, NEW.status = 'queued', NEW.status IN ('running', 'stopping'), NEW.started, NULL)
            ON CONFLICT (lane, workspace) DO UPDATE SET waiting = waiting + excluded.waiting, busy = busy + excluded.busy;
        UPDATE turns SET
            served = (SELECT max(started) FROM jobs WHERE workspace = NEW.workspace AND lane = NEW.lane),
            first = (SELECT min(ticket) FROM jobs WHERE workspace = NEW.workspace AND lane = NEW.lane AND status = 'queued')
            WHERE lane = NEW.lane AND workspace = NEW.workspace;
    END;
    CREATE TRIGGER turns_update AFTER UPDATE OF status, ticket, started ON jobs BEGIN
        UPDATE turns SET
            waiting = waiting + (NEW.status = 'queued') - (OLD.status = 'queued'),
            busy = busy + (NEW.status IN ('running', 'stopping')) - (OLD.status IN ('running', 'stopping')),
            served = (SELECT max(started) FROM jobs WHERE workspace = NEW.workspace AND lane = NEW.lane),
            first = (SELECT min(ticket) FROM jobs WHERE workspace = NEW.workspace AND lane = NEW.lane AND status = 'queued')
            WHERE lane = NEW.lane AND workspace = NEW.workspace;
    END;
    CREATE TRIGGER turns_delete AFTER DELETE ON jobs BEGIN
        UPDATE turns SET
            waiting = waiting - (OLD.status = 'queued'), busy = busy - (OLD.status IN ('running', 'stopping')),
            served = (SELECT max(started) FROM jobs WHERE workspace = OLD.workspace AND lane = OLD.lane),
            first = (SELECT min(ticket) FROM jobs WHERE workspace = OLD.workspace AND lane = OLD.lane AND status = 'queued')
            WHERE lane = OLD.lane AND workspace = OLD.workspace;
    END;
    """,
    # 3: whether a person named the job; NULL in rows from before
    """
    ALTER TABLE jobs ADD COLUMN renamed INTEGER;
    """,
    # 4: the question that an experiment asks, where a design laid it out
    """
    ALTER TABLE experiments ADD COLUMN asked TEXT;    -- JSON
    """,
    # 5: rooms, in which a class takes a lesson together
    """
    CREATE TABLE rooms (
        code TEXT PRIMARY KEY,
        workspace TEXT NOT NULL,          -- of the teacher
        lesson TEXT NOT NULL,
        created REAL NOT NULL,
        ends REAL NOT NULL,
        shown INTEGER NOT NULL DEFAULT 0  -- whether everybody sees all predictions and the pooled result
    );
    CREATE TABLE guests (
        room TEXT NOT NULL,
        workspace TEXT NOT NULL,
        number INTEGER NOT NULL,          -- from 1; the seed of this guest's runs
        name TEXT NOT NULL,
        joined REAL NOT NULL,
        seen REAL NOT NULL,
        PRIMARY KEY (room, workspace)
    );
    CREATE INDEX guests_by_workspace ON guests (workspace);
    """,
)
