"""The store's schema, as numbered steps. A landed step is never edited: a change is a new step at the end."""

MIGRATIONS: tuple[str, ...] = (
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
)
