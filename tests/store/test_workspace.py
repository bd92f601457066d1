"""A workspace's folder: for its owner's eyes alone, and never made by a command that only looks."""

import os
import stat

import pytest

from leaml.cli import main
from leaml.errors import StoreError
from leaml.records import Project
from leaml.store import Store, migrations
from leaml.store.workspace import STORE_FILE, keep_private
from tests.test_importers import project, store  # noqa: F401 - fixtures


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask():
    """What most computers have, before and after."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_a_command_writes_is_its_owners_alone(project, tmp_path):  # noqa: F811
    workspace = tmp_path / "w"
    assert main(["--workspace", str(workspace), "import", str(project)]) == 0
    found = [workspace, *workspace.rglob("*")]
    assert len(found) > 8
    assert [path for path in found if rights(path) & 0o077] == []
    assert main(["--workspace", str(workspace), "audit", "export", str(tmp_path / "events.jsonl")]) == 0
    assert rights(tmp_path / "events.jsonl") == 0o600


def test_processes_that_are_started_keep_private_too(tmp_path):
    keep_private()
    os.system(f"touch {tmp_path}/file")
    assert rights(tmp_path / "file") == 0o600


def test_others_lose_their_rights_to_an_older_workspace_and_the_group_keeps_its(tmp_path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    workspace.chmod(0o755)
    Store.open(workspace).close()
    assert rights(workspace) == 0o750


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "verify"), ("user", "list"), ("label",), ("run", "sample"), ("export", "x.jsonl"), ("runs",),
        ("runs", "show", "r0001"), ("merge", "r0001", "model"),
    ],
)  # fmt: skip
def test_a_workspace_that_is_missing_is_said_and_not_made(arguments, tmp_path, capsys):
    workspace = tmp_path / "not mounted"
    assert main(["--workspace", str(workspace), *arguments]) == 1
    assert f"There is no workspace in {workspace}" in capsys.readouterr().err
    assert not workspace.exists()


def test_a_backup_is_only_read_and_so_stays_a_way_back(tmp_path, monkeypatch, capsys):
    workspace, events = tmp_path / "w", tmp_path / "events.jsonl"
    commands = (("audit", "verify"), ("audit", "export", str(events)), ("audit", "sessions"), ("user", "list"))
    with monkeypatch.context() as older:
        older.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:-1])
        Store.open(workspace).close()
    before = (workspace / STORE_FILE).read_bytes()
    for command in commands:
        assert main(["--workspace", str(workspace), *command]) == 1
        assert "was written by an older version" in capsys.readouterr().err and not events.exists()
    assert (workspace / STORE_FILE).read_bytes() == before
    Store.open(workspace).close()
    before = (workspace / STORE_FILE).read_bytes()
    for command in commands:
        assert main(["--workspace", str(workspace), *command]) == 0
    assert (workspace / STORE_FILE).read_bytes() == before


def test_what_is_opened_to_be_read_cannot_be_changed(store):  # noqa: F811
    store.save_project(Project("Discs", "Drawn"))
    store.close()
    with Store.open_to_read(store.workspace) as opened:
        assert opened.project().name == "Discs"
        with pytest.raises(StoreError, match="read-only"):
            opened.save_project(Project("Other", ""))


def test_an_export_that_fails_leaves_the_one_before(project, tmp_path, monkeypatch):  # noqa: F811
    workspace, file = ("--workspace", str(tmp_path / "w")), tmp_path / "events.jsonl"
    main([*workspace, "import", str(project)])
    main([*workspace, "label", "--count", "2"])
    assert main([*workspace, "audit", "export", str(file)]) == 0
    before = file.read_text()
    assert before.count("\n") == 2
    assert main(["--workspace", str(tmp_path / "nowhere"), "audit", "export", str(file)]) == 1

    def broken(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(Store, "events", broken)
    assert main([*workspace, "audit", "export", str(file)]) == 1
    assert main([*workspace, "audit", "export", str(file / "beneath a file.jsonl")]) == 1
    assert file.read_text() == before and sorted(path.name for path in tmp_path.iterdir()) == [
        "events.jsonl",
        "project",
        "w",
    ]
