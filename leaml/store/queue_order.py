"""In which order the pairs of a round are shown: a table that is derived from pairs, captions and decisions.

Within a question type the pairs are dealt into two halves by the hash of their ids: the audit, in an order that is as
random as the hash, and the informative half, the least certain first. A pair is in one of them for good, so that the
audit is a random sample whatever is decided in the other. `turn` counts within a type and takes the halves in turn, in
an order that cannot be guessed; pairs of one turn come type by type. A type with a quota of three cards counts in
thirds, and so comes three times as often; one with a quota of none comes after all others.

A pair that nobody has decided about is set aside while its question has a label: the label is what counts
(`leaml.store.answered`), so it is neither shown nor open. It keeps its turn for the case that the label is taken back.
"""

from collections.abc import Collection, Sequence
from typing import Any

from leaml.records import Slice
from leaml.store.events import Query

LABELLED = "labelled"
"""How a pair stands, in place of nobody's decision or a skip, that is set aside for a label."""
LOOKED_UP = 64
"""So many ids are written out in a query."""
TAKEN_ALONE = "r.action IN ('accept', 'edit', 'reject') AND coalesce(r.drawn, '') <> 'batch'"
"""Of `current_reviews r`: decisions about one pair, not about a batch."""
FAULT = "(r.action = 'reject' AND r.reason <> 'wrong answer')"
"""Rejected, and not for its answer: nothing to be seen, a bad question or options, asked before, of no use."""

_DOUBT = "coalesce(abs(agreement - 1.0 / greatest(len(options), 1)), 0.5)"
"""Distance of the judge's probability from chance: small where it does not know."""

_TURN = """(2 * place + CASE WHEN (md5_number_lower(concat(type_id, '-', place)) % 2 = 0) = (half = 'audit')
    THEN 1 ELSE 0 END) / CASE WHEN cards > 0 THEN cards ELSE 1 END
    + CASE WHEN cards = 0 THEN 1e12 ELSE 0 END AS turn"""
_CARDS = "coalesce((SELECT cards FROM review_quotas q WHERE q.type_id = {row}.type_id), 1)"

_ARRANGE = f"""
    CREATE OR REPLACE TABLE review_queue AS
    WITH dealt AS (
        -- Rows are dealt by their numbers: windows over long ids would take several times as long.
        SELECT rowid AS number, type_id, md5_number_lower(id) AS luck, {_DOUBT} AS doubt
        FROM candidates WHERE round = (SELECT round FROM latest_round)),
    halved AS (
        SELECT *, CASE row_number() OVER (PARTITION BY type_id ORDER BY luck, number) % 2
            WHEN 0 THEN 'audit' ELSE 'informative' END AS half
        FROM dealt),
    placed AS (
        SELECT *, {_CARDS.format(row="halved")} AS cards, row_number() OVER (PARTITION BY type_id, half
            ORDER BY CASE half WHEN 'audit' THEN luck::DOUBLE ELSE doubt END, luck, number) AS place
        FROM halved),
    turns AS (SELECT number, half, {_TURN} FROM placed)
    SELECT c.id AS candidate_id, c.image_id, md5_number_lower(c.image_id) AS image_number, c.type_id, t.half, t.turn,
        md5_number_upper(c.id) / 18446744073709551616.0 AS chance,
        c.agreement, c.log_probability, coalesce(
            list_reverse_sort(c.option_probabilities)[1] - list_reverse_sort(c.option_probabilities)[2], 0.0) AS margin,
        k.image_id IS NOT NULL AS captioned,
        r.event_id, r.action, r.author, r.drawn, r.seconds,
        CASE WHEN s.author <> r.author THEN s.author END AS second_author
    FROM turns t JOIN candidates c ON c.rowid = t.number
        LEFT JOIN (SELECT DISTINCT image_id FROM captions) k ON k.image_id = c.image_id
        LEFT JOIN current_reviews r ON r.candidate_id = c.id
        LEFT JOIN second_reads s ON s.candidate_id = c.id
    ORDER BY t.turn, c.type_id
"""
_INDEX = "CREATE UNIQUE INDEX review_queue_candidate ON review_queue (candidate_id)"
_DISPUTED = """
    SELECT candidate_id, list(DISTINCT first_reader) || list(DISTINCT second_reader) AS readers FROM conflicts
"""
_PASSED = """
    SELECT candidate_id, author, max(event_id) AS event_id FROM standing_reviews
    WHERE action = 'skip' AND drawn IN ('second', 'adjudication')
"""
_FAULTS = f"""
    SELECT image_id, count(*) FILTER ({FAULT}) / (count(*) + 1.0) AS faults
    FROM current_reviews r WHERE {TAKEN_ALONE} GROUP BY image_id
"""
_LABELLED = """
    SELECT DISTINCT c.id FROM {pairs} c JOIN current_labels l
        ON l.image_id = c.image_id AND (l.question = c.question OR l.type_id = c.type_id)
"""
_SET_ASIDE = f"""
    UPDATE review_queue SET action = '{LABELLED}'
    WHERE coalesce(action, 'skip') = 'skip' AND candidate_id IN (SELECT unnest(?::VARCHAR[]))
"""
_FRONT = 2000
"""So many pairs of each question type follow the acceptance model at a time: a million would take half a second."""
# Pairs change places: the doubtful ones get the first turns, and those that had them get the turns that these leave.
_REORDER = f"""
    UPDATE review_queue SET turn = fresh.turn FROM (
        WITH waiting AS (
            SELECT type_id, number, turn, abs({{logit}}) AS doubt
            FROM (SELECT q.*, q.rowid AS number, coalesce(f.faults, 0.0) AS faults
                FROM review_queue q LEFT JOIN ({_FAULTS}) f ON f.image_id = q.image_id
                WHERE half = 'informative' AND action IS NULL)),
        picked AS (
            SELECT type_id, min({{{{'doubt': doubt, 'number': number, 'turn': turn}}}}, {_FRONT}) AS doubtful,
                min({{{{'turn': turn, 'number': number}}}}, {_FRONT}) AS front
            FROM waiting GROUP BY type_id),
        moved AS (
            SELECT type_id, number, turn, min(doubt) AS doubt
            FROM (SELECT type_id, unnest(doubtful, recursive := true) FROM picked
                UNION ALL BY NAME SELECT type_id, unnest(front, recursive := true) FROM picked)
            GROUP BY type_id, number, turn)
        SELECT unnest(list(number ORDER BY doubt NULLS LAST, turn)) AS number, unnest(list(turn ORDER BY turn)) AS turn
        FROM moved GROUP BY type_id) fresh
    WHERE review_queue.rowid = fresh.number
"""
_SETTLE = f"""
    UPDATE review_queue SET event_id = now.event_id, action = now.action, author = now.author, drawn = now.drawn,
        seconds = now.seconds, second_author = now.second_author
    FROM (
        SELECT ids.id, r.event_id, r.author, r.drawn, r.seconds,
            CASE WHEN aside AND coalesce(r.action, 'skip') = 'skip' THEN '{LABELLED}' ELSE r.action END AS action,
            CASE WHEN s.author <> r.author THEN s.author END AS second_author
        FROM (SELECT unnest(?::VARCHAR[]) AS id, unnest(?::BOOLEAN[]) AS aside) ids
            LEFT JOIN current_reviews r ON r.candidate_id = ids.id
            LEFT JOIN second_reads s ON s.candidate_id = ids.id) now
    WHERE review_queue.candidate_id = now.id
"""


def is_arranged(query: Query) -> bool:
    """Return whether the order is there; a workspace of an older version has none."""
    return bool(query("SELECT 1 FROM information_schema.tables WHERE table_name = 'review_queue'"))


def arrange(query: Query) -> None:
    """Put the pairs of the latest round in order, and note how they stand. Call it in a transaction."""
    query(_ARRANGE)
    query(_INDEX)
    query(f"CREATE OR REPLACE TABLE disputed AS {_DISPUTED} GROUP BY candidate_id")
    query(f"CREATE OR REPLACE TABLE passed AS {_PASSED} GROUP BY candidate_id, author")
    query(_SET_ASIDE, [row["id"] for row in query(_LABELLED.format(pairs="candidates"))])


def reorder(query: Query, logit: str) -> None:
    """Put those pairs of the informative half in front whose `logit` is nearest to 0.

    It is SQL over the queue's columns and `faults`: of what was decided about a pair's image, the share that was
    rejected for another reason than its answer (one more in the denominator: a single decision says little).
    """
    query(_REORDER.format(logit=logit))


def settle(query: Query, candidate_ids: list[str]) -> None:
    """Note how some pairs stand, from the events. Call it in a transaction."""
    aside = labelled(query, candidate_ids)
    query(_SETTLE, candidate_ids, [found in aside for found in candidate_ids])
    of_these = "candidate_id IN (SELECT unnest(?::VARCHAR[]))"
    for table in ("disputed", "passed"):
        query(f"DELETE FROM {table} WHERE {of_these}", candidate_ids)
    query(f"INSERT INTO disputed {_DISPUTED} WHERE {of_these} GROUP BY candidate_id", candidate_ids)
    query(f"INSERT INTO passed {_PASSED} AND {of_these} GROUP BY candidate_id, author", candidate_ids)


def labelled(query: Query, candidate_ids: Sequence[str]) -> set[str]:
    """Return which of some pairs, of any round, ask what a label answers."""
    if not candidate_ids:
        return set()
    which, values = among(candidate_ids)
    # Looked up first: within the join all pairs would be read.
    pairs = f"WITH pairs AS MATERIALIZED (SELECT id, image_id, question, type_id FROM candidates WHERE id IN ({which}))"
    return {row["id"] for row in query(pairs + _LABELLED.format(pairs="pairs"), *values)}


def of_images(query: Query, image_ids: Collection[str]) -> list[dict[str, Any]]:
    """Return candidate_id and action of the pairs about some images, and perhaps of a few others."""
    # By a number: comparing a million long ids takes ten times as long.
    numbers = "SELECT md5_number_lower(id) FROM (SELECT unnest(?::VARCHAR[]) AS id)"
    return query(f"SELECT candidate_id, action FROM review_queue WHERE image_number IN ({numbers})", [*image_ids])


def among(ids: Sequence[str]) -> tuple[str, list[Any]]:
    """Return what stands within IN (...) for some ids, and its values."""
    # DuckDB looks written-out ids up in the index, a list only up to a few; many are joined.
    if len(ids) <= LOOKED_UP:
        return ", ".join("?" * len(ids)), list(ids)
    return "SELECT unnest(?::VARCHAR[])", [list(ids)]


def note_captions(query: Query) -> None:
    """Note which images have a caption by now."""
    query(
        "UPDATE review_queue SET captioned = true WHERE NOT captioned AND image_id IN (SELECT image_id FROM captions)"
    )


def conditions(within: Slice) -> tuple[str, list[Any]]:
    """Return a slice as an SQL condition on the queue's columns, and its values."""
    parts, values = ["true"], list[Any]()
    for condition, value, narrows in (
        ("type_id = ?", within.type_id, within.type_id is not None),
        ("agreement >= ?", within.at_least, within.at_least > 0),
        ("agreement <= ?", within.at_most, within.at_most < 1),
        ("captioned = ?", within.captioned, within.captioned is not None),
    ):
        if narrows:
            parts.append(condition)
            values.append(value)
    return " AND ".join(parts), values
