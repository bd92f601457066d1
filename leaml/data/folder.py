"""Imports a plain folder of images or clips. The split is made here, once, by group."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from leaml.data.images import COPIES, Picture, image_row
from leaml.data.items import FILE_ENDINGS, READ, copy_item, read_item
from leaml.data.questions import with_types
from leaml.errors import ImportDataError
from leaml.groups import Groups
from leaml.records import ImageId, ImageRow, Project, QuestionType, Split
from leaml.store import Store
from leaml.store.workspace import STORE_FILE

TEST_SHARE = 0.2
Item = TypeVar("Item")
NAMED_FAULTS = 5
"""So many broken files are named; of the rest, the number is told."""


def import_folder(store: Store, folder: Path, *, name: str, question_types: Sequence[QuestionType] = ()) -> None:
    """Bring the images and clips of a folder and its subfolders into the workspace.

    A subfolder is a group (a patient, a procedure) and stays on one side of the split; an image that lies in none is a
    group of its own, and a subfolder that holds everything is no group. About a fifth of the groups are the test, and
    of two or more at least one, chosen by the hash of their names, so that importing again gives the same split. A
    project that is there keeps its name and its question types; those that it lacks are added.

    Over several imports: a group that is there keeps its side, and what lies in a subfolder that came in as a group
    joins it. Where an image that is there would get another group, nothing is imported. So a subfolder that held
    everything, whose images were groups of their own, cannot become one group among others later.

    Args:
        store: The workspace's store.
        folder: Holds pictures or clips in the formats that are read.
        name: Of the project.
        question_types: What is asked of many images.

    Raises:
        ImportDataError: If there is no image, one is broken, or one that is there would get another group; nothing is
            imported then.
    """
    if not folder.is_dir():
        raise ImportDataError(f"There is no folder {folder}. Check the path.")
    check_name(name)
    pictures = _read(folder, store.workspace)
    groups = Groups(store.images())
    rows = _rows(folder, pictures, groups)
    groups.check(rows.values())  # before anything is copied
    _check_subfolders(groups.images.values(), rows.values())
    for _, picture in pictures:
        copy_item(picture, store.workspace, rows[picture.id])
    store.import_project(with_types(store.project() or Project(name, ""), question_types), list(rows.values()))


def _read(folder: Path, workspace: Path) -> list[tuple[Path, Picture]]:
    """Return the images and clips of a folder with their paths, or refuse it with what is wrong with them."""
    pictures, faults = list[tuple[Path, Picture]](), list[str]()
    for path in find_items(folder, workspace):
        try:
            check_name(str(path.relative_to(folder)))
            pictures.append((path, read_item(path)))
        except ImportDataError as error:
            faults.append(str(error))
    if faults:
        rest = f" And {len(faults) - NAMED_FAULTS} more." if len(faults) > NAMED_FAULTS else ""
        raise ImportDataError("Nothing was imported. " + " ".join(faults[:NAMED_FAULTS]) + rest)
    if not pictures:
        raise ImportDataError(f"The folder {folder} holds no image or clip ({READ}).")
    return pictures


def find_items(folder: Path, workspace: Path) -> list[Path]:
    """Return the files of pictures and clips in a folder and its subfolders, by their endings.

    The images of a workspace, this one or another in the folder, are left out: they are copies, and pictures made of
    these, which have other bytes than the test images that they show.

    Raises:
        ImportDataError: If the folder lies among the images of this workspace.
    """
    if folder.resolve().is_relative_to(workspace.resolve() / COPIES):
        raise ImportDataError(f"The folder {folder} holds this workspace's copies. Name the folder they came from.")
    found = list[Path]()
    for at, subfolders, names in os.walk(folder):
        if STORE_FILE in names and COPIES in subfolders:
            subfolders.remove(COPIES)
        found += [Path(at, name) for name in names if Path(name).suffix.lower() in FILE_ENDINGS]
    return sorted(path for path in found if path.is_file())


def check_name(name: str) -> None:
    """Refuse the name of a file or a folder that cannot be kept as text.

    Raises:
        ImportDataError: If it is not in UTF-8, as on disks that were written long ago.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise ImportDataError(f"The name of {shown} is not in UTF-8. Rename it.") from None


def _rows(folder: Path, pictures: Sequence[tuple[Path, Picture]], groups: Groups) -> dict[ImageId, ImageRow]:
    """Return the images in their groups, those that are there already and those that are not."""
    base = os.path.commonpath([path.parent for path, _ in pictures])
    known, rows = _subfolders(groups.images.values()), dict[ImageId, ImageRow]()
    for path, picture in pictures:
        shown, inside = path.relative_to(folder), path.relative_to(base).parts
        joined = next((known[parent] for parent in shown.parents if parent in known), None)
        group = joined or (inside[0] if len(inside) > 1 else picture.id)
        before = groups.images.get(picture.id)
        if before and before.group != group and picture.id in rows:
            continue  # a copy of a file elsewhere in the folder, which says the group
        split = groups.side(picture.id, group, otherwise=split_of(group))
        rows[picture.id] = image_row(picture, name=str(shown), group=group, split=split)
    return on_both_sides(rows, groups)


def _subfolders(images: Iterable[ImageRow]) -> dict[Path, str]:
    """Return the subfolders that are groups, as paths within the folder that was imported."""
    found: dict[Path, str] = {}
    for image in images:
        at = next((parent for parent in Path(image.name).parents if parent.name == image.group), None)
        if at is not None:
            found[at] = image.group
    return found


def _check_subfolders(known: Iterable[ImageRow], coming: Iterable[ImageRow]) -> None:
    """Refuse to make a group of a subfolder from which images came in otherwise, by their names.

    Those images need not be in the folder any more.
    """
    subfolders = _subfolders(coming)
    for image in known:
        for parent in Path(image.name).parents:
            if subfolders.get(parent, image.group) != image.group:
                raise ImportDataError(
                    f"The subfolder {parent} would now be a group on one side of the split, but {image.name} came in "
                    "from there in another group. Give the subfolder another name, or import everything into a new "
                    "workspace."
                )


def split_of(group: str) -> Split:
    """Return the side of the wall that a group is on: a function of its name alone."""
    return "test" if _place_of(group) < TEST_SHARE else "pool"


def on_both_sides(rows: Mapping[Item, ImageRow], groups: Groups) -> dict[Item, ImageRow]:
    """Return images that come in with one new group on the other side, where one side would be empty by chance.

    It is the group nearest to the border, so that importing the same again moves the same one.
    """
    new = sorted({row.group for row in rows.values()} - groups.names(), key=_place_of)
    sides = {image.split for image in (*groups.images.values(), *rows.values())}
    if len(sides) != 1 or not new or len(groups.names() | {row.group for row in rows.values()}) < 2:
        return dict(rows)
    side: Split = "test" if sides == {"pool"} else "pool"
    moved = new[0] if side == "test" else new[-1]
    return {item: replace(row, split=side) if row.group == moved else row for item, row in rows.items()}


def _place_of(group: str) -> float:
    """Return a number from 0 to 1 that a group's name alone decides."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 2**32
