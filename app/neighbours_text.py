"""What is said of other projects beside this one, which the page can open instead."""

from leaml.store.neighbours import Obstacle

TITLE = "Other projects beside this one"
LEAD = "Opening one leaves this one as it is; training that is under way goes on."
OPEN = "Open"
OBSTACLES: dict[Obstacle, str] = {
    "in use": "open in another app",
    "users": "people sign in there: start it by itself",
    "newer": "made by a newer version",
}
OPENING = "Opening the other project…"


def cannot_open(workspace: str) -> str:
    """Say that a workspace cannot be opened from here."""
    return f"{workspace} is no project beside this one that can be opened now. Load the page again to see which can."


OTHER_PROJECT = "This page is of a project that was left since. Nothing was changed; load it again."


def name_taken(project: str, workspace: str) -> str:
    """Say that another project has the workspace that a new one would get."""
    return f"The workspace {workspace} holds another project, “{project}”. Give the new one another name."
