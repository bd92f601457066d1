"""Writes what people decided for use elsewhere.

Labels and accepted pairs, to train on: Parquet, JSON Lines, or LLaVA conversations. Or all answers of people with their
authors, those about test images too: CSV, which `leaml.data.labels` reads again.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from leaml.data.video import is_video
from leaml.errors import ImportDataError
from leaml.prompts import question_prompt
from leaml.records import AnsweredQuestion, ImageId, ImageRow
from leaml.store import Store
from leaml.tables import write_rows


@dataclass(frozen=True)
class ExportedPair:
    """One question-answer pair with its picture's name and where it came from: `label` or `review`.

    Where several pictures have one name, `image` is the picture's place in the workspace.
    """

    image: str
    image_id: str
    question: str
    options: tuple[str, ...]
    answer: str
    question_type: str | None
    source: str


def export(store: Store, path: Path) -> int:
    """Write the labels and the accepted and edited pairs, or people's answers; return how many.

    Args:
        store: The workspace's store.
        path: Its ending chooses what is written, and how.

    Raises:
        ImportDataError: If the ending is unknown, there is nothing to write, or the file cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise ImportDataError(f"Cannot export to {path.name}: the endings are {', '.join(ENDINGS)}.")
    rows: list[Any] = _answers(store) if path.suffix == ANSWERS else _pairs(store)
    if not rows:
        raise ImportDataError("There is nothing to export yet. Label some images first.")
    try:
        (_write_answers if path.suffix == ANSWERS else WRITERS[path.suffix])(path, rows)
    except OSError as error:
        raise ImportDataError(f"Cannot write {path}: {error}. Choose another place.") from error
    return len(rows)


def export_now(store: Store, folder: Path, ending: str) -> tuple[int, Path]:
    """Write a file that is named by what it holds and by the time, into a folder; return how many, and the file.

    Raises:
        ImportDataError: See `export`.
    """
    with suppress(OSError):  # writing says it
        folder.mkdir(exist_ok=True)
    name = f"{'answers' if ending == ANSWERS else 'pairs'}-{datetime.now():%Y-%m-%d-%H%M%S}"
    file = (folder / name).with_suffix(ending if ending in ENDINGS else ".unknown")
    return export(store, file), file


def _pairs(store: Store) -> list[ExportedPair]:
    names = _names(store.images(), lambda image: image.path)
    sources = [("label", [label.pair for label in store.labels("pool")]), ("review", store.answered.reviewed())]
    return [_exported(pair, names[pair.image_id], source) for source, found in sources for pair in found]


def _answers(store: Store) -> list[tuple[str, ...]]:
    images = store.images()
    names = _names(images, lambda image: image.id)
    splits = {image.id: image.split for image in images}
    rows: list[tuple[str, ...]] = []
    for label in store.labels():
        pair = label.pair
        options = "" if pair.type_id else " | ".join(pair.options)  # those of the project's questions are the project's
        rows.append((names[pair.image_id], pair.question, pair.answer, label.author, options, splits[pair.image_id]))
    return rows


def _names(images: Sequence[ImageRow], otherwise: Callable[[ImageRow], str]) -> dict[ImageId, str]:
    """Return what each image is called: its name, or where others have the same one what `otherwise` says."""
    times = Counter(image.name for image in images)
    return {image.id: image.name if times[image.name] == 1 else otherwise(image) for image in images}


def _write_answers(path: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([ANSWER_COLUMNS, *rows])
    _write_text(path, "\ufeff" + text.getvalue())  # by this mark spreadsheet programs know UTF-8


def _exported(pair: AnsweredQuestion, name: str, source: str) -> ExportedPair:
    return ExportedPair(name, pair.image_id, pair.question, pair.options, pair.answer, pair.type_id, source)


def _write_parquet(path: Path, pairs: list[ExportedPair]) -> None:
    write_rows(path, pairs, ExportedPair)


def _write_jsonl(path: Path, pairs: list[ExportedPair]) -> None:
    _write_text(path, "".join(json.dumps(asdict(pair)) + "\n" for pair in pairs))


def _write_llava(path: Path, pairs: list[ExportedPair]) -> None:
    _write_text(path, json.dumps([_conversation(number, pair) for number, pair in enumerate(pairs)], indent=1))


def _conversation(number: int, pair: ExportedPair) -> dict[str, Any]:
    kind = "video" if is_video(Path(pair.image)) else "image"
    asked = f"<{kind}>\n{question_prompt(pair.question, pair.options)}"
    turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": pair.answer}]
    return {"id": str(number), kind: pair.image, "conversations": turns}


def _write_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8", newline="")
    aside.replace(path)


WRITERS: dict[str, Callable[[Path, list[ExportedPair]], None]] = {
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
    ".json": _write_llava,
}
ANSWERS, ANSWER_COLUMNS = ".csv", ("image", "question", "answer", "author", "options", "split")
ENDINGS = (*WRITERS, ANSWERS)
