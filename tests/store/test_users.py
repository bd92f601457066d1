"""Users in a real store: passwords as hashes, names, and the commands."""

import io
import subprocess
import sys
import time

import pytest

from leaml.cli import main
from leaml.errors import UserError
from leaml.records import User
from leaml.store import Store
from leaml.store.workspace import STORE_FILE
from tests.drawn import fill

PASSWORD = "correct horse"


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "w"


def leaml(workspace, monkeypatch, *arguments, typed=""):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main(["--workspace", str(workspace), *arguments])


def test_add_list_password_remove(workspace, monkeypatch, capsys):
    assert leaml(workspace, monkeypatch, "user", "add", "ann", "--role", "expert", typed=PASSWORD + "\n") == 0
    assert leaml(workspace, monkeypatch, "user", "add", "Bob B.", "--role", "admin", typed=PASSWORD) == 0
    capsys.readouterr()
    leaml(workspace, monkeypatch, "user", "list")
    assert capsys.readouterr().out == "Bob B.  admin\nann  expert\n"
    leaml(workspace, monkeypatch, "user", "password", "ann", typed="battery staple\n")
    leaml(workspace, monkeypatch, "user", "remove", "Bob B.")
    with Store.open(workspace) as store:
        assert store.users.all() == [User("ann", "expert")]
        assert store.users.verify("ann", "battery staple") and not store.users.verify("ann", PASSWORD)
        assert not store.users.verify("Bob B.", PASSWORD) and not store.users.verify("Ann", "battery staple")
        (row,) = store._database.rows("SELECT password_hash FROM users")
    assert row["password_hash"].startswith("$argon2id$")
    for name in (STORE_FILE, f"{STORE_FILE}.wal"):
        if (workspace / name).exists():
            assert b"battery staple" not in (workspace / name).read_bytes()


def test_a_name_is_not_given_to_somebody_else(workspace, monkeypatch, capsys):
    fill(workspace)
    add = ("user", "add", "ann", "--role", "expert")
    assert leaml(workspace, monkeypatch, *add, typed=PASSWORD) == 0
    with Store.open(workspace) as store:
        store.add_label(store.references("pool")[0], author="ann", seconds=1.0)
    assert leaml(workspace, monkeypatch, "user", "add", "Ann", "--role", "expert", typed=PASSWORD) == 1
    assert leaml(workspace, monkeypatch, "user", "remove", "ann") == 0
    assert leaml(workspace, monkeypatch, *add, typed=PASSWORD) == 1
    assert "Decisions by 'ann' are here already" in capsys.readouterr().err
    assert leaml(workspace, monkeypatch, *add, "--again", typed=PASSWORD) == 0


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (("add", "eve", "--role", "expert"), "short\n", "has 5 characters, but needs at least 8"),
        (("add", "ann", "--role", "admin"), PASSWORD, "There is a user 'ann' already"),
        (("add", " eve", "--role", "admin"), PASSWORD, "cannot be used"),
        (("add", "a\nb", "--role", "admin"), PASSWORD, "cannot be used"),
        (("add", "", "--role", "admin"), PASSWORD, "cannot be used"),
        (("remove", "eve"), "", "There is no user 'eve'"),
        (("password", "eve"), PASSWORD, "There is no user 'eve'"),
        (("password", "ann"), "", "has 0 characters"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(workspace, monkeypatch, capsys, arguments, typed, sentence):
    with Store.open(workspace) as store:
        store.users.add("ann", "expert", PASSWORD)
    assert leaml(workspace, monkeypatch, "user", *arguments, typed=typed) == 1
    assert sentence in capsys.readouterr().err
    with Store.open(workspace) as store:
        assert store.users.all() == [User("ann", "expert")] and store.users.verify("ann", PASSWORD)


def test_the_password_is_no_argument_and_roles_are_known(workspace):
    for extra in (["--role", "owner"], [], ["--role", "admin", "--password", PASSWORD]):
        with pytest.raises(SystemExit):
            main(["--workspace", str(workspace), "user", "add", "ann", *extra])


def test_at_a_terminal_it_is_asked_for_twice(workspace, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "another one"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert main(["--workspace", str(workspace), "user", "add", "ann", "--role", "admin"]) == 0
    assert main(["--workspace", str(workspace), "user", "password", "ann"]) == 1
    assert "The two passwords differ" in capsys.readouterr().err


def test_a_real_process_reads_it_from_a_pipe(workspace):
    command = [sys.executable, "-m", "leaml", "--workspace", str(workspace), "user", "add", "ann", "--role", "expert"]
    done = subprocess.run(command, input="päßword one\n", capture_output=True, text=True, check=True)
    assert done.stdout == "ann (expert) can sign in.\n"
    with Store.open(workspace) as store:
        assert store.users.verify("ann", "päßword one")


def test_an_unknown_name_takes_as_long_as_a_wrong_password(workspace):
    with Store.open(workspace) as store:
        store.users.add("ann", "expert", PASSWORD)

        def fastest(name):
            times = []
            for _ in range(5):
                began = time.process_time()
                assert not store.users.verify(name, "guess guess")
                times.append(time.process_time() - began)
            return min(times)

        assert 0.4 < fastest("nobody") / fastest("ann") < 2.5
        with pytest.raises(UserError, match="no user 'nobody'"):
            store.users.get("nobody")
