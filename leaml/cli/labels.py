"""The command `labels`: bringing in labels that exist already."""

import argparse
from pathlib import Path

from leaml.data.labels import import_labels
from leaml.errors import ImportDataError
from leaml.store import Store

DEFAULT_AUTHOR = "expert"


def add_label_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `labels` to the parser's commands."""
    actions = commands.add_parser("labels", help="bring in labels that exist already").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = actions.add_parser("import", help="all lines of a CSV file: image, question, answer, perhaps author")
    command.add_argument("file", type=Path)
    command.add_argument("--author", default=DEFAULT_AUTHOR, help="where the file names none [expert]")
    command.set_defaults(command=_import_labels)


def _import_labels(arguments: argparse.Namespace) -> None:
    try:
        content = arguments.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImportDataError(f"Cannot read {arguments.file}: {error}. Save it as CSV in UTF-8.") from error
    with Store.open(arguments.workspace, make=False) as store:
        found = import_labels(store, content, author=arguments.author)
    print(f"{found.labels} labels and {found.tests} test answers imported; {found.known} were there already.")
