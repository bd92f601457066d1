"""Which question to ask next, and why: question types in turn, and the image that teaches most.

While no model has been trained, the image is the one least like all labelled ones (k-centre greedy: Sener and Savarese,
2018). Later, where a run left predictions about a question, it is the one whose answer the model is least sure of,
about which the generator and its second opinion differ, or which may have an answer that few labels have. Images
without a label come first.
"""

import hashlib
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from leaml.labelling.looks import Vectors
from leaml.records import AnsweredQuestion, ImageId, ImageRow, QuestionType

Reason = Literal["random", "first", "unlike", "unsure", "differ", "rare"]
DISAGREEMENT_WEIGHT = 0.5
RARITY_WEIGHT = 0.5

Asked = tuple[ImageId, str]
"""An image and the id of a question type."""


@dataclass(frozen=True)
class Guess:
    """What a run thinks of one image and question type.

    Attributes:
        options: In their order.
        probabilities: Of each option, under the model that was trained on people's answers alone.
        written: The answer that the generator wrote; None where there is no generator.
    """

    image_id: ImageId
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    written: str | None = None


Guesses = Callable[[str], Sequence[Guess]]
"""Returns the guesses of the newest run about a question type, the most doubtful first."""


@dataclass(frozen=True)
class Choice:
    """A question to ask next.

    Attributes:
        asked: The image and the question type.
        reason: Why this image: `random` while nothing is known about it, the `first` one, `unlike` the labelled ones,
            the model is `unsure`, generator and second opinion `differ`, or a `rare` answer is likely.
    """

    asked: Asked
    reason: Reason


def shuffled(images: Iterable[ImageRow]) -> list[ImageRow]:
    """Return the images in the order that `LabelOrder` keeps: it needs no second copy of their vectors then."""
    return sorted(images, key=_luck)


def _luck(image: ImageRow) -> bytes:
    return hashlib.sha256(image.id.encode()).digest()


class LabelOrder:
    """The order of one pool of images. Images come in a shuffled order that is the same every time where all tie."""

    def __init__(self, images: Sequence[ImageRow], vectors: Vectors | None = None) -> None:
        """Take the images and, where they are there, their vectors (`leaml.labelling.looks`) in the images' order."""
        order = sorted(range(len(images)), key=lambda n: _luck(images[n]))
        self._ids = [images[n].id for n in order]
        self._place = {image_id: n for n, image_id in enumerate(self._ids)}
        is_shuffled = order == list(range(len(images)))
        self._vectors = vectors if vectors is None or is_shuffled else vectors[order]
        self._labelled: set[ImageId] = set()
        self._nearest = self._no_distances()
        self._lock = threading.Lock()

    def choose(
        self,
        types: Sequence[QuestionType],
        answered: Sequence[AnsweredQuestion],
        guesses: Guesses,
        *,
        skipped: Collection[Asked] = (),
        limit: int = 1,
    ) -> list[Choice]:
        """Return the next questions to ask; fewer than `limit` where no more are left.

        Args:
            types: The project's question types; ties between them go to the first.
            answered: The questions that have an answer.
            guesses: What the newest run thinks.
            skipped: Questions to leave out.
            limit: How many.
        """
        with self._lock:
            state = _Counts(answered, skipped)
            nearest = self._distances({pair.image_id for pair in answered})
            chosen: list[Choice] = []
            while len(chosen) < limit:
                # Sorting is stable: ties keep the project's order of types.
                for kind in sorted(types, key=lambda kind: state.per_type[kind.id]):
                    choice = self._image_for(kind, state, nearest, guesses)
                    if choice is not None:
                        break
                else:
                    return chosen
                chosen.append(choice)
                state.add(choice.asked)
                nearest = self._with(nearest, choice.asked[0])
            return chosen

    def _image_for(self, kind: QuestionType, state: "_Counts", nearest: Vectors, guesses: Guesses) -> Choice | None:
        free = np.ones(len(self._ids), dtype=bool)
        free[[self._place[image_id] for image_id in state.done[kind.id] if image_id in self._place]] = False
        if not free.any():
            return None
        asked = np.zeros(len(self._ids), dtype=np.int32)
        for image_id, count in state.per_image.items():
            if image_id in self._place:
                asked[self._place[image_id]] = count
        places = np.flatnonzero(free & (asked == asked[free].min()))
        open_places = set(places.tolist())
        known = [guess for guess in guesses(kind.id) if self._place.get(guess.image_id) in open_places]
        if known:
            best = max(known, key=lambda guess: _value(guess, state.answers[kind.id]))
            parts = _parts(best, state.answers[kind.id])
            return Choice((best.image_id, kind.id), max(parts, key=lambda reason: parts[reason]))
        place, reason = self._by_looks(places, nearest, is_first=not state.per_image)
        return Choice((self._ids[place], kind.id), reason)

    def _by_looks(self, places: npt.NDArray[np.intp], nearest: Vectors, *, is_first: bool) -> tuple[int, Reason]:
        if self._vectors is None:
            return int(places[0]), "random"
        if is_first:
            # Unlike nothing yet: the most typical one is where the others are compared from.
            return int(places[np.argmax((self._vectors @ self._vectors.mean(axis=0))[places])]), "first"
        return int(places[np.argmax(nearest[places])]), "unlike"

    def _distances(self, labelled: set[ImageId]) -> Vectors:
        """Return each image's distance to the nearest labelled one; what was known before is used again."""
        labelled = {image_id for image_id in labelled if image_id in self._place}
        if not self._labelled <= labelled:
            self._labelled, self._nearest = set(), self._no_distances()
        for image_id in labelled - self._labelled:
            self._nearest = self._with(self._nearest, image_id)
        self._labelled = labelled
        return self._nearest

    def _with(self, nearest: Vectors, image_id: ImageId) -> Vectors:
        if self._vectors is None:
            return nearest
        distances: Vectors = np.minimum(nearest, 1 - self._vectors @ self._vectors[self._place[image_id]])
        return distances

    def _no_distances(self) -> Vectors:
        return np.full(len(self._ids), 2.0, dtype=np.float32)


class _Counts:
    """What has been asked: questions done, labels by image and type, answers by type."""

    def __init__(self, pairs: Sequence[AnsweredQuestion], skipped: Collection[Asked]) -> None:
        self.done: defaultdict[str | None, set[ImageId]] = defaultdict(set)
        for image_id, type_id in [*((pair.image_id, pair.type_id) for pair in pairs), *skipped]:
            self.done[type_id].add(image_id)
        self.per_image = Counter(pair.image_id for pair in pairs)
        self.per_type = Counter(pair.type_id for pair in pairs)
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for pair in pairs:
            self.answers[pair.type_id or ""][pair.answer] += 1

    def add(self, asked: Asked) -> None:
        self.done[asked[1]].add(asked[0])
        self.per_image[asked[0]] += 1
        self.per_type[asked[1]] += 1


def _value(guess: Guess, answers: Counter[str]) -> float:
    return sum(_parts(guess, answers).values())


def _parts(guess: Guess, answers: Counter[str]) -> dict[Reason, float]:
    """Return what an answer would teach: how unsure, how disputed, and how rare among the labels it is."""
    pairs = list(zip(guess.options, guess.probabilities, strict=True))
    entropy = -sum(p * math.log(p) for _, p in pairs if p > 0) / math.log(max(2, len(pairs)))
    doubted = 1 - dict(pairs).get(guess.written, 1.0) if guess.written is not None else 0.0
    most = max(answers.values(), default=0)
    rarity = sum(p * (1 - answers[option] / most) for option, p in pairs) if most else 0.0
    return {"unsure": entropy, "differ": DISAGREEMENT_WEIGHT * doubted, "rare": RARITY_WEIGHT * rarity}
