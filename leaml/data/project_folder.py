"""Imports a project folder: images with groups and splits, question types, captions, reference answers.

`project.json` names the project and its question types: id, question, options, and perhaps a definition. `images.jsonl`
has {file, group, split}, `captions.jsonl` {file, caption}, `reference.jsonl` {file, question_type, answer}; the
pictures or clips are in `images/`.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from leaml.data.images import Picture, image_row
from leaml.data.items import copy_item, read_item
from leaml.errors import ImportDataError
from leaml.groups import Groups
from leaml.prompts import CAPTION_PROMPT, match_answer, takes_several
from leaml.records import AnsweredQuestion, Caption, ImageId, ImageRow, Project, QuestionType
from leaml.store import Store

SAMPLES = {"blood_smears": Path(__file__).resolve().parents[2] / "data" / "samples" / "blood_smears"}
"""The projects that come with LEAML Studio, by name."""


def import_project(store: Store, folder: Path) -> None:
    """Bring a project folder into the workspace: all of it, or nothing.

    Over several imports an image stays in its group, and a group on its side of the split.

    Raises:
        ImportDataError: If a file is missing or broken, or the parts do not fit together or to what is there already.
    """
    settings = _read_json(folder / "project.json")
    types = {kind.id: kind for kind in _types(settings)}
    present = store.project()
    if present is not None and present.name != settings["name"]:
        raise ImportDataError(
            f"This workspace holds the project {present.name!r} already, and one workspace is one project. "
            f"Import {settings['name']!r} into another one."
        )
    rows = _read_lines(folder / "images.jsonl", ("file", "group", "split"))
    _check_groups(rows)
    pictures = {line["file"]: _read_listed(folder / "images", line) for line in rows}
    references = [_reference(line, pictures, types) for line in _read_optional(folder / "reference.jsonl", "answer")]
    teacher = settings.get("teacher", "unknown teacher")
    captions = [
        Caption(_picture(line, pictures).id, line["caption"], teacher, CAPTION_PROMPT)
        for line in _read_optional(folder / "captions.jsonl", "caption")
    ]
    images = _images(rows, pictures)
    Groups(store.images()).check(images)
    for image in images:  # nothing is copied before everything has been checked
        copy_item(pictures[image.name], store.workspace, image)
    project = Project(settings["name"], settings.get("description", ""), tuple(types.values()))
    store.import_project(project, images, references=references, captions=captions)


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


def _types(settings: dict[str, Any]) -> list[QuestionType]:
    if "name" not in settings:
        raise ImportDataError("project.json lacks the project's name.")
    try:
        return [
            QuestionType(item["id"], item["question"], tuple(item["options"]), item.get("definition", ""))
            for item in settings["question_types"]
        ]
    except KeyError as error:
        raise ImportDataError(f"project.json lacks {error}: each question type has id, question, options.") from error


def _reference(line: dict[str, str], pictures: dict[str, Picture], types: dict[str, QuestionType]) -> AnsweredQuestion:
    kind = types.get(line.get("question_type", ""))
    if kind is None:
        raise ImportDataError(f"reference.jsonl asks {line.get('question_type')!r}; project.json does not define it.")
    several, answer = takes_several(kind.question), line["answer"]
    if kind.options:
        answer = match_answer(answer, kind.options, several=several) or ""
    if not answer:
        raise ImportDataError(f"{line['answer']!r} is no answer to {kind.id}, which has {', '.join(kind.options)}.")
    return AnsweredQuestion(_picture(line, pictures).id, kind.question, kind.options, answer, kind.id)


def _picture(line: dict[str, str], pictures: dict[str, Picture]) -> Picture:
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ImportDataError(f"Cannot read {path}: {error}. A project folder has a project.json.") from error
    return value


def _read_optional(path: Path, field: str) -> list[dict[str, str]]:
    return _read_lines(path, ("file", field)) if path.exists() else []


def _read_lines(path: Path, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        texts = path.read_text().splitlines()
    except OSError as error:
        raise ImportDataError(f"Cannot read {path}: {error}.") from error
    rows = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            missing = [name for name in needed if name not in row]
        except (ValueError, TypeError) as error:
            raise ImportDataError(f"Line {number} of {path.name} is no JSON object: {error}.") from error
        if missing:
            raise ImportDataError(f"Line {number} of {path.name} lacks {missing[0]!r}.")
        rows.append(row)
    return rows
