-- Times are milliseconds since 1970 (columns in `_ms`), structured values are JSON as text, numbers are given out by
-- `meta` and never by the engine: so PostgreSQL can hold the same tables, and no number is skipped or used twice.

-- One row.
CREATE TABLE meta (
    journal_id     TEXT   NOT NULL,
    created_ms     BIGINT NOT NULL,
    schema_version BIGINT NOT NULL,
    last_sequence  BIGINT NOT NULL,
    last_row       BIGINT NOT NULL
);

-- What happened. A policy or environment that is not named means all.
CREATE TABLE entries (
    sequence    INTEGER PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    policy      TEXT,
    environment TEXT,
    kind        TEXT   NOT NULL,
    body        TEXT   NOT NULL
);
CREATE INDEX entries_by_policy ON entries (policy, sequence);

-- What GitLab is still to be told, and was told: once per state of a rollout's deployment. `body` is the whole of it,
-- the columns before it are what is looked for.
CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY,
    project       TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    rollout       BIGINT  NOT NULL,
    revision      TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    attempts      BIGINT  NOT NULL,
    next_try_ms   BIGINT,
    reason        TEXT,
    deployment_id BIGINT
);
CREATE UNIQUE INDEX outbox_once_per_state ON outbox (rollout, project, environment, revision, state);
CREATE INDEX outbox_to_send ON outbox (project, id) WHERE status IN ('pending', 'intended');
CREATE INDEX outbox_deployments ON outbox (project, environment, deployment_id);

-- Facts of digests: they never change.
CREATE TABLE builds (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    facts      TEXT NOT NULL,
    PRIMARY KEY (repository, digest)
);

-- When the whole list of a repository's tags was first read.
CREATE TABLE readings (
    repository TEXT   NOT NULL PRIMARY KEY,
    first_ms   BIGINT NOT NULL
);

-- When each tag was first seen, the digest it was first known to name, and the one it named last.
CREATE TABLE sightings (
    repository       TEXT    NOT NULL,
    tag              TEXT    NOT NULL,
    first_seen_ms    BIGINT  NOT NULL,
    at_first_reading BOOLEAN NOT NULL,
    first_digest     TEXT,
    last_digest      TEXT,
    PRIMARY KEY (repository, tag)
);

-- Every digest that a tag was seen to name, and since when.
CREATE TABLE namings (
    repository    TEXT   NOT NULL,
    tag           TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    first_seen_ms BIGINT NOT NULL,
    PRIMARY KEY (repository, tag, digest)
);

-- How far the history of an environment's places was searched for commits of ours, and what was found.
CREATE TABLE searched (
    policy      TEXT NOT NULL,
    environment TEXT NOT NULL,
    tip         TEXT NOT NULL,
    ours        TEXT NOT NULL,
    PRIMARY KEY (policy, environment)
);

-- The last text of each policy that was good.
CREATE TABLE policies (
    origin TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    text   TEXT   NOT NULL,
    at_ms  BIGINT NOT NULL,
    PRIMARY KEY (origin, name)
);
