"""The teachers' captions in the store: an image has one of each teacher and prompt."""

from collections.abc import Sequence
from datetime import datetime

from leaml.records import Caption, ImageId
from leaml.store.database import Database, record
from leaml.store.queue import Queue


class Captions:
    """What teachers wrote about images."""

    def __init__(self, database: Database, queue: Queue) -> None:
        """Keep them in this database; the queue can be asked for captioned images."""
        self._database = database
        self._queue = queue

    def all(self) -> list[Caption]:
        """Return every caption by image, the newest last."""
        query = 'SELECT * FROM captions ORDER BY image_id, "at" NULLS FIRST, teacher, prompt'
        return [record(Caption, row) for row in self._database.rows(query)]

    def count(self) -> int:
        """Return how many captions there are."""
        return int(self._database.rows("SELECT count(*) AS captions FROM captions")[0]["captions"])

    def count_missing(self, teacher: str, prompt: str) -> int:
        """Return how many of the pool's images without a label this teacher has not described by this prompt."""
        rows = self._database.rows(
            """SELECT count(*) AS images FROM images WHERE split = 'pool'
            AND id NOT IN (SELECT image_id FROM current_labels)
            AND id NOT IN (SELECT image_id FROM captions WHERE teacher = ? AND prompt = ?)""",
            teacher,
            prompt,
        )
        return int(rows[0]["images"])

    def newest(self, image_id: ImageId) -> Caption | None:
        """Return the newest caption of one image, or None."""
        rows = self._database.rows("SELECT * FROM captions WHERE image_id = ?", image_id)
        # An image has a few at most: sorting them in the database would take as long as finding them.
        captions = [record(Caption, row) for row in rows]
        return max(captions, key=_age, default=None)

    def add(self, captions: Sequence[Caption]) -> None:
        """Keep captions; one that is there already, of the same teacher and prompt, keeps its text."""
        with self._database.transaction("save the captions") as cursor:
            self._database.insert("captions", captions, Caption, cursor)
            self._queue.note_captions()


def _age(caption: Caption) -> tuple[bool, datetime | None, str, str]:
    """Return what captions of an image are sorted by; the newest is the largest."""
    return caption.at is not None, caption.at, caption.teacher, caption.prompt
