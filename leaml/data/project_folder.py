"""Imports a project folder: images with groups and splits, question types, captions, reference answers.

`project.json` names the project and its question types; `images.jsonl` has {file, group, split}, `captions.jsonl`
{file, caption}, `reference.jsonl` {file, question_type, answer}; the pictures are in `images/`.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from leaml.data.images import copy_picture, read_picture
from leaml.errors import ImportDataError
from leaml.prompts import CAPTION_PROMPT, match_option
from leaml.records import AnsweredQuestion, Caption, ImageRow, Project, QuestionType
from leaml.store import Store

SAMPLES = {"blood_smears": Path(__file__).resolve().parents[2] / "data" / "samples" / "blood_smears"}
"""The projects that come with LEAML Studio, by name."""


def import_project(store: Store, folder: Path) -> None:
    """Bring a project folder into the workspace: all of it, or nothing.

    Raises:
        ImportDataError: If a file is missing or broken, or the parts do not fit together.
    """
    settings = _read_json(folder / "project.json")
    types = {kind.id: kind for kind in _types(settings)}
    images: dict[str, ImageRow] = {}
    for line in _read_lines(folder / "images.jsonl", ("file", "group", "split")):
        if line["split"] not in ("pool", "test"):
            raise ImportDataError(f"{line['file']} has the split {line['split']!r}; `pool` and `test` are known.")
        picture = read_picture(folder / "images" / line["file"])
        images[line["file"]] = copy_picture(
            picture, store.workspace, name=line["file"], group=line["group"], split=line["split"]
        )
    _check_groups(images)
    references = [_reference(line, images, types) for line in _read_optional(folder / "reference.jsonl", "answer")]
    teacher = settings.get("teacher", "unknown teacher")
    captions = [
        Caption(_image(line, images).id, line["caption"], teacher, CAPTION_PROMPT)
        for line in _read_optional(folder / "captions.jsonl", "caption")
    ]
    project = Project(settings["name"], settings.get("description", ""), tuple(types.values()))
    store.import_project(project, list(images.values()), references=references, captions=captions)


def _types(settings: dict[str, Any]) -> list[QuestionType]:
    if "name" not in settings:
        raise ImportDataError("project.json lacks the project's name.")
    try:
        return [
            QuestionType(item["id"], item["question"], tuple(item["options"])) for item in settings["question_types"]
        ]
    except KeyError as error:
        raise ImportDataError(f"project.json lacks {error}: each question type has id, question, options.") from error


def _reference(line: dict[str, str], images: dict[str, ImageRow], types: dict[str, QuestionType]) -> AnsweredQuestion:
    kind = types.get(line.get("question_type", ""))
    if kind is None:
        raise ImportDataError(f"reference.jsonl asks {line.get('question_type')!r}; project.json does not define it.")
    if kind.options and match_option(line["answer"], kind.options) is None:
        raise ImportDataError(f"{line['answer']!r} is no answer to {kind.id}, which has {', '.join(kind.options)}.")
    return AnsweredQuestion(_image(line, images).id, kind.question, kind.options, line["answer"], kind.id)


def _image(line: dict[str, str], images: dict[str, ImageRow]) -> ImageRow:
    if line["file"] not in images:
        raise ImportDataError(f"The image {line['file']!r} is not listed in images.jsonl.")
    return images[line["file"]]


def _check_groups(images: dict[str, ImageRow]) -> None:
    if not images:
        raise ImportDataError("images.jsonl lists no image.")
    splits: dict[str, set[str]] = defaultdict(set)
    for image in images.values():
        splits[image.group].add(image.split)
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
