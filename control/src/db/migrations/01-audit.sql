-- The audit log: append-only (triggers refuse the rest), hash-chained. See audit/.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,        -- 1, 2, 3 … without a gap
    at     INTEGER NOT NULL,           -- milliseconds since the Unix epoch
    kind   TEXT NOT NULL,              -- 'showing.started', …
    actor  TEXT NOT NULL,              -- account id, or 'system'
    zone   TEXT, camera TEXT, screen TEXT, incident TEXT, agreement TEXT,
    body   TEXT NOT NULL,              -- the whole record as canonical JSON, as it was hashed
    hash   BLOB NOT NULL               -- SHA-256 over the hash before and the body
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_kind ON audit (kind, seq);
CREATE INDEX audit_camera ON audit (camera, seq) WHERE camera IS NOT NULL;
CREATE INDEX audit_zone ON audit (zone, seq) WHERE zone IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
