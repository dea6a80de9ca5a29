-- Layouts, tours, alarms. See wall/.
CREATE TABLE wall_layout (
    wall    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,              -- the layout as JSON
    PRIMARY KEY (wall, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE saved_layout (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    owner   TEXT NOT NULL,              -- account
    at      INTEGER NOT NULL,
    body    TEXT NOT NULL               -- its regions as JSON
) STRICT;
CREATE TABLE tour (
    id      TEXT PRIMARY KEY,
    owner   TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE TABLE alarm (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    open    INTEGER NOT NULL,           -- 1 until it is acknowledged
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX alarm_open ON alarm (open, id);
CREATE TABLE alarm_rule (
    id      TEXT PRIMARY KEY,
    body    TEXT NOT NULL
) STRICT;
