"""What models are tested against: answers that came with the data, and those that people gave about test images.

The latter are labels like others, events with an author; that no model learns from them is the wall's work
(`leaml.snapshot`).
"""

from leaml.database import Database, record
from leaml.records import AnsweredQuestion

_PAIR = "image_id, question, options, answer, type_id"


class HeldOut:
    """The questions about test images that are answered."""

    def __init__(self, database: Database) -> None:
        """Read them from this database."""
        self._database = database

    def questions(self) -> list[AnsweredQuestion]:
        """Return them with their reference answers. What came with the data goes before a person's answer."""
        rows = self._database.rows(
            f"""WITH test AS (SELECT id FROM images WHERE split = 'test')
            SELECT {_PAIR} FROM reference_answers WHERE image_id IN (SELECT id FROM test)
            UNION ALL
            SELECT {_PAIR} FROM current_labels ANTI JOIN reference_answers USING (image_id, question)
            WHERE image_id IN (SELECT id FROM test) AND type_id IS NOT NULL
            ORDER BY image_id, question"""
        )
        return [record(AnsweredQuestion, row) for row in rows]

    def open_count(self) -> int:
        """Return how many of the project's questions about test images the data left for people to answer."""
        rows = self._database.rows(
            """SELECT count(*) AS questions
            FROM (SELECT i.id AS image_id, t.question FROM images i, question_types t WHERE i.split = 'test')
            ANTI JOIN reference_answers USING (image_id, question)"""
        )
        return int(rows[0]["questions"])
