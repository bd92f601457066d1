"""The commands `user` and `audit`: who may sign in, and whether decisions were changed behind the store's back."""

import argparse
import getpass
import json
import sys
from pathlib import Path

from leaml.errors import ConfigError, UserError
from leaml.records import ROLES
from leaml.store import Store


def add_people_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `user` and `audit` to the parser's commands."""
    actions = commands.add_parser("user", help="add, list or remove those who may sign in").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = actions.add_parser("add", help="asks for the password, or reads it from standard input")
    command.add_argument("name")
    command.add_argument("--role", choices=ROLES, required=True)
    command.set_defaults(command=_add_user)
    actions.add_parser("list", help="names and roles").set_defaults(command=_list_users)
    command = actions.add_parser("remove", help="what they decided stays")
    command.add_argument("name")
    command.set_defaults(command=_remove_user)
    command = actions.add_parser("password", help="give a user another password")
    command.add_argument("name")
    command.set_defaults(command=_change_password)

    actions = commands.add_parser("audit", help="check or write the hash chain over all decisions").add_subparsers(
        required=True, metavar="ACTION"
    )
    actions.add_parser("verify", help="compute it anew; exit code 1 if it does not hold").set_defaults(command=_verify)
    command = actions.add_parser("export", help="write every event with its hash, as JSON Lines")
    command.add_argument("file", type=Path)
    command.set_defaults(command=_export_events)


def _add_user(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        store.users.require_free(arguments.name)
        store.users.add(arguments.name, arguments.role, _read_password(arguments.name))
    print(f"{arguments.name} ({arguments.role}) can sign in.")


def _list_users(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        for user in store.users.all():
            print(f"{user.name}  {user.role}")


def _remove_user(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        store.users.remove(arguments.name)
    print(f"{arguments.name} can sign in no more. What they decided stays.")


def _change_password(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        name = store.users.get(arguments.name).name
        store.users.set_password(name, _read_password(name))
    print(f"{name} has a new password.")


def _read_password(name: str) -> str:
    """Return what a person types twice without seeing it, or the first line of standard input where nobody types.

    Raises:
        UserError: If the two differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password for {name}: ")
    if password != getpass.getpass("Once more: "):
        raise UserError("The two passwords differ. Nothing was changed; run the command again.")
    return password


def _verify(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        count, head = store.verify_events()
    print(f"{count} events, chain intact, head {head}")


def _export_events(arguments: argparse.Namespace) -> None:
    count = 0
    try:
        with Store.open(arguments.workspace) as store, arguments.file.open("w") as file:
            for event in store.events():
                content = event.content or {"event_id": event.event_id}
                file.write(json.dumps({"hash": event.hash, **content}) + "\n")
                count += 1
    except OSError as error:
        raise ConfigError(f"Cannot write {arguments.file}: {error}. Choose another place.") from error
    print(f"{count} events in {arguments.file}.")
