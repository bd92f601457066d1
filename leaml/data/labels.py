"""Imports labels that exist already: a CSV file with a row an answer.

Its first line names the columns `image` (the file's name), `question` (its text, or a question type's id), `answer`,
and perhaps `author` and, of a question that the project does not ask, `options` with | between. Answers about images
of the pool are learnt from; those about test images are what models are tested against, and nothing is ever trained
on them. What cannot be matched is said line by line, and then nothing is imported.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from leaml.errors import ImportDataError
from leaml.prompts import match_answer, normalise_answer, takes_several
from leaml.records import AnsweredQuestion, ImageId, ImageRow, Label, QuestionType, Split
from leaml.store import Store

Known = TypeVar("Known")
Key = tuple[ImageId, Literal["words", "type"], str]
"""What a question about an image is known by."""

NEEDED = ("image", "question", "answer")
NAMED_FAULTS = 10
"""So many bad lines are told; of the rest, the number."""


@dataclass(frozen=True)
class FiledAnswer:
    """An answer of a file, who gave it, and which side its image is on."""

    pair: AnsweredQuestion
    author: str
    split: Split


@dataclass(frozen=True)
class Imported:
    """What an import brought.

    Attributes:
        labels: Labels of pool images that were added or changed.
        tests: Answers about test images that were added or changed.
        known: Answers that were there already.
    """

    labels: int
    tests: int
    known: int


def import_labels(store: Store, content: str, *, author: str) -> Imported:
    """Bring in the answers of a CSV file's content: all of them, or none.

    A label that stands already with the same answer and author is left as it is, so that importing again changes
    nothing. Reference answers that came with the data are never changed.

    Args:
        store: The workspace's store.
        content: Of the file.
        author: Whose labels they are where the file does not say so.

    Raises:
        ImportDataError: If a line cannot be used, with a sentence for each.
    """
    project = store.project()
    if project is None:
        raise ImportDataError("This workspace is empty. Import a project or a folder of images first.")
    references = {key: pair.answer for pair in store.references("test") for key in _asked(pair)}
    standing = {key: label for label in store.labels() for key in _asked(label.pair)}
    found = _Reader(store.images(), project.question_types, references, standing, author).read(content)
    new = [row for row in found if _find(references, row.pair) is None and not _stands(_find(standing, row.pair), row)]
    store.add_labels([(row.pair, row.author) for row in new])
    tests = sum(row.split == "test" for row in new)
    return Imported(len(new) - tests, tests, len(found) - len(new))


def _asked(pair: AnsweredQuestion) -> list[Key]:
    """Return what a question is known by, its words first: by its type too, whose words may have been changed."""
    by_words: Key = (pair.image_id, "words", pair.question)
    return [by_words] if pair.type_id is None else [by_words, (pair.image_id, "type", pair.type_id)]


def _find(known: Mapping[Key, Known], pair: AnsweredQuestion) -> Known | None:
    return next((known[key] for key in _asked(pair) if key in known), None)


def _stands(label: Label | None, row: FiledAnswer) -> bool:
    return label is not None and (label.pair, label.author) == (row.pair, row.author)


class _Reader:
    """Reads rows against what the project has, and collects what is wrong with them."""

    def __init__(
        self,
        images: list[ImageRow],
        types: tuple[QuestionType, ...],
        references: Mapping[Key, str],
        standing: Mapping[Key, Label],
        author: str,
    ) -> None:
        self._author, self._references, self._standing = author, references, standing
        self._types = {kind.id: kind for kind in types}
        self._types |= {normalise_answer(kind.question): kind for kind in types}
        self._images: dict[str, set[ImageRow]] = defaultdict(set)
        for image in images:
            self._images[image.id].add(image)
            self._images[image.name].add(image)
        whole = set(self._images)  # a whole name means that image, whatever lies in subfolders
        for image in images:
            if (last := image.name.rsplit("/", 1)[-1]) not in whole:
                self._images[last].add(image)

    def read(self, content: str) -> list[FiledAnswer]:
        rows = csv.DictReader(io.StringIO(content.removeprefix("\ufeff")), dialect=_dialect(content), strict=True)
        try:
            missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
        except csv.Error as error:
            raise ImportDataError(
                f"Line 1: it cannot be read as CSV ({error}). Write image,question,answer there. Nothing was imported."
            ) from error
        if missing:
            raise ImportDataError(
                f"The first line must name the columns {', '.join(NEEDED)}, and may name author. It lacks "
                f"{', '.join(missing)}. Nothing was imported."
            )
        labels, faults, seen = list[FiledAnswer](), list[str](), set[Key]()
        try:
            for row in rows:
                try:
                    label = self._label(row)
                    if not seen.isdisjoint(asked := _asked(label.pair)):
                        raise ImportDataError("this question about this image is answered above already")
                    seen.update(asked)
                    labels.append(label)
                except ImportDataError as error:
                    faults.append(f"Line {rows.line_num}: {error}.")
        except csv.Error as error:
            faults.append(f"Line {rows.reader.line_num}: it cannot be read as CSV ({error}).")
        if faults:
            rest = f" And {len(faults) - NAMED_FAULTS} more." if len(faults) > NAMED_FAULTS else ""
            raise ImportDataError(f"Nothing was imported. {' '.join(faults[:NAMED_FAULTS])}{rest}")
        if not labels:
            raise ImportDataError("The file has no line below the names of the columns. Nothing was imported.")
        return labels

    def _label(self, row: Mapping[str | None, str | list[str] | None]) -> FiledAnswer:
        if None in row:
            raise ImportDataError("it has more fields than the first line; put quotes around a comma")
        values = {name: str(value or "").strip() for name, value in row.items()}
        empty = next((name for name in NEEDED if not values[name]), None)
        if empty:
            raise ImportDataError(f"the {empty} is missing")
        image, asked, answer = self._image(values["image"]), values["question"], values["answer"]
        author = values.get("author") or self._author
        stands = self._standing.get((image.id, "words", asked))
        if stands and (stands.pair.answer, stands.author) == (answer, author):
            return FiledAnswer(stands.pair, author, image.split)  # as it was given, whatever is asked by now
        kind = self._types.get(asked) or self._types.get(normalise_answer(asked))
        if kind is None and image.split == "test":
            test = f"{image.name!r} is kept for the test, which asks the project's questions"
            raise ImportDataError(f"{test}, not {asked!r}")
        if kind is None:
            options = tuple(part.strip() for part in values.get("options", "").split("|") if part.strip())
            return FiledAnswer(AnsweredQuestion(image.id, asked, options, answer), author, image.split)
        if kind.options:
            kept = match_answer(answer, kind.options, several=takes_several(kind.question))
            if kept is None:
                raise ImportDataError(f"{answer!r} is no answer to {kind.id}, which has {', '.join(kind.options)}")
            answer = kept
        pair = AnsweredQuestion(image.id, kind.question, kind.options, answer, kind.id)
        came = _find(self._references, pair)
        if came not in (None, answer):
            raise ImportDataError(f"the data came with the answer {came!r}, which stays")
        return FiledAnswer(pair, author, image.split)

    def _image(self, name: str) -> ImageRow:
        found = self._images.get(name, set())
        if not found:
            raise ImportDataError(f"there is no image {name!r} in this project")
        if len(found) > 1:
            raise ImportDataError(f"{name!r} is the name of {len(found)} images; write its folder too")
        return next(iter(found))


def _dialect(content: str) -> type[csv.Dialect]:
    """Return commas, or the semicolons or tabs that spreadsheet programs write in some countries."""
    first = content.removeprefix("\ufeff").splitlines()[:1] or [""]
    marks = {mark: first[0].count(mark) for mark in ",;\t"}

    class Found(csv.excel):
        delimiter = max(marks, key=lambda mark: marks[mark])

    return Found
