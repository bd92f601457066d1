"""Imports SPORTU's question files (github.com/haotianxia/SPORTU) with the clips that the user brings.

A file is a list of {id, question, answer}, of multiple choice also with options, a map from letters to texts, and a
letter as the answer. A clip is the file that is named as the id. The questions answer each clip once and for all: they
are reference answers, with which the test side is judged and a simulated expert labels the pool.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaml.data.folder import find_items, on_both_sides, split_of
from leaml.data.images import image_row
from leaml.data.items import copy_item, read_item
from leaml.data.questions import by_words, slug, with_types
from leaml.data.video import is_video
from leaml.errors import ImportDataError
from leaml.groups import Groups
from leaml.prompts import normalise_answer
from leaml.records import AnsweredQuestion, ImageRow, Project, QuestionType
from leaml.store import Store

LEAST_ASKED = 5
"""A question that is asked of so many clips is a question type; others have none."""
MOST_OPTIONS = 9
"""A type's options: all that were offered, where these are no more. Others are answered in one's own words."""
ONE_ANGLE = re.compile(r"(.+_\d+)_\d+")
"""An id of one of several recordings of the same scene: they belong together on one side of the split."""


def import_sportu(store: Store, clips: Path, questions: Sequence[Path], *, name: str) -> int:
    """Bring in the clips of a folder that are asked about, with their reference answers; return how many clips lack.

    Args:
        store: The workspace's store.
        clips: Holds the clips, in subfolders or not.
        questions: SPORTU's files.
        name: Of the project.

    Raises:
        ImportDataError: If a file is not in this format, a clip is broken, no clip is there, or one came in before in
            another group; nothing is imported.
    """
    asked = [row for file in questions for row in _read(file)]
    files = {path.stem: path for path in find_items(clips, store.workspace) if is_video(path)}
    wanted = {row["id"] for row in asked}
    found = {clip: read_item(files[clip]) for clip in sorted(wanted & files.keys())}
    if not found:
        raise ImportDataError(
            f"None of the {len(wanted)} clips is in {clips}, such as {min(wanted, default='any')}.mp4. Download "
            "SPORTU's clips there first."
        )
    groups, rows = Groups(store.images()), dict[str, ImageRow]()
    for clip, item in found.items():
        group = _group(clip)
        split = groups.side(item.id, group, otherwise=split_of(group))
        rows[clip] = image_row(item, name=files[clip].name, group=group, split=split)
    rows = on_both_sides(rows, groups)
    groups.check(rows.values())  # before anything is copied
    for clip, item in found.items():
        copy_item(item, store.workspace, rows[clip])
    types = _types(asked)
    project = with_types(store.project() or Project(name, ""), list(types.values()))
    present = by_words(project.question_types)  # with the ids that they have there
    types = {question: present[normalise_answer(question)] for question in types}
    answers = {(row["id"], row["question"]): _answered(row, rows, types) for row in asked if row["id"] in rows}
    store.import_project(project, list(rows.values()), references=list(answers.values()))
    return len(wanted) - len(rows)


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportDataError(f"Cannot read {file}: {error}. It is to be one of SPORTU's JSON files.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ImportDataError(f"{file.name} is no list of questions. It is to be one of SPORTU's JSON files.")
    for number, row in enumerate(rows, start=1):
        _write_out(row, f"Question {number} of {file.name}")
        for field in ("id", "question", "answer"):
            if not isinstance(row.get(field), str) or not row[field].strip():
                raise ImportDataError(f"Question {number} of {file.name} lacks {field!r}.")
        options = row.get("options", {})
        if not isinstance(options, dict) or (options and row["answer"] not in options):
            raise ImportDataError(
                f"Question {number} of {file.name} has the answer {row['answer']!r}, which is none of its options."
            )
        row["question"] = " ".join(row["question"].split())
    return rows


def _write_out(row: dict[str, Any], where: str) -> None:
    """Turn a question's answer and options into text, in place: some are numbers in SPORTU's files.

    Raises:
        ImportDataError: If one of them is neither text nor a number.
    """
    if "answer" in row:
        row["answer"] = _text(row["answer"], where)
    if isinstance(row.get("options"), dict):
        row["options"] = {letter: _text(option, where) for letter, option in row["options"].items()}


def _text(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ImportDataError(f"{where} has {value!r} among its answers. Write each as text or as a number.")
    return str(value)


def _types(asked: Sequence[dict[str, Any]]) -> dict[str, QuestionType]:
    """Return the question types by question."""
    clips, offered = defaultdict[str, set[str]](set), defaultdict[str, dict[str, None]](dict)
    for row in asked:
        clips[row["question"]].add(row["id"])
        offered[row["question"]].update(dict.fromkeys(row.get("options", {}).values()))
    types = {}
    for question, ids in clips.items():
        if len(ids) >= LEAST_ASKED:
            options = tuple(offered[question]) if len(offered[question]) <= MOST_OPTIONS else ()
            # All words: many of its questions begin alike.
            types[question] = QuestionType("_".join(slug(question, between=" ").split()), question, options)
    return types


def _answered(row: dict[str, Any], rows: dict[str, ImageRow], types: dict[str, QuestionType]) -> AnsweredQuestion:
    options, kind = row.get("options", {}), types.get(row["question"])
    answer = options[row["answer"]] if options else row["answer"]
    return AnsweredQuestion(
        rows[row["id"]].id, row["question"], tuple(options.values()), answer, kind.id if kind else None
    )


def _group(clip: str) -> str:
    found = ONE_ANGLE.fullmatch(clip)
    return found[1] if found else clip
