-- Zones, sites, cameras and their credentials. See registry/.
CREATE TABLE zones (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    contact TEXT NOT NULL             -- who answers for it: a name, a number, an address; may be empty
) STRICT, WITHOUT ROWID;
CREATE TABLE sites (
    id        TEXT PRIMARY KEY,
    zone      TEXT REFERENCES zones (id),
    name      TEXT NOT NULL,
    latitude  REAL,                   -- WGS 84, degrees; both or none
    longitude REAL,
    CHECK ((latitude IS NULL) = (longitude IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sites_zone ON sites (zone);

CREATE TABLE cameras (
    n               INTEGER PRIMARY KEY,   -- the order of the inventory
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    zone            TEXT REFERENCES zones (id),
    site            TEXT REFERENCES sites (id),
    latitude        REAL,                  -- WGS 84, degrees; both or none
    longitude       REAL,
    scene_width_m   REAL,
    tags            TEXT NOT NULL,         -- ';tunnel;ring;' or '': no tag has a semicolon
    masks           TEXT NOT NULL,         -- [[x, y, width, height], …] as parts of the picture
    priority        INTEGER NOT NULL,
    pinned          INTEGER NOT NULL,
    still           INTEGER NOT NULL,
    transport       TEXT NOT NULL,         -- 'tcp' or 'udp'
    client          TEXT NOT NULL,         -- 'auto' or 'gstreamer'
    any_certificate INTEGER NOT NULL,
    onvif           TEXT,                  -- address of its ONVIF device service, without a login
    version         INTEGER NOT NULL,      -- counts its changes, from 1
    changed_at      INTEGER NOT NULL,      -- milliseconds since the Unix epoch
    search          TEXT NOT NULL,         -- what search looks through, in small letters without accents
    CHECK ((latitude IS NULL) = (longitude IS NULL))
) STRICT;
CREATE INDEX cameras_zone ON cameras (zone, id);
CREATE INDEX cameras_site ON cameras (site, id);

CREATE TABLE camera_profiles (
    camera   INTEGER NOT NULL REFERENCES cameras (n) ON DELETE CASCADE,
    name     TEXT NOT NULL,               -- 'main', 'sub', …
    uri      TEXT NOT NULL,               -- without what is secret in it
    width    INTEGER, height INTEGER,     -- pixels
    rate_num INTEGER, rate_den INTEGER,   -- pictures per second
    codec    TEXT,
    kbps     INTEGER,
    PRIMARY KEY (camera, name)
) STRICT, WITHOUT ROWID;

-- Sealed with XChaCha20-Poly1305; the camera's id and the profile are the associated data.
CREATE TABLE camera_secrets (
    camera  INTEGER NOT NULL REFERENCES cameras (n) ON DELETE CASCADE,
    profile TEXT NOT NULL,                -- '': of every profile, and of the device
    kind    TEXT NOT NULL,                -- 'login', or 'address': a whole address with secrets in its path or query
    nonce   BLOB NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (camera, profile)
) STRICT, WITHOUT ROWID;

-- Under which key they are sealed: a known text, so that a wrong key is told at the start.
CREATE TABLE registry_key (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    id     TEXT NOT NULL,                 -- first bytes of a hash of the key
    nonce  BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
