"""Values that people type on the command line."""

import argparse
from pathlib import Path

from leaml.config import BUNDLED_MODEL


def model_name(text: str) -> str:
    """Return the model that a person typed; a folder by its whole path, since a run may be resumed from elsewhere."""
    folder = Path(text)
    return str(folder.resolve()) if text != BUNDLED_MODEL and folder.is_dir() else text


def row_budget(text: str) -> int | float | str:
    """Return the budget that a person typed: `all`, a whole number, or a share."""
    if text == "all":
        return text
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor `all`") from None
