"""The database's tables, and opening it."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from pathlib import Path

SCHEMA_VERSION = 5

_LOUDNESS = """
-- How loud the audio is, for the opened row alone: a digit for each of up to 160 parts.
CREATE TABLE loudness (
  job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  strip TEXT NOT NULL
);
"""

_PICKS = """
-- For picking the longest waiting file, and the first that a person has given a place.
CREATE INDEX jobs_length ON jobs (audio_s DESC, position)
  WHERE state = 'queued' AND audio_s IS NOT NULL;
CREATE INDEX jobs_placed ON jobs (position) WHERE state = 'queued' AND placed;
"""

MIGRATIONS: dict[int, str] = {
    1: "ALTER TABLE jobs ADD COLUMN work_s REAL;",
    2: _LOUDNESS,
    3: f"ALTER TABLE jobs ADD COLUMN placed INTEGER NOT NULL DEFAULT 0; {_PICKS}",
    4: "ALTER TABLE outputs ADD COLUMN written TEXT NOT NULL DEFAULT ''; "
    "UPDATE outputs SET written = sha256 WHERE state = 'done';",
}
"""What makes a layout the next one."""

TABLES = """
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- What was asked, once; 100,000 rows share it.
CREATE TABLE options (
  id INTEGER PRIMARY KEY,
  json TEXT NOT NULL UNIQUE
);

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL,              -- as the operating system knows it
  root BLOB NOT NULL,              -- folder that was queued, or empty
  options INTEGER NOT NULL REFERENCES options (id),
  identity BLOB NOT NULL UNIQUE,   -- digest of path and of what was asked
  request TEXT NOT NULL,           -- what of the options decides which engine can do it
  state TEXT NOT NULL,
  position INTEGER NOT NULL,
  series INTEGER NOT NULL DEFAULT 1,
  attempts INTEGER NOT NULL DEFAULT 0,   -- in this series
  charged INTEGER NOT NULL DEFAULT 0,    -- of those, counted against max_attempts
  deaths INTEGER NOT NULL DEFAULT 0,     -- of those, engines that died with it alone
  suspect INTEGER NOT NULL DEFAULT 0,    -- was in flight when an engine died: runs alone
  progress REAL NOT NULL DEFAULT 0,
  audio_s REAL,
  elapsed_s REAL,                  -- from the start of the last try to its end
  model TEXT,
  device TEXT,
  lane INTEGER,
  language TEXT,
  error TEXT,
  warnings TEXT NOT NULL DEFAULT '[]',
  message TEXT NOT NULL DEFAULT '',
  made_of TEXT NOT NULL DEFAULT '',      -- identity of content, model and decode options
  added REAL NOT NULL,
  finished REAL,
  work_s REAL,                     -- the engine's time on it, shared batches by their chunks
  placed INTEGER NOT NULL DEFAULT 0      -- a person has moved it: its place is kept to
);
CREATE INDEX jobs_position ON jobs (position);
CREATE INDEX jobs_queue ON jobs (state, position);
CREATE INDEX jobs_request ON jobs (state, request);

-- Numbers and audio seconds by state, kept by triggers: counting 100,000 rows twice a second
-- would cost more than the work.
CREATE TABLE tallies (
  state TEXT PRIMARY KEY,
  jobs INTEGER NOT NULL DEFAULT 0,
  audio_s REAL NOT NULL DEFAULT 0,
  known INTEGER NOT NULL DEFAULT 0       -- rows whose length is known
) WITHOUT ROWID;
INSERT INTO tallies (state) VALUES ('queued'), ('held'), ('running'), ('done'), ('skipped'),
  ('failed'), ('quarantined'), ('cancelled');
CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
  UPDATE tallies SET jobs = jobs + 1, audio_s = audio_s + COALESCE(new.audio_s, 0),
    known = known + (new.audio_s IS NOT NULL) WHERE state = new.state;
END;
CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
  UPDATE tallies SET jobs = jobs - 1, audio_s = audio_s - COALESCE(old.audio_s, 0),
    known = known - (old.audio_s IS NOT NULL) WHERE state = old.state;
END;
CREATE TRIGGER jobs_updated AFTER UPDATE OF state, audio_s ON jobs BEGIN
  UPDATE tallies SET jobs = jobs - 1, audio_s = audio_s - COALESCE(old.audio_s, 0),
    known = known - (old.audio_s IS NOT NULL) WHERE state = old.state;
  UPDATE tallies SET jobs = jobs + 1, audio_s = audio_s + COALESCE(new.audio_s, 0),
    known = known + (new.audio_s IS NOT NULL) WHERE state = new.state;
END;

CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  series INTEGER NOT NULL,
  number INTEGER NOT NULL,
  epoch INTEGER NOT NULL,                -- which life of the runner began it
  started REAL NOT NULL,
  ended REAL,
  device TEXT,
  model TEXT,
  outcome TEXT NOT NULL DEFAULT 'running',
  message TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  charged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attempts_job ON attempts (job);
CREATE INDEX attempts_open ON attempts (job) WHERE outcome = 'running';

-- Finished chunks: what resume and the live transcript are made of.
CREATE TABLE chunks (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  start REAL NOT NULL,                   -- seconds
  number INTEGER NOT NULL,
  end REAL NOT NULL,
  segments BLOB NOT NULL,                -- JSON
  PRIMARY KEY (job, start)
) WITHOUT ROWID;

-- Outputs, ours alone: a path belongs to one job.
CREATE TABLE outputs (
  path BLOB PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  part BLOB,                             -- set while staged
  sha256 TEXT NOT NULL DEFAULT '',       -- of the part
  state TEXT NOT NULL,                   -- claimed, staged or done
  made_of TEXT NOT NULL DEFAULT '',      -- of what is there now
  written TEXT NOT NULL DEFAULT ''       -- SHA-256 of what we put there last
) WITHOUT ROWID;
CREATE INDEX outputs_job ON outputs (job);
"""


class DatabaseError(Exception):
    """The queue's database cannot be used; the message says why and what to do."""

    hint = "choose another --home DIR, or move that file away"
    """What else a person may do."""


class DamagedError(DatabaseError):
    """The file is no sound database."""


class DiskError(DatabaseError):
    """Its disk is full, or fails; the file itself is not known to be damaged."""

    hint = "make room there, or see to that disk, and try again; the queue is not lost"


NO_ROOM = re.compile(r"full|disk I/O error")
"""SQLITE_FULL; and SQLITE_IOERR, which a full disk gives in the write-ahead log."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the queue for writing, creating it if it is not there.

    Raises:
        DatabaseError: it is readable by others, newer than this program, or damaged.
        DiskError: its disk is full.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from None
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if stat.S_IMODE(mode) & 0o077:
        raise DatabaseError(
            f"{path} may be read by others (mode {stat.S_IMODE(mode):o}); "
            f"if that was not you, look into it; else: chmod 600 {path}"
        )
    # For the thread of the loop alone. Another that waits for SQLite's mutex holds the
    # interpreter's lock, and a query that calls a function of Python's has that mutex and
    # waits for the lock: both would wait for ever.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedError(f"{path} is damaged: {found}")
        if version == 0:
            connection.executescript(
                f"BEGIN; {TABLES} {_LOUDNESS} {_PICKS} "
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        for older in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
            connection.executescript(
                f"BEGIN; {MIGRATIONS[older]} PRAGMA user_version = {older + 1}; COMMIT;"
            )
        if version > SCHEMA_VERSION:
            raise DatabaseError(
                f"{path} was written by a newer version of speakeasy (its layout {version}, "
                f"ours {SCHEMA_VERSION}); use that version, or another --home"
            )
    except sqlite3.OperationalError as error:
        connection.close()
        if NO_ROOM.search(str(error)):
            raise DiskError(f"{path}: {error}; is the disk full?") from None
        raise DatabaseError(f"{path}: {error}; is another program at it?") from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DamagedError(f"{path} is damaged or no database ({error})") from None
    except DatabaseError:
        connection.close()
        raise
    return connection
