"""What the Label screen asks next: keeps the order of the pool, and compares its images in the background."""

import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from leaml.labelling.looks import image_vectors
from leaml.labelling.order import DISAGREEMENT_WEIGHT, Asked, Choice, Guess, LabelOrder, shuffled
from leaml.records import AnsweredQuestion, ImageId, ImageRow, QuestionType, Split
from leaml.store import Store

GUESSES = 500
"""So many of the predictions that a run is least sure of, or differs about, are kept for each question type."""


class LabelQueue:
    """The next questions. Comparing ten thousand images takes a minute; until then they come in a shuffled order."""

    def __init__(self, store: Store, workspace: Path) -> None:
        """Take the store and the folder of the workspace; `prepare` begins."""
        self._store, self._workspace = store, workspace
        self._lock = threading.Lock()
        self._count = -1
        self._order = LabelOrder([])
        self._images: list[ImageRow] = []
        self._compared: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._test = (0, LabelOrder([]))
        self._guesses: dict[tuple[int, str], list[Guess]] = {}

    def prepare(self) -> LabelOrder:
        """Return the order as it is known now, and see to it that the images of the pool are compared."""
        with self._lock:
            count, round_number = self._store.image_count("pool"), self._store.results.round()
            if count != self._count:  # images are only ever added
                self._images, self._count = shuffled(self._store.images("pool")), count
                self._order = LabelOrder(self._images)
            # A generator's run leaves the tower's features of the whole pool, which say more than small pictures.
            if count and self._compared != (count, round_number):
                self._compared = (count, round_number)
                self._thread = threading.Thread(target=self._compare, args=(self._images,), daemon=True)
                self._thread.start()
            return self._order

    def wait(self) -> None:
        """Return when the images have been compared."""
        if self._thread is not None:
            self._thread.join()

    def next(
        self,
        split: Split,
        types: Sequence[QuestionType],
        answered: Sequence[AnsweredQuestion],
        *,
        skipped: Collection[Asked] = (),
        limit: int = 1,
    ) -> list[Choice]:
        """Return the next questions to ask; see `LabelOrder.choose`.

        Test images come at random: a test of images that a model finds hard would say little about the others.
        """
        if split == "test":
            return self._test_order().choose(types, answered, lambda _: [], skipped=skipped, limit=limit)
        return self.prepare().choose(types, answered, self._guesses_of, skipped=skipped, limit=limit)

    def _test_order(self) -> LabelOrder:
        count = self._store.image_count("test")
        if count != self._test[0]:  # images are only ever added
            self._test = (count, LabelOrder(self._store.images("test")))
        return self._test[1]

    def _guesses_of(self, type_id: str) -> list[Guess]:
        key = (self._store.results.round(), type_id)
        if key not in self._guesses:
            self._guesses = {known: found for known, found in self._guesses.items() if known[0] == key[0]}
            rows = self._store.results.doubtful_pairs(type_id, disagreement=DISAGREEMENT_WEIGHT, limit=GUESSES)
            self._guesses[key] = [
                Guess(row.image_id, row.options, row.option_probabilities, row.answer) for row in rows
            ]
        return self._guesses[key]

    def _compare(self, images: list[ImageRow]) -> None:
        files = {image.id: self._workspace / image.path for image in images}
        order = LabelOrder(images, image_vectors(files, self._workspace / "cache"))
        with self._lock:
            if len(images) == self._count:
                self._order = order


def answered_questions(store: Store, split: Split) -> list[AnsweredQuestion]:
    """Return what is answered about the images of a split; of test images, by the data or by people."""
    return store.held_out.questions() if split == "test" else [label.pair for label in store.labels("pool")]


def card_of(asked: Asked) -> str:
    """Return the name under which a question about an image is given out."""
    return f"{asked[0]} {asked[1]}"


def asked_of(card: str) -> Asked:
    """Return the question of a card's name."""
    image_id, type_id = card.split(" ", 1)
    return ImageId(image_id), type_id
