"""`python -m leaml ...`: everything the app can do, without a browser.

`commands` reads the line; the others are its parts.
"""

from leaml.cli.commands import main

__all__ = ["main"]
