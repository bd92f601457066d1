"""Commands that need what a detached run has left, which ended while nobody looked."""

import pytest

from leaml.cli import main
from leaml.jobs import Jobs
from leaml.store import Store
from tests.cli.test_commands import run
from tests.store.test_store import candidate, pair, store  # noqa: F401 - a fixture
from tests.test_ingest import asked, ends


@pytest.fixture
def workspace(store):  # noqa: F811
    """The arguments for a workspace with a generator's run that ended well and is not taken over."""
    store.add_label(pair(0), author="ann", seconds=1.0)
    ends(asked(store, Jobs(store.workspace / "runs"), "r0001"), candidate(1), candidate(2))
    store.close()
    return "--workspace", str(store.workspace)


def test_its_pairs_can_be_reviewed(workspace, capsys):
    said = run(capsys, *workspace, "review", "--policy", "accept-all")
    assert said == (0, "Accepted 2, edited 0, rejected 0, open 0.\n", "")


@pytest.mark.parametrize("arguments", [("run", "finetune", "--method", "leaml", "--detach"), ("runs", "test", "r0001")])
def test_the_next_run_is_begun_with_them(workspace, capsys, monkeypatch, arguments):
    known = []
    for name in ("start", "retest"):
        note = lambda opened, *_: known.append(opened.results.round()) or "r0002"  # noqa: E731
        monkeypatch.setattr(f"leaml.cli.commands.{name}", note)
    assert main([*workspace, *arguments]) == 0 and known == [2]


@pytest.mark.parametrize("arguments", [("label", "--count", "1"), ("export", "answers.csv")])
def test_a_damaged_run_is_said_and_keeps_nobody_from_anything_else(workspace, capsys, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workspace" / "runs" / "r0001" / "output" / "candidates.parquet").write_bytes(b"PAR1 cut short")
    code, out, err = run(capsys, *workspace, *arguments)
    assert code == 0 and out and "Cannot read the table candidates.parquet" in err
    with Store.open(tmp_path / "workspace") as again:
        assert again.results.ingested() == set()
