"""Brings a folder of images into the open project, or into one of another name in a workspace beside it."""

from collections.abc import Sequence
from pathlib import Path

from app import neighbours_text, project_text, text
from app.errors import InputError
from leaml.data.folder import import_folder
from leaml.data.questions import by_words, slug
from leaml.prompts import normalise_answer
from leaml.records import Project, QuestionType
from leaml.store import Store
from leaml.store.workspace import STORE_FILE


def import_images(store: Store, folder: Path, *, name: str, types: Sequence[QuestionType]) -> tuple[int, Path]:
    """Bring in a folder of images; return how many there are then, and the workspace they are in.

    A workspace that has a project keeps it, and gets more images under its name: one of another name gets a workspace
    beside it, or more images in the one that it has there already.

    Args:
        store: Of the open project.
        folder: Holds the images.
        name: Of the project.
        types: Its questions; of a project that is there those that it lacks, or none.

    Raises:
        InputError: If a new project has no question, a question is there with other answers, no workspace can be called
            by the name, or that one has a project of another name.
        LeamlError: If the folder cannot be read or has no images.
    """
    project = store.project()
    if project is None or project.name == name:
        return _bring(store, project, folder, name=name, types=types)
    called = slug(name, between="-")
    if not called:
        raise InputError(text.NAME_WITHOUT_LETTERS)
    workspace = store.workspace.parent / f"{store.workspace.name}-{called}"
    if not types and not (workspace / STORE_FILE).exists():  # before a workspace is made
        raise InputError(text.NO_QUESTIONS)
    with Store.open(workspace) as other:
        if (there := other.project()) is not None and there.name != name:
            raise InputError(neighbours_text.name_taken(there.name, str(workspace)))
        return _bring(other, there, folder, name=name, types=types)


def _bring(
    store: Store, project: Project | None, folder: Path, *, name: str, types: Sequence[QuestionType]
) -> tuple[int, Path]:
    if project is None and not types:
        raise InputError(text.NO_QUESTIONS)
    known = by_words(project.question_types if project else ())
    for kind in types:
        there = known.get(normalise_answer(kind.question), kind)
        if there.options != kind.options or kind.definition not in ("", there.definition):
            raise InputError(project_text.other_answers(there.question))
    import_folder(store, folder, name=name, question_types=types)
    return len(store.images()), store.workspace
