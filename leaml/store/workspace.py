"""A workspace's folder: made for its owner's eyes alone, or found where it should be.

What is in it is about patients, so processes that write there make files that nobody else on the computer can read.
"""

import os
import stat
from pathlib import Path

from leaml.errors import StoreError
from leaml.store.database import fit_for_a_store

STORE_FILE = "leaml.duckdb"
OTHERS = 0o007
"""The rights of whoever is neither the owner nor of the owner's group."""


def keep_private() -> None:
    """Have this process, and those that it starts, write files that their owner alone can read."""
    os.umask(0o077)


def require_workspace(workspace: Path) -> None:
    """Check that a folder is a workspace, without opening its store, which the app may have open.

    Raises:
        StoreError: If it is none.
    """
    if not (workspace / STORE_FILE).exists():
        raise StoreError(
            f"There is no workspace in {workspace}. Check --workspace, and that its disk is there; "
            "`python -m leaml import` makes a new one."
        )


def prepare_workspace(workspace: Path, *, make: bool) -> Path:
    """Return the file of the store in a workspace's folder, which has what it needs.

    Rights of others are taken away, of folders that an earlier version made too; what a group may do stays.

    Args:
        workspace: The folder.
        make: Make one where there is none. A folder that is missing may be one whose disk is not there.

    Raises:
        StoreError: If there is none, or it cannot be made.
    """
    file = fit_for_a_store(workspace) / STORE_FILE
    if not make:
        require_workspace(workspace)
    try:
        for name in ("images", "runs", "tmp"):
            (workspace / name).mkdir(parents=True, exist_ok=True)
        found = workspace.stat()
        if found.st_mode & OTHERS and found.st_uid == os.geteuid():
            workspace.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    except OSError as error:
        raise StoreError(f"Cannot make the workspace {workspace}: {error}. Choose another folder.") from error
    return file
