-- Agreements and incidents. See rights/. An agreement that has ended outlives its zone, as a record does: so no foreign
-- key, but a trigger, that no other zone of the same id comes under it.

-- What pictures may be used for. Words are added, never changed or removed: signed agreements name them.
CREATE TABLE purposes (
    word TEXT PRIMARY KEY,             -- 'public-order'
    en TEXT NOT NULL, fr TEXT NOT NULL, nl TEXT NOT NULL
) STRICT;
INSERT INTO purposes (word, en, fr, nl) VALUES
  ('public-order',     'Public order: demonstrations, crowds, disturbances',
                       'Ordre public : manifestations, foules, troubles',
                       'Openbare orde: betogingen, menigten, ongeregeldheden'),
  ('event',            'Safety of an announced event: match, concert, market, visit of state',
                       'Sécurité d''un événement annoncé : match, concert, marché, visite d''État',
                       'Veiligheid van een aangekondigd evenement: wedstrijd, concert, markt, staatsbezoek'),
  ('assistance',       'Help to persons in danger',
                       'Assistance aux personnes en danger',
                       'Bijstand aan personen in gevaar'),
  ('missing-person',   'Search for a missing person',
                       'Recherche d''une personne disparue',
                       'Zoeken naar een vermiste persoon'),
  ('traffic-incident', 'Accident or obstruction on the road, in a tunnel, on public transport',
                       'Accident ou obstruction sur la route, dans un tunnel, dans les transports publics',
                       'Ongeval of hinder op de weg, in een tunnel, op het openbaar vervoer'),
  ('fire-rescue',      'Fire, rescue and urgent medical help',
                       'Incendie, sauvetage et aide médicale urgente',
                       'Brand, redding en dringende medische hulp'),
  ('emergency',        'Emergency planning: disaster, industrial accident, attack',
                       'Planification d''urgence : catastrophe, accident industriel, attentat',
                       'Noodplanning: ramp, industrieel ongeval, aanslag'),
  ('pursuit',          'Following a suspect or a vehicle from zone to zone, just after the act',
                       'Suivi d''un suspect ou d''un véhicule de zone en zone, juste après les faits',
                       'Volgen van een verdachte of een voertuig van zone tot zone, vlak na de feiten'),
  ('investigation',    'Judicial investigation: finding offences, their authors and evidence',
                       'Enquête judiciaire : recherche d''infractions, de leurs auteurs et de preuves',
                       'Gerechtelijk onderzoek: opsporen van misdrijven, daders en bewijzen'),
  ('exercise',         'Announced exercise or training with the consent of the zone',
                       'Exercice ou formation annoncés, avec l''accord de la zone',
                       'Aangekondigde oefening of opleiding, met instemming van de zone');

-- The last number given in a year, for ids that people say aloud.
CREATE TABLE rights_numbers (
    letter TEXT NOT NULL,              -- 'A' agreements, 'I' incidents
    year   INTEGER NOT NULL,           -- in UTC
    last   INTEGER NOT NULL,
    PRIMARY KEY (letter, year)
) STRICT;

CREATE TABLE agreements (
    id         TEXT PRIMARY KEY,       -- 'A-2026-0001'
    zone       TEXT NOT NULL,
    title      TEXT NOT NULL,
    parties    TEXT NOT NULL,          -- JSON lists of texts
    purposes   TEXT NOT NULL,
    units      TEXT NOT NULL,
    tags       TEXT NOT NULL,          -- empty: all cameras of the zone
    live       INTEGER NOT NULL CHECK (live IN (0, 1)),
    record     INTEGER NOT NULL CHECK (record IN (0, 1)),
    export     INTEGER NOT NULL CHECK (export IN (0, 1)),
    valid_from INTEGER NOT NULL,       -- milliseconds since the Unix epoch, half-open
    valid_to   INTEGER NOT NULL CHECK (valid_to > valid_from),
    state      TEXT NOT NULL CHECK (state IN ('draft', 'signed', 'suspended', 'revoked', 'withdrawn')),
    since      INTEGER NOT NULL,       -- from when it is in this state
    why        TEXT,                   -- reason of the last suspension, revocation or withdrawal
    version    INTEGER NOT NULL,       -- counts the texts of the draft: who signs names the one that was read
    replaces   TEXT REFERENCES agreements (id),
    replaced_by TEXT REFERENCES agreements (id),
    ends_at    INTEGER,                -- where its successor takes over, before valid_to
    drafted_by TEXT NOT NULL, drafted_at INTEGER NOT NULL,
    signed_by  TEXT, signed_at INTEGER,
    CHECK ((signed_by IS NULL) = (state IN ('draft', 'withdrawn')))
) STRICT;
CREATE INDEX agreements_zone ON agreements (zone, id);
-- A signed agreement is what was signed: nothing but its state and its successor may change.
CREATE TRIGGER agreements_signed_text BEFORE UPDATE OF
    id, zone, title, parties, purposes, units, tags, live, record, export, valid_from, valid_to, version, replaces,
    drafted_by, drafted_at, signed_by, signed_at ON agreements
WHEN old.state <> 'draft'
BEGIN SELECT RAISE(ABORT, 'a signed agreement is not edited'); END;
CREATE TRIGGER agreements_final BEFORE UPDATE ON agreements
WHEN old.state IN ('revoked', 'withdrawn')
BEGIN SELECT RAISE(ABORT, 'what was revoked or withdrawn is not edited'); END;
CREATE TRIGGER agreements_no_delete BEFORE DELETE ON agreements
BEGIN SELECT RAISE(ABORT, 'agreements are kept'); END;

CREATE TRIGGER agreements_zone_kept BEFORE DELETE ON zones
WHEN EXISTS (SELECT 1 FROM agreements WHERE zone = old.id AND state IN ('draft', 'signed', 'suspended'))
BEGIN SELECT RAISE(ABORT, 'the zone has agreements: revoke or withdraw them first'); END;

CREATE TABLE agreement_steps (
    agreement TEXT NOT NULL REFERENCES agreements (id),
    number    INTEGER NOT NULL,        -- 1, 2, 3 …
    at        INTEGER NOT NULL,
    account   TEXT NOT NULL, name TEXT NOT NULL,   -- as it was called then
    what      TEXT NOT NULL,           -- 'drafted', 'changed', 'signed', …
    reason    TEXT,
    terms     TEXT,                    -- JSON: the text after 'drafted' and 'changed'
    PRIMARY KEY (agreement, number)
) STRICT;
CREATE TRIGGER agreement_steps_no_update BEFORE UPDATE ON agreement_steps
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER agreement_steps_no_delete BEFORE DELETE ON agreement_steps
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;

CREATE TABLE incidents (
    id          TEXT PRIMARY KEY,      -- 'I-2026-0001'
    title       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    legal_basis TEXT NOT NULL,         -- a word of rights/basis.rs
    legal_text  TEXT,                  -- the basis in words, where the word is 'other'
    reference   TEXT NOT NULL,         -- number of the report, the call, the order
    purpose     TEXT NOT NULL REFERENCES purposes (word),
    opened_by   TEXT NOT NULL, opened_name TEXT NOT NULL, opened_at INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'closing', 'closed')),
    ends_at     INTEGER,               -- while closing: when it ends
    closed_by   TEXT, closed_at INTEGER,
    CHECK ((ends_at IS NULL) = (state = 'open')),
    CHECK ((closed_at IS NULL) = (state <> 'closed'))
) STRICT;
CREATE INDEX incidents_open ON incidents (state) WHERE state <> 'closed';
CREATE TRIGGER incidents_final BEFORE UPDATE ON incidents
WHEN old.state = 'closed'
BEGIN SELECT RAISE(ABORT, 'a closed incident is not edited'); END;
CREATE TRIGGER incidents_no_delete BEFORE DELETE ON incidents
BEGIN SELECT RAISE(ABORT, 'incidents are kept'); END;
