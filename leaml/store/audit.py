"""What the reviews are worth: the random audit of a slice, two readers of one pair, what a model can learn from them.

Only reads. Which decisions belong to an audit: those about pairs of the audit half, with the final answer, if what the
reader had narrowed the queue to held all of the slice; the audited pairs are then a random sample of it.
"""

from dataclasses import dataclass

from leaml.records import EVERYTHING, Interval, Reading, Slice
from leaml.stats import wilson
from leaml.store.database import Database, record
from leaml.store.queue_order import FAULT, TAKEN_ALONE, conditions

LEAST_AUDITED = 30
"""Audited pairs that a slice needs before its precision counts."""
BAR = 0.9
"""What the lower end of the precision's 95% interval has to reach before a slice may be accepted as a batch."""

_SEEN_WHOLE = """candidate_id IN (
    SELECT candidate_id FROM standing_reviews WHERE drawn = 'audit' AND coalesce(filter_from, 0) <= ?
    AND coalesce(filter_to, 1) >= ? AND (filter_captioned IS NULL OR filter_captioned = ?))"""
_READINGS = """
    SELECT c.type_id, f.verdict AS first, s.verdict AS second
    FROM second_reads s JOIN candidates c ON c.id = s.candidate_id JOIN (
        SELECT candidate_id, author, verdict FROM standing_reviews
        WHERE coalesce(drawn, '') NOT IN ('second', 'adjudication', 'batch')
        QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1
    ) f ON f.candidate_id = s.candidate_id
    WHERE f.author <> s.author AND f.verdict IS NOT NULL AND s.verdict IS NOT NULL ORDER BY s.event_id
"""
_DIFFERING = """
    SELECT action, question, answer, reason FROM (FROM current_reviews UNION ALL FROM second_reads)
    WHERE candidate_id = ? ORDER BY event_id
"""
_DECISIONS = f"""
    SELECT c.image_id, c.type_id, c.log_probability, c.agreement, coalesce(
            list_reverse_sort(c.option_probabilities)[1] - list_reverse_sort(c.option_probabilities)[2], 0.0) AS margin,
        r.action = 'accept' AS accepted, r.candidate_id IN (
            SELECT candidate_id FROM standing_reviews WHERE drawn = 'audit' AND filter_from IS NULL
            AND filter_to IS NULL AND filter_captioned IS NULL) AS audited,
        {FAULT} AS faulted,
        coalesce(count(*) FILTER ({FAULT}) OVER earlier, 0) / (count(*) OVER earlier + 1.0) AS faults
    FROM current_reviews r JOIN candidates c ON c.id = r.candidate_id WHERE {TAKEN_ALONE}
    WINDOW earlier AS (
        PARTITION BY c.image_id ORDER BY r.event_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ORDER BY r.event_id
"""


@dataclass(frozen=True)
class Audit:
    """What the random audit says of a slice.

    Attributes:
        audited: How many pairs of it were audited.
        precision: Share of them that was accepted unchanged; None where none was audited.
        open: How many pairs of it nobody has decided about.
    """

    audited: int
    precision: Interval | None
    open: int

    @property
    def passed(self) -> bool:
        """Whether enough pairs were audited, and enough of them accepted."""
        return self.precision is not None and self.audited >= LEAST_AUDITED and self.precision.low >= BAR


@dataclass(frozen=True)
class Decision:
    """A decision about one pair with the pair's scores.

    Attributes:
        margin: As `Candidate.margin`.
        accepted: Whether it was accepted unchanged.
        audited: Whether it belongs to the random audit of all pairs.
        faulted: Whether it was rejected for another reason than its answer.
        faults: Of the earlier decisions about the same image, the share for which that holds, with one more in the
            denominator: a single decision says little.
    """

    image_id: str
    type_id: str | None
    log_probability: float
    agreement: float | None
    margin: float
    accepted: bool
    audited: bool
    faulted: bool = False
    faults: float = 0.0


class Checks:
    """Figures about the reviews of one workspace."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database

    def audit(self, within: Slice = EVERYTHING) -> Audit:
        """Return what the random audit of the latest round says of a slice."""
        where, values = conditions(within)
        seen = [within.at_least, within.at_most, within.captioned]
        row = self._database.rows(
            f"""SELECT count(*) FILTER (action IS NULL) AS open,
                count(*) FILTER ({_SEEN_WHOLE} AND action IN ('accept', 'edit', 'reject') AND half = 'audit'
                    AND drawn <> 'batch') AS audited,
                count(*) FILTER ({_SEEN_WHOLE} AND action = 'accept' AND half = 'audit' AND drawn <> 'batch') AS right
            FROM review_queue WHERE {where}""",
            *seen, *seen, *values,
        )[0]  # fmt: skip
        precision = wilson(row["right"], row["audited"]) if row["audited"] else None
        return Audit(row["audited"], precision, row["open"])

    def readings(self) -> list[tuple[str | None, str, str]]:
        """Return question type, first and second reader's verdict of each pair that two people read."""
        return [(row["type_id"], row["first"], row["second"]) for row in self._database.rows(_READINGS)]

    def differing(self, candidate_id: str) -> list[Reading]:
        """Return what the two readers of a pair decided, the first reader's decision first."""
        return [record(Reading, row) for row in self._database.rows(_DIFFERING, candidate_id)]

    def decisions(self) -> list[Decision]:
        """Return the decisions that people took pair by pair, of all rounds, the latest last."""
        return [record(Decision, row) for row in self._database.rows(_DECISIONS)]
