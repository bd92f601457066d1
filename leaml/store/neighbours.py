"""The projects in the folders beside a workspace: one workspace holds one project."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leaml.store.database import peek
from leaml.store.migrations import MIGRATIONS
from leaml.store.workspace import STORE_FILE

Obstacle = Literal["in use", "users", "newer"]
"""Another process has it open; people sign in there, so that nobody comes back from it; a newer version wrote it."""
_ABOUT = """SELECT name, (SELECT count(*) FROM users), (SELECT count(*) FROM migrations)
    FROM project ORDER BY "at" DESC LIMIT 1"""


@dataclass(frozen=True)
class Neighbour:
    """A project in a folder beside a workspace.

    Attributes:
        workspace: Its folder.
        project: Its name; the folder's where another process has it open.
        obstacle: Why it cannot be opened in this one's place; None where it can.
    """

    workspace: Path
    project: str
    obstacle: Obstacle | None = None


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
    rows = peek(file, _ABOUT)
    if rows is None:
        return Neighbour(folder, folder.name, "in use")
    if not rows:
        return None
    name, users, migrations = rows[0]
    return Neighbour(folder, str(name), "newer" if migrations > len(MIGRATIONS) else "users" if users else None)
