-- Accounts, sessions, API tokens. See people/.
CREATE TABLE account (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: the audit log names u-<seq>
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL UNIQUE,       -- the name in lower case: two names differ by more than case
    role       TEXT NOT NULL,
    unit       TEXT NOT NULL,              -- for whom this person works, as agreements name it
    language   TEXT NOT NULL,
    enabled    INTEGER NOT NULL,
    password   TEXT,                       -- PHC string (argon2id); none: signs on elsewhere only
    issuer     TEXT, subject TEXT,         -- who this is at the identity provider
    created_at INTEGER NOT NULL,
    last_login INTEGER,
    CHECK ((issuer IS NULL) = (subject IS NULL))
) STRICT;
CREATE UNIQUE INDEX account_subject ON account (issuer, subject) WHERE subject IS NOT NULL;

-- The zones to which an account's role is limited; none: to none in particular.
CREATE TABLE account_zone (
    account INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    zone    TEXT NOT NULL,
    PRIMARY KEY (account, zone)
) STRICT, WITHOUT ROWID;

-- Logins of browsers. The secret itself is in the browser's cookie only.
CREATE TABLE session (
    hash       BLOB PRIMARY KEY,           -- SHA-256 of the secret
    id         TEXT NOT NULL UNIQUE,       -- its public part
    account    INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    address    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (account);

-- API tokens. The secret itself was shown once.
CREATE TABLE token (
    hash        BLOB PRIMARY KEY,          -- SHA-256 of the secret
    seq         INTEGER NOT NULL UNIQUE,
    id          TEXT NOT NULL UNIQUE,      -- its public part, with which the secret begins
    account     INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    permissions TEXT,                      -- JSON array, narrower than the role; none: all of the role
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_account ON token (account, seq);

-- The one-time token of the first start; empty once it was used.
CREATE TABLE setup (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    hash BLOB NOT NULL                     -- SHA-256 of the secret
) STRICT;

-- Written to see whether the database can be written.
CREATE TABLE ready (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
