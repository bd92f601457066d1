"""The store's schema, as numbered steps. A landed step is never edited: a change is a new step at the end.

A step is SQL, or a function of a query where SQL alone cannot do it.
"""

from collections.abc import Callable

from leaml.store.events import Query, chain_existing

MIGRATIONS: tuple[str | Callable[[Query], None], ...] = (
    """
    CREATE TABLE project (name VARCHAR NOT NULL, description VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    CREATE TABLE question_types (
        position INTEGER NOT NULL, id VARCHAR PRIMARY KEY, question VARCHAR NOT NULL, options VARCHAR[] NOT NULL);
    CREATE TABLE images (
        id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, path VARCHAR NOT NULL, "group" VARCHAR NOT NULL,
        split VARCHAR NOT NULL CHECK (split IN ('pool', 'test')), width INTEGER NOT NULL, height INTEGER NOT NULL);
    CREATE TABLE reference_answers (
        image_id VARCHAR NOT NULL, question VARCHAR NOT NULL, options VARCHAR[] NOT NULL, answer VARCHAR NOT NULL,
        type_id VARCHAR, PRIMARY KEY (image_id, question));
    CREATE TABLE captions (
        image_id VARCHAR PRIMARY KEY, text VARCHAR NOT NULL, teacher VARCHAR NOT NULL, prompt VARCHAR NOT NULL);

    CREATE SEQUENCE event_ids;
    CREATE TABLE label_events (
        event_id BIGINT PRIMARY KEY, undoes BIGINT, image_id VARCHAR NOT NULL, question VARCHAR NOT NULL,
        options VARCHAR[] NOT NULL, answer VARCHAR NOT NULL, type_id VARCHAR, author VARCHAR NOT NULL,
        seconds DOUBLE NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    CREATE VIEW current_labels AS
        SELECT * FROM label_events
        WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM label_events WHERE undoes IS NOT NULL)
        QUALIFY row_number() OVER (PARTITION BY image_id, question ORDER BY event_id DESC) = 1;

    CREATE TABLE candidates (
        id VARCHAR PRIMARY KEY, image_id VARCHAR NOT NULL, question VARCHAR NOT NULL, options VARCHAR[] NOT NULL,
        answer VARCHAR NOT NULL, type_id VARCHAR, log_probability DOUBLE NOT NULL, agreement DOUBLE,
        option_probabilities DOUBLE[] NOT NULL, run_id VARCHAR NOT NULL, round INTEGER NOT NULL);
    CREATE TABLE review_events (
        event_id BIGINT PRIMARY KEY, undoes BIGINT, candidate_id VARCHAR NOT NULL,
        action VARCHAR NOT NULL CHECK (action IN ('accept', 'edit', 'reject', 'skip', 'undo')),
        image_id VARCHAR NOT NULL, question VARCHAR NOT NULL, options VARCHAR[] NOT NULL, answer VARCHAR NOT NULL,
        type_id VARCHAR, reason VARCHAR, author VARCHAR NOT NULL, seconds DOUBLE NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    CREATE VIEW current_reviews AS
        SELECT * FROM review_events
        WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM review_events WHERE undoes IS NOT NULL)
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;

    CREATE TABLE ingested_runs (run_id VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    CREATE TABLE models (
        run_id VARCHAR PRIMARY KEY, method VARCHAR NOT NULL, path VARCHAR NOT NULL, round INTEGER NOT NULL,
        labels INTEGER NOT NULL, pairs INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL);
    CREATE TABLE predictions (
        run_id VARCHAR NOT NULL, position INTEGER NOT NULL, image_id VARCHAR NOT NULL, type_id VARCHAR NOT NULL,
        question VARCHAR NOT NULL, options VARCHAR[] NOT NULL, reference VARCHAR NOT NULL, answer VARCHAR NOT NULL,
        correct BOOLEAN NOT NULL, option_probabilities DOUBLE[] NOT NULL, PRIMARY KEY (run_id, position));
    """,
    "CREATE TABLE event_hashes (event_id BIGINT PRIMARY KEY, hash VARCHAR NOT NULL);",
    chain_existing,
    """
    CREATE TABLE users (
        name VARCHAR PRIMARY KEY, role VARCHAR NOT NULL CHECK (role IN ('expert', 'reviewer', 'admin')),
        password_hash VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    """,
    # An image may have a caption of each teacher and prompt, and it is known when each was asked for.
    """
    ALTER TABLE captions RENAME TO first_captions;
    CREATE TABLE captions (
        image_id VARCHAR NOT NULL, text VARCHAR NOT NULL, teacher VARCHAR NOT NULL, prompt VARCHAR NOT NULL,
        "at" TIMESTAMPTZ, PRIMARY KEY (image_id, teacher, prompt));
    INSERT INTO captions SELECT image_id, text, teacher, prompt, NULL FROM first_captions;
    DROP TABLE first_captions;
    """,
    """
    CREATE TABLE leases (
        kind VARCHAR NOT NULL, card VARCHAR NOT NULL, person VARCHAR NOT NULL, "until" TIMESTAMPTZ NOT NULL);
    """,
    # How a pair came to its reader; second reads, which decide nothing by themselves; batches. The queue itself is
    # derived (`leaml.store.queue`), and rebuilt where it is missing.
    """
    ALTER TABLE review_events ADD COLUMN drawn VARCHAR;
    ALTER TABLE review_events ADD COLUMN filter_from DOUBLE;
    ALTER TABLE review_events ADD COLUMN filter_to DOUBLE;
    ALTER TABLE review_events ADD COLUMN filter_captioned BOOLEAN;
    ALTER TABLE review_events ADD COLUMN batch BIGINT;
    CREATE VIEW standing_reviews AS
        SELECT *, CASE action WHEN 'reject' THEN action WHEN 'skip' THEN NULL
            ELSE concat(question, chr(31), answer) END AS verdict
        FROM review_events
        WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM review_events WHERE undoes IS NOT NULL);
    CREATE OR REPLACE VIEW current_reviews AS
        SELECT * FROM standing_reviews
        WHERE coalesce(drawn, '') <> 'second' AND NOT (coalesce(drawn, '') = 'adjudication' AND action = 'skip')
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;
    CREATE VIEW second_reads AS
        SELECT * FROM standing_reviews WHERE drawn = 'second'
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;
    CREATE VIEW conflicts AS
        SELECT r.candidate_id, r.author AS first_reader, s.author AS second_reader
        FROM current_reviews r JOIN second_reads s ON s.candidate_id = r.candidate_id
        WHERE r.author <> s.author AND r.verdict <> s.verdict AND coalesce(r.drawn, '') <> 'adjudication';
    CREATE INDEX captions_of_image ON captions (image_id);
    """,
    # What a model suggested before a label was given, as JSON; the lists of question types that came before.
    """
    ALTER TABLE label_events ADD COLUMN suggestion VARCHAR;
    CREATE OR REPLACE VIEW current_labels AS
        SELECT * FROM label_events
        WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM label_events WHERE undoes IS NOT NULL)
        QUALIFY row_number() OVER (PARTITION BY image_id, question ORDER BY event_id DESC) = 1;
    CREATE TABLE question_type_versions (
        version INTEGER NOT NULL, position INTEGER NOT NULL, id VARCHAR NOT NULL, question VARCHAR NOT NULL,
        options VARCHAR[] NOT NULL, author VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (version, position));
    INSERT INTO question_type_versions
        SELECT 1, position, id, question, options, 'import', now() FROM question_types;
    """,
    # How often a question type comes in the review queue, next to one that is not listed here.
    """
    CREATE TABLE review_quotas (type_id VARCHAR PRIMARY KEY, cards INTEGER NOT NULL CHECK (cards >= 0));
    """,
    # Rounds whose pairs are out of use.
    """
    CREATE TABLE round_events (
        event_id BIGINT PRIMARY KEY, round INTEGER NOT NULL, action VARCHAR NOT NULL CHECK (action = 'take_back'),
        author VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL);
    CREATE VIEW latest_round AS
        SELECT max(round) AS round FROM candidates WHERE round NOT IN (SELECT round FROM round_events);
    """,
    # How the answers of a question type are told apart.
    """
    ALTER TABLE question_types ADD COLUMN definition VARCHAR DEFAULT '';
    ALTER TABLE question_type_versions ADD COLUMN definition VARCHAR DEFAULT '';
    """,
    # What was on the screen when a decision was taken, as JSON.
    """
    ALTER TABLE review_events ADD COLUMN shown VARCHAR;
    CREATE OR REPLACE VIEW standing_reviews AS
        SELECT *, CASE action WHEN 'reject' THEN action WHEN 'skip' THEN NULL
            ELSE concat(question, chr(31), answer) END AS verdict
        FROM review_events
        WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM review_events WHERE undoes IS NOT NULL);
    CREATE OR REPLACE VIEW current_reviews AS
        SELECT * FROM standing_reviews
        WHERE coalesce(drawn, '') <> 'second' AND NOT (coalesce(drawn, '') = 'adjudication' AND action = 'skip')
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;
    CREATE OR REPLACE VIEW second_reads AS
        SELECT * FROM standing_reviews WHERE drawn = 'second'
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;
    CREATE OR REPLACE VIEW conflicts AS
        SELECT r.candidate_id, r.author AS first_reader, s.author AS second_reader
        FROM current_reviews r JOIN second_reads s ON s.candidate_id = r.candidate_id
        WHERE r.author <> s.author AND r.verdict <> s.verdict AND coalesce(r.drawn, '') <> 'adjudication';
    """,
    # Pairs whose question was labelled meanwhile are set aside: the queue is made anew where it is missing.
    "DROP TABLE IF EXISTS review_queue;",
    # A question is the same by its words or by its type, whose words may be changed: the latest answer stands. Who
    # skips a second read has read nothing. Both change which pairs wait for whom: the queue is made anew.
    """
    CREATE OR REPLACE VIEW current_labels AS
        SELECT * FROM (
            SELECT * FROM label_events
            WHERE undoes IS NULL AND event_id NOT IN (SELECT undoes FROM label_events WHERE undoes IS NOT NULL)
            QUALIFY row_number() OVER (PARTITION BY image_id, question ORDER BY event_id DESC) = 1)
        QUALIFY type_id IS NULL OR row_number() OVER (PARTITION BY image_id, type_id ORDER BY event_id DESC) = 1;
    CREATE OR REPLACE VIEW second_reads AS
        SELECT * FROM standing_reviews WHERE drawn = 'second' AND action <> 'skip'
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1;
    DROP TABLE IF EXISTS review_queue;
    """,
)
