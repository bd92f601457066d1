"""The projects in the folders beside a workspace: one workspace holds one project."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leaml.database import peek
from leaml.store import STORE_FILE


@dataclass(frozen=True)
class Neighbour:
    """A project in a folder beside a workspace.

    Attributes:
        workspace: Its folder.
        project: Its name; the folder's where another process has it open.
        in_use: Whether another process has it open.
    """

    workspace: Path
    project: str
    in_use: bool


def neighbours(workspace: Path) -> list[Neighbour]:
    """Return the projects beside a workspace, by name; folders that cannot be looked into are passed over."""
    found = []
    with suppress(OSError):
        for folder in workspace.parent.iterdir():
            if folder != workspace and (neighbour := _look(folder)) is not None:
                found.append(neighbour)
    return sorted(found, key=lambda neighbour: neighbour.project.casefold())


def _look(folder: Path) -> Neighbour | None:
    file = folder / STORE_FILE
    try:
        if not file.is_file():
            return None
    except OSError:
        return None
    rows = peek(file, 'SELECT name FROM project ORDER BY "at" DESC LIMIT 1')
    if rows is None:
        return Neighbour(folder, folder.name, in_use=True)
    return Neighbour(folder, str(rows[0][0]), in_use=False) if rows else None
