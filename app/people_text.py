"""Sentences about signing in and about rights. No logic beyond putting names into sentences."""

SIGN_IN = "Sign in. Whoever looks after this computer gives you a name and a password."
SIGNED_OUT = "You are signed out. Nothing was saved; load the page again and sign in."
SIGN_OUT = "Sign out"
NEEDS_ADMIN = "An admin starts trainings."
NOT_LABELLING_TITLE = "Labelling is for experts"
NOT_LABELLING = "As a reviewer you decide about the pairs that the model wrote."
RIGHTS = {
    "label": "label images",
    "review": "review pairs",
    "train": "start or stop trainings",
    "import": "import",
    "oversee": "accept batches or take back others' decisions",
}


def not_allowed(name: str, right: str) -> str:
    """Say that somebody may not do something, and who could change that."""
    return f"{name} may not {RIGHTS[right]}. Nothing was changed; ask an admin of this workspace."
