"""Imports a project folder: images with groups and splits, question types, captions, reference answers.

`project.json` names the project and its question types: id, question, options, and perhaps a definition; it may say how
pictures may be mirrored in training (`flips`). `images.jsonl` has {file, group, split}, `captions.jsonl` {file,
caption}, `reference.jsonl` {file, question_type, answer}; the pictures or clips are in `images/`.

What people have made of the project since it came in stays when it comes again: its questions, and how pictures may be
mirrored.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from leaml.choices import CHOICES_FILE, Choices, write_choices
from leaml.config import FLIPS
from leaml.data.images import Picture, image_row
from leaml.data.items import copy_item, read_item
from leaml.data.questions import by_words, check_question, with_types
from leaml.errors import ImportDataError
from leaml.groups import Groups
from leaml.prompts import CAPTION_PROMPT, match_answer, normalise_answer, takes_several
from leaml.records import AnsweredQuestion, Caption, ImageId, ImageRow, Project, QuestionType
from leaml.store import Store

SAMPLES = {"blood_smears": Path(__file__).resolve().parents[2] / "data" / "samples" / "blood_smears"}
"""The projects that come with LEAML Studio, by name."""


def import_project(store: Store, folder: Path) -> None:
    """Bring a project folder into the workspace: all of it, or nothing.

    Over several imports an image stays in its group, and a group on its side of the split; a question type that is
    there stays as it is, and a reference answer cannot change.

    Raises:
        ImportDataError: If a file is missing or broken, or the parts do not fit together or to what is there already.
    """
    settings = _read_settings(folder / "project.json")
    types = _types(settings)
    present = store.project()
    if present is not None and present.name != settings["name"]:
        raise ImportDataError(
            f"This workspace holds the project {present.name!r} already, and one workspace is one project. "
            f"Import {settings['name']!r} into another one."
        )
    rows = _read_lines(folder / "images.jsonl", ("file", "group", "split"))
    _check_groups(rows)
    pictures = {line["file"]: _read_listed(folder / "images", line) for line in rows}
    before = present.question_types if present else ()
    project = with_types(Project(settings["name"], settings["description"], before), list(types.values()))
    answers = _new_references(store, folder / "reference.jsonl", pictures, types, by_words(project.question_types))
    captions = [
        Caption(_picture(line, pictures).id, line["caption"], settings["teacher"], CAPTION_PROMPT)
        for line in _read_optional(folder / "captions.jsonl", ("file", "caption"))
    ]
    images = _images(rows, pictures)
    Groups(store.images()).check(images)
    for image in images:  # nothing is copied before everything has been checked
        copy_item(pictures[image.name], store.workspace, image)
    store.import_project(project, images, references=answers, captions=captions)
    if "flips" in settings and not (store.workspace / CHOICES_FILE).exists():  # what people chose since stays
        write_choices(store.workspace, Choices(flips=settings["flips"]))


def _read_listed(folder: Path, line: dict[str, Any]) -> Picture:
    """Read the picture that a line of images.jsonl names."""
    if line["split"] not in ("pool", "test"):
        raise ImportDataError(f"{line['file']} has the split {line['split']!r}; `pool` and `test` are known.")
    path = folder / line["file"]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ImportDataError(f"The image {line['file']} lies outside the project's folder. Put it into {folder}.")
    return read_item(path)


def _images(rows: list[dict[str, Any]], pictures: dict[str, Picture]) -> list[ImageRow]:
    """Return the images, of files with the same picture the first one."""
    images: dict[ImageId, ImageRow] = {}
    for line in rows:
        name = line["file"]
        row = image_row(pictures[name], name=name, group=line["group"], split=line["split"])
        first = images.setdefault(row.id, row)
        if first.split != row.split:
            raise ImportDataError(
                f"{first.name} and {name} are the same picture, one in the pool and one in the test. Take one out."
            )
    return list(images.values())


def _types(settings: dict[str, Any]) -> dict[str, QuestionType]:
    """Return the question types by id."""
    if not isinstance(settings.get("question_types"), list):
        raise ImportDataError("project.json lacks 'question_types': a list, each with id, question, options.")
    types: dict[str, QuestionType] = {}
    for number, item in enumerate(settings["question_types"], start=1):
        where = f"Question type {number} of project.json"
        kind = _type(item, where)
        if kind.id in types:
            raise ImportDataError(f"{where} has the id {kind.id!r} again. Give each question type an id of its own.")
        check_question(kind, list(types.values()), where)
        types[kind.id] = kind
    return types


def _type(item: Any, where: str) -> QuestionType:
    if not isinstance(item, dict):
        raise ImportDataError(f"{where} is no JSON object: each question type has id, question, options.")
    missing = next((name for name in ("id", "question", "options") if name not in item), None)
    if missing:
        raise ImportDataError(f"{where} lacks {missing!r}: each question type has id, question, options.")
    item = {"definition": "", **item}
    _check_texts(item, ("id", "question", "definition"), where)
    options = item["options"]
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ImportDataError(f'{where} has the options {options!r}. Write a list of texts, such as ["yes", "no"].')
    texts = (item["question"], item["definition"], *options)
    question, definition, *options = (" ".join(text.split()) for text in texts)  # as the app's form can hold them
    return QuestionType(item["id"], question, tuple(options), definition)


def _check_texts(values: dict[str, Any], names: Iterable[str], where: str) -> None:
    for name in names:
        if not isinstance(values[name], str):
            raise ImportDataError(f"{where} has {values[name]!r} as its {name!r}. Write a text, in quotes.")


def _new_references(
    store: Store,
    file: Path,
    pictures: dict[str, Picture],
    types: dict[str, QuestionType],
    project: dict[str, QuestionType],
) -> list[AnsweredQuestion]:
    """Return the reference answers of a file that are not there yet.

    Args:
        store: Has those that are there.
        file: Need not be there.
        pictures: By the names that the file uses.
        types: By the ids that the file uses.
        project: The project's question types, by their questions as these are compared.

    Raises:
        ImportDataError: If one is broken, or contradicts another or one that is there.
    """
    known = {_asked(pair): pair.answer for pair in store.references()}
    found: dict[tuple[ImageId, str], AnsweredQuestion] = {}
    for line in _read_optional(file, ("file", "question_type", "answer")):
        pair = _reference(line, pictures, types)
        kind = project[normalise_answer(pair.question)]
        pair = replace(pair, question=kind.question, type_id=kind.id)
        asked = f"{pair.question!r} about {line['file']}"
        before, above = known.get(_asked(pair)), found.setdefault(_asked(pair), pair)
        if before is not None and not _alike(before, pair.answer):
            raise ImportDataError(
                f"The reference answer to {asked} is {before!r} already, and would now be {pair.answer!r}. Write the "
                f"former one into {file.name}, or import everything into a new workspace."
            )
        if not _alike(above.answer, pair.answer):
            raise ImportDataError(f"{file.name} answers {asked} by {above.answer!r} and {pair.answer!r}. Keep one.")
    return [pair for asked, pair in found.items() if asked not in known]


def _asked(pair: AnsweredQuestion) -> tuple[ImageId, str]:
    return pair.image_id, normalise_answer(pair.question)


def _alike(answer: str, other: str) -> bool:
    return normalise_answer(answer) == normalise_answer(other)


def _reference(line: dict[str, Any], pictures: dict[str, Picture], types: dict[str, QuestionType]) -> AnsweredQuestion:
    kind = types.get(line["question_type"])
    if kind is None:
        raise ImportDataError(f"reference.jsonl asks {line['question_type']!r}; project.json does not define it.")
    several, answer = takes_several(kind.question), line["answer"]
    if kind.options:
        answer = match_answer(answer, kind.options, several=several) or ""
    if not answer:
        raise ImportDataError(f"{line['answer']!r} is no answer to {kind.id}, which has {', '.join(kind.options)}.")
    return AnsweredQuestion(_picture(line, pictures).id, kind.question, kind.options, answer, kind.id)


def _picture(line: dict[str, Any], pictures: dict[str, Picture]) -> Picture:
    if line["file"] not in pictures:
        raise ImportDataError(f"The image {line['file']!r} is not listed in images.jsonl.")
    return pictures[line["file"]]


def _check_groups(rows: list[dict[str, Any]]) -> None:
    if not rows:
        raise ImportDataError("images.jsonl lists no image.")
    splits: dict[str, set[str]] = defaultdict(set)
    for line in rows:
        splits[line["group"]].add(line["split"])
    for group, found in splits.items():
        if len(found) > 1:
            raise ImportDataError(f"The group {group!r} is in the pool and in the test. Keep it on one side.")


def _read_settings(path: Path) -> dict[str, Any]:
    """Return what project.json says, with a name, a description and a teacher."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportDataError(f"Cannot read {path}: {error}. A project folder has a project.json.") from error
    if not isinstance(settings, dict) or "name" not in settings:
        raise ImportDataError(
            'project.json lacks the project\'s name. Write it as {"name": ..., "question_types": ...}.'
        )
    settings = {"description": "", "teacher": "unknown teacher", **settings}
    _check_texts(settings, ("name", "description", "teacher"), path.name)
    if settings.get("flips", "none") not in FLIPS:
        raise ImportDataError(f"{path.name} has {settings['flips']!r} as its 'flips'. Write one of {', '.join(FLIPS)}.")
    return settings


def _read_optional(path: Path, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    return _read_lines(path, needed) if path.exists() else []


def _read_lines(path: Path, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a file's lines as objects that have the needed texts."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImportDataError(f"Cannot read {path}: {error}.") from error
    rows = []
    # Texts may hold other characters at which `splitlines` ends a line, such as U+2028.
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            rows.append(_read_line(line, needed, f"Line {number} of {path.name}"))
    return rows


def _read_line(line: bytes, needed: tuple[str, ...], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ImportDataError(f"{where} is not in UTF-8: {error}. Save the file in UTF-8.") from error
    except ValueError as error:
        raise ImportDataError(f"{where} is no JSON object: {error}.") from error
    if not isinstance(row, dict):
        raise ImportDataError(f"{where} is no JSON object: {row!r}. Write {{{', '.join(needed)}}}.")
    missing = next((name for name in needed if name not in row), None)
    if missing:
        raise ImportDataError(f"{where} lacks {missing!r}.")
    _check_texts(row, needed, where)
    return row
