"""What people have decided, as it stands: answers, rejections, and the questions and images that are left.

A question about an image has one answer. Where people labelled it and accepted or edited a pair about it, the label
counts. It is the same question by its words, or by its type: the words of a type may be changed at any time.
"""

from leaml.pairs.decided import Decided
from leaml.records import AnsweredQuestion, ImageId, ImageRow, Rejection
from leaml.store.database import Database, record

PAIR = "image_id, question, options, answer, type_id"
"""The columns of an answered question."""
_KEPT = (
    "(SELECT * FROM current_reviews WHERE action IN ('accept', 'edit') "
    "AND candidate_id NOT IN (SELECT candidate_id FROM conflicts))"
)
ANSWERED = f"""answered AS MATERIALIZED (
    SELECT image_id, question, type_id FROM current_labels UNION ALL SELECT image_id, question, type_id FROM {_KEPT})"""
"""The questions that people have answered, for a query's WITH."""


def not_in(table: str, row: str) -> str:
    """Return the SQL condition that a table has no answer to a row's question."""
    # Two conditions, each of which is looked up by a hash; with an OR between them they would not be.
    same = f"SELECT 1 FROM {table} known WHERE known.image_id = {row}.image_id AND known"
    return f"NOT EXISTS ({same}.question = {row}.question) AND NOT EXISTS ({same}.type_id = {row}.type_id)"


_REVIEWED = f"""WITH labels AS MATERIALIZED (SELECT image_id, question, type_id FROM current_labels), latest AS (
        SELECT event_id, {PAIR} FROM {_KEPT}
        QUALIFY row_number() OVER (PARTITION BY image_id, question ORDER BY event_id DESC) = 1),
    of_type AS (
        FROM latest
        QUALIFY type_id IS NULL OR row_number() OVER (PARTITION BY image_id, type_id ORDER BY event_id DESC) = 1),
    reviewed AS (SELECT * FROM of_type r WHERE {not_in("labels", "r")})"""
_LEFT = f"""WITH {ANSWERED} SELECT * FROM reference_answers r
    WHERE image_id IN (SELECT id FROM images WHERE split = 'pool') AND {not_in("answered", "r")}"""


class Answered:
    """The answers and rejections of one workspace."""

    def __init__(self, database: Database) -> None:
        """Read them from this database."""
        self._database = database

    def reviewed(self) -> list[AnsweredQuestion]:
        """Return the accepted and edited pairs as they stand, each image and question once, the latest.

        One whose question has a label is not among them: the label counts. A pair on which two readers differ waits
        for the decision of a third.
        """
        rows = self._database.rows(f"{_REVIEWED} SELECT {PAIR} FROM reviewed ORDER BY event_id")
        return [record(AnsweredQuestion, row) for row in rows]

    def count_reviewed(self) -> int:
        """Return how many they are."""
        return int(self._database.rows(f"{_REVIEWED} SELECT count(*) AS pairs FROM reviewed")[0]["pairs"])

    def reviewed_questions(self) -> set[tuple[ImageId, str]]:
        """Return which of the project's questions they answer: images, and the ids of question types."""
        of_types = "SELECT DISTINCT image_id, type_id FROM reviewed WHERE type_id IS NOT NULL"
        return {(row["image_id"], row["type_id"]) for row in self._database.rows(f"{_REVIEWED} {of_types}")}

    def rejections(self) -> list[Rejection]:
        """Return the rejections as they stand; a pair on which two readers differ waits for a third.

        Whoever wrote another question in a pair's place has rejected the one that stood there, without a reason.
        """
        rows = self._database.rows(
            "SELECT c.image_id, c.question, c.answer, r.reason "
            "FROM current_reviews r JOIN candidates c ON c.id = r.candidate_id "
            "WHERE (r.action = 'reject' OR r.action = 'edit' AND r.question <> c.question) "
            "AND r.candidate_id NOT IN (SELECT candidate_id FROM conflicts) ORDER BY r.event_id"
        )
        return [record(Rejection, row) for row in rows]

    def decided(self) -> Decided:
        """Return what speaks against a pair now."""
        labels = [record(AnsweredQuestion, row) for row in self._database.rows(f"SELECT {PAIR} FROM current_labels")]
        return Decided([*labels, *self.reviewed()], self.rejections())

    def references_left(self) -> list[AnsweredQuestion]:
        """Return the answers that came with the data about pool images, of the questions that nobody has answered."""
        rows = self._database.rows(f"SELECT {PAIR} FROM ({_LEFT}) ORDER BY image_id, question")
        return [record(AnsweredQuestion, row) for row in rows]

    def unlabelled(self) -> list[ImageRow]:
        """Return D_u, the pool's images without a label, by name: captions are asked for them, and pairs written."""
        labelled = "SELECT image_id FROM current_labels"
        rows = self._database.rows(
            f"SELECT * FROM images WHERE split = 'pool' AND id NOT IN ({labelled}) ORDER BY name, id"
        )
        return [record(ImageRow, row) for row in rows]

    def count_references_left(self) -> int:
        """Return how many they are."""
        return int(self._database.rows(f"SELECT count(*) AS answers FROM ({_LEFT})")[0]["answers"])
