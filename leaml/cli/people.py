"""The commands `user` and `audit`: who may sign in, the chain over all decisions, and taking decisions back."""

import argparse
import getpass
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
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
    command.add_argument("--again", action="store_true", help="the same person decided things under this name before")
    command.set_defaults(command=_add_user)
    actions.add_parser("list", help="names and roles").set_defaults(command=_list_users)
    command = actions.add_parser("remove", help="what they decided stays")
    command.add_argument("name")
    command.set_defaults(command=_remove_user)
    command = actions.add_parser("password", help="give a user another password")
    command.add_argument("name")
    command.set_defaults(command=_change_password)

    actions = commands.add_parser(
        "audit", help="check or write the hash chain over all decisions; take some back"
    ).add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("verify", help="compute it anew; exit code 1 if it does not hold").set_defaults(command=_verify)
    command = actions.add_parser("export", help="write every event with its hash, as JSON Lines")
    command.add_argument("file", type=Path)
    command.set_defaults(command=_export_events)
    actions.add_parser("sessions", help="each person's decisions without a long pause").set_defaults(command=_sessions)
    command = actions.add_parser("rollback", help="take back decisions, as new events: nothing is deleted")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--batch", type=int, metavar="NUMBER", help="what a batch accepted")
    what.add_argument("--session", type=int, metavar="NUMBER", help="see `audit sessions`")
    what.add_argument("--person", metavar="NAME", help="what somebody decided since a time")
    command.add_argument("--since", type=_time, help="for --person, such as 2026-03-01T14:00 [from the first on]")
    command.add_argument("--by", required=True, metavar="NAME", help="who takes them back")
    command.set_defaults(command=_roll_back)


def _add_user(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace) as store:
        store.users.require_free(arguments.name, again=arguments.again)
        store.users.add(arguments.name, arguments.role, _read_password(arguments.name), again=arguments.again)
    print(f"{arguments.name} ({arguments.role}) can sign in.")


def _list_users(arguments: argparse.Namespace) -> None:
    with Store.open_to_read(arguments.workspace) as store:
        for user in store.users.all():
            print(f"{user.name}  {user.role}")


def _remove_user(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace, make=False) as store:
        store.users.remove(arguments.name)
    print(f"{arguments.name} can sign in no more. What they decided stays.")


def _change_password(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace, make=False) as store:
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
    with Store.open_to_read(arguments.workspace) as store:
        count, head = store.verify_events()
    print(f"{count} events, chain intact, head {head}")


def _export_events(arguments: argparse.Namespace) -> None:
    count, aside = 0, arguments.file.with_name(f".{arguments.file.name}.{os.getpid()}")
    try:
        with Store.open_to_read(arguments.workspace) as store, aside.open("w") as file:
            for event in store.events():
                content = event.content or {"event_id": event.event_id}
                file.write(json.dumps({"hash": event.hash, **content}) + "\n")
                count += 1
        aside.replace(arguments.file)  # an earlier export is not lost to one that fails
    except OSError as error:
        raise ConfigError(f"Cannot write {arguments.file}: {error}. Choose another place.") from error
    finally:
        with suppress(OSError):  # there is none where its folder is none
            aside.unlink()
    print(f"{count} events in {arguments.file}.")


def _sessions(arguments: argparse.Namespace) -> None:
    with Store.open_to_read(arguments.workspace) as store:
        for session in store.rollback.sessions():
            began, ended = (time.astimezone().strftime("%Y-%m-%d %H:%M") for time in (session.began, session.ended))
            print(f"{session.number:<8} {session.author}  {session.decisions} decisions  {began} to {ended}")


def _roll_back(arguments: argparse.Namespace) -> None:
    if arguments.since is not None and arguments.person is None:
        raise ConfigError("--since goes with --person.")
    with Store.open(arguments.workspace, make=False) as store:
        if arguments.batch is not None:
            taken = store.rollback.batch(arguments.batch, by=arguments.by)
        elif arguments.session is not None:
            taken = store.rollback.session(arguments.session, by=arguments.by)
        else:
            since = arguments.since or datetime.fromtimestamp(0, UTC)
            taken = store.rollback.person(arguments.person, since, by=arguments.by)
    print(f"Taken back: {taken.labels} labels, {taken.reviews} reviews. Nothing was deleted; see `leaml audit export`.")


def _time(text: str) -> datetime:
    """Return a time that a person typed; without a zone it is this computer's."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-03-01T14:00") from None
