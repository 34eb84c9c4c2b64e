-- What `init` decided: where servers reach this control plane, and how they know it.
CREATE TABLE installation (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    url         TEXT NOT NULL,
    -- SHA-256 of the certificate (DER) that tokens pin; NULL where a public authority vouches for it.
    fingerprint BLOB CHECK (length(fingerprint) = 32)
) STRICT;

-- AUTOINCREMENT throughout: a running `serve` remembers ids, so none is used twice.
CREATE TABLE organisations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    mesh         BLOB NOT NULL UNIQUE CHECK (length(mesh) = 16),
    name         TEXT NOT NULL UNIQUE,
    domain       TEXT NOT NULL,
    revision     INTEGER NOT NULL CHECK (revision > 0),
    -- Lowest address index that was never given to a server.
    next_address INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    secret_hash  BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- NULL: as often as wanted until it expires.
    uses_left    INTEGER CHECK (uses_left >= 0),
    revoked_at   INTEGER
) STRICT;
CREATE INDEX tokens_of_organisation ON tokens (organisation);

CREATE TABLE servers (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation     INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,
    public_key       BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    -- Index in 100.64.0.0/10; the first and the last are nobody's.
    address          INTEGER NOT NULL CHECK (address BETWEEN 1 AND 4194302),
    endpoint_ip      TEXT,
    endpoint_port    INTEGER CHECK (endpoint_port BETWEEN 1 AND 65535),
    endpoint_origin  TEXT CHECK (endpoint_origin IN ('told', 'observed')),
    credential_hash  BLOB NOT NULL UNIQUE CHECK (length(credential_hash) = 32),
    changed_revision INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    UNIQUE (organisation, name),
    UNIQUE (organisation, address),
    CHECK ((endpoint_ip IS NULL) = (endpoint_port IS NULL) AND (endpoint_ip IS NULL) = (endpoint_origin IS NULL))
) STRICT;

-- Addresses of deleted servers, in the order in which they became free.
CREATE TABLE freed_addresses (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    address      INTEGER NOT NULL,
    UNIQUE (organisation, address)
) STRICT;
CREATE INDEX freed_addresses_in_order ON freed_addresses (organisation, id);

-- Deleted servers, for a running `serve` to forget their credentials. Outlives the organisation.
CREATE TABLE departures (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    credential_hash BLOB NOT NULL CHECK (length(credential_hash) = 32),
    departed_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE resources (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation       INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name               TEXT NOT NULL,
    protocol           TEXT NOT NULL CHECK (protocol IN ('http', 'tcp', 'udp')),
    port               INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    mesh_failover      INTEGER NOT NULL CHECK (mesh_failover IN (0, 1)),
    hosts              TEXT NOT NULL,
    labels             TEXT NOT NULL,
    health_path        TEXT,
    health_interval_ms INTEGER,
    health_timeout_ms  INTEGER,
    changed_revision   INTEGER NOT NULL,
    UNIQUE (organisation, name),
    CHECK ((health_interval_ms IS NULL) = (health_timeout_ms IS NULL)),
    CHECK (health_path IS NULL OR health_interval_ms IS NOT NULL)
) STRICT;

CREATE TABLE instances (
    resource INTEGER NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    server   INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    port     INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    weight   INTEGER NOT NULL CHECK (weight BETWEEN 0 AND 1000),
    PRIMARY KEY (resource, server, port)
) STRICT, WITHOUT ROWID;
CREATE INDEX instances_of_server ON instances (server);
