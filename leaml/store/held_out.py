"""What models are tested against: answers that came with the data, and those that people gave about test images.

The latter are labels like others, events with an author; that no model learns from them is the wall's work
(`leaml.snapshot`).
"""

from leaml.records import AnsweredQuestion
from leaml.store.answered import PAIR, not_in
from leaml.store.database import Database, record

_CAME = """came AS MATERIALIZED (
    SELECT * FROM reference_answers WHERE image_id IN (SELECT id FROM images WHERE split = 'test'))"""


class HeldOut:
    """The questions about test images that are answered."""

    def __init__(self, database: Database) -> None:
        """Read them from this database."""
        self._database = database

    def questions(self) -> list[AnsweredQuestion]:
        """Return them with their reference answers. What came with the data goes before a person's answer."""
        rows = self._database.rows(
            f"""WITH {_CAME} SELECT {PAIR} FROM came
            UNION ALL
            SELECT {PAIR} FROM current_labels l WHERE image_id IN (SELECT id FROM images WHERE split = 'test')
                AND type_id IS NOT NULL AND {not_in("came", "l")}
            ORDER BY image_id, question"""
        )
        return [record(AnsweredQuestion, row) for row in rows]

    def open_count(self) -> int:
        """Return how many of the project's questions about test images the data left for people to answer."""
        rows = self._database.rows(
            f"""WITH {_CAME} SELECT count(*) AS questions FROM (
                SELECT i.id AS image_id, t.question, t.id AS type_id FROM images i, question_types t
                WHERE i.split = 'test') asked
            WHERE {not_in("came", "asked")}"""
        )
        return int(rows[0]["questions"])
