"""Writes labels and accepted pairs for use elsewhere: Parquet, JSON Lines, or LLaVA conversations."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leaml.data.video import is_video
from leaml.errors import ImportDataError
from leaml.prompts import question_prompt
from leaml.records import AnsweredQuestion
from leaml.store import Store
from leaml.tables import write_rows


@dataclass(frozen=True)
class ExportedPair:
    """One question-answer pair with its picture's name and where it came from: `label` or `review`."""

    image: str
    image_id: str
    question: str
    options: tuple[str, ...]
    answer: str
    question_type: str | None
    source: str


def export_pairs(store: Store, path: Path) -> int:
    """Write the labels and the accepted and edited pairs; return how many. The ending chooses the format.

    Raises:
        ImportDataError: If the ending is unknown, there is nothing to write, or the file cannot be written.
    """
    if path.suffix not in WRITERS:
        raise ImportDataError(f"Cannot export to {path.name}: the endings are {', '.join(WRITERS)}.")
    names = {image.id: image.name for image in store.images()}
    sources = [("label", [label.pair for label in store.labels("pool")]), ("review", store.reviewed_pairs())]
    pairs = [_exported(pair, names[pair.image_id], source) for source, found in sources for pair in found]
    if not pairs:
        raise ImportDataError("There is nothing to export yet. Label some images first.")
    try:
        WRITERS[path.suffix](path, pairs)
    except OSError as error:
        raise ImportDataError(f"Cannot write {path}: {error}. Choose another place.") from error
    return len(pairs)


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
    aside.write_text(text)
    aside.replace(path)


WRITERS: dict[str, Callable[[Path, list[ExportedPair]], None]] = {
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
    ".json": _write_llava,
}
