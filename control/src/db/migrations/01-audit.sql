-- The audit log: append-only (triggers refuse the rest), hash-chained, signed. See audit/ and docs/ref/audit.md.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY CHECK (seq > 0), -- 1, 2, 3 … without a gap
    at     INTEGER NOT NULL,           -- milliseconds since the Unix epoch
    kind   TEXT NOT NULL,              -- 'showing.started', …
    actor  TEXT NOT NULL,              -- account id, or 'system'
    zone   TEXT, camera TEXT, screen TEXT, incident TEXT, agreement TEXT,
    body   TEXT NOT NULL,              -- the whole record as JSON, as it was hashed
    salt   BLOB NOT NULL,              -- 16 random bytes: nobody finds the body of a digest by trying
    digest BLOB NOT NULL,              -- SHA-256 over salt and body
    hash   BLOB NOT NULL               -- SHA-256 over the hash before and the digest
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_kind ON audit (kind, seq);
CREATE INDEX audit_camera ON audit (camera, seq) WHERE camera IS NOT NULL;
CREATE INDEX audit_zone ON audit (zone, seq) WHERE zone IS NOT NULL;
CREATE INDEX audit_incident ON audit (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- Also keeps INSERT OR REPLACE away, which deletes without the trigger above.
CREATE TRIGGER audit_in_order BEFORE INSERT ON audit WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Keys that have signed this log, in turn.
CREATE TABLE audit_key (
    id     TEXT PRIMARY KEY,           -- SHA-256 of the public key (DER), hexadecimal
    public TEXT NOT NULL               -- the public key (DER), base64
) STRICT;

-- The newest record, signed anew in each transaction that appends: one row.
CREATE TABLE audit_head (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    seq    INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL,
    why    TEXT NOT NULL,              -- 'commit', or as below
    key_id TEXT NOT NULL, signature TEXT NOT NULL
) STRICT;

-- Heads that are kept: at the start and the stop, every so many records, every hour with records.
CREATE TABLE audit_checkpoint (
    number INTEGER PRIMARY KEY,
    seq    INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL,
    why    TEXT NOT NULL,              -- 'start', 'stop', 'count', 'hour'
    key_id TEXT NOT NULL, signature TEXT NOT NULL
) STRICT;
CREATE INDEX audit_checkpoint_seq ON audit_checkpoint (seq);
CREATE TRIGGER audit_checkpoint_no_update BEFORE UPDATE ON audit_checkpoint
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoint_no_delete BEFORE DELETE ON audit_checkpoint
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
