"""Roll-backs in a real store: new events in the same chain, and what stood before stands again."""

from datetime import UTC, datetime, timedelta

import pytest

from leaml.cli import main
from leaml.errors import StoreError
from leaml.records import RunId
from leaml.store.database import now
from tests.store.test_queue import assert_derived
from tests.store.test_store import candidate, pair, review, store  # noqa: F401 - a fixture


@pytest.fixture
def busy(store, monkeypatch):  # noqa: F811
    """A store where ann decided in two sessions an hour apart, and bob in between."""
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(6)])
    start = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def at(minutes):
        monkeypatch.setattr("leaml.store.database.now", lambda: start + timedelta(minutes=minutes))

    at(0)
    store.add_label(pair(0), author="ann", seconds=3.0)
    at(20)
    store.add_review(review(candidate(0), "accept"))
    at(30)
    store.add_review(review(candidate(1), "reject", author="bob"))
    at(45)
    store.add_review(review(candidate(2), "edit", "right"))
    at(80)
    store.add_label(pair(0, "right"), author="ann", seconds=3.0)
    store.add_review(review(candidate(2), "reject"))
    store.add_review(review(candidate(3), "skip"))
    monkeypatch.undo()
    return store


def test_sessions_end_with_a_pause(busy):
    found = [
        (row.number, row.author, row.decisions, row.labels, row.reviews, (row.ended - row.began).seconds // 60)
        for row in busy.rollback.sessions()
    ]
    assert found == [(5, "ann", 3, 1, 2, 0), (3, "bob", 1, 0, 1, 0), (1, "ann", 3, 1, 2, 45)]


def test_a_session_is_taken_back_and_what_stood_before_stands_again(busy):
    before = list(busy.events())
    taken = busy.rollback.session(5, by="eve")
    assert (taken.labels, taken.reviews) == (1, 2)
    assert busy.labels()[0].pair.answer == "left" and busy.queue.counts().edited == 1
    after = list(busy.events())
    assert after[: len(before)] == before, "nothing is deleted or changed"
    assert {(event.content["author"], event.content["undoes"]) for event in after[len(before) :]} == {
        ("eve", 5), ("eve", 6), ("eve", 7)
    }  # fmt: skip
    assert busy.verify_events()[0] == 10
    assert_derived(busy)
    with pytest.raises(StoreError, match="no session 5 that still stands"):
        busy.rollback.session(5, by="eve")
    assert busy.verify_events()[0] == 10
    with pytest.raises(StoreError, match="no session 4"):
        busy.rollback.session(4, by="eve")
    sessions = busy.rollback.sessions()
    assert [row.number for row in sessions] == [5, 3, 1], "a roll-back is no session"
    assert (sessions[0].decisions, sessions[0].labels, sessions[0].reviews) == (3, 0, 0), "nothing of it stands"


def test_what_a_person_decided_since_a_time_is_taken_back(busy):
    since = datetime(2026, 3, 1, 9, 45, tzinfo=UTC)
    taken = busy.rollback.person("ann", since, by="ann")
    assert (taken.labels, taken.reviews) == (1, 3)
    counts = busy.queue.counts()
    assert (counts.accepted, counts.rejected, counts.edited, counts.skipped) == (1, 1, 0, 0)
    assert busy.labels()[0].pair.answer == "left"
    assert busy.undo_review("ann").id == candidate(0).id, "what is left can be undone as ever"
    assert_derived(busy)
    with pytest.raises(StoreError, match="no decision of 'ann' since"):
        busy.rollback.person("ann", now(), by="ann")


def test_the_commands_list_sessions_and_take_them_back(busy, capsys):
    busy.close()
    leaml = ["--workspace", str(busy.workspace), "audit"]
    assert main([*leaml, "sessions"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("3        bob  1 decisions  2026-03-01 ")
    assert main([*leaml, "rollback", "--session", "3", "--by", "eve"]) == 0
    assert capsys.readouterr().out.startswith("Taken back: 0 labels, 1 reviews.")
    assert main([*leaml, "rollback", "--person", "ann", "--since", "2026-03-01T10:00+00:00", "--by", "eve"]) == 0
    assert capsys.readouterr().out.startswith("Taken back: 1 labels, 2 reviews.")
    assert main([*leaml, "rollback", "--person", "ann", "--by", "eve"]) == 0
    assert capsys.readouterr().out.startswith("Taken back: 1 labels, 2 reviews.")
    assert main([*leaml, "rollback", "--batch", "3", "--by", "eve"]) == 1
    assert "no batch 3 that still stands" in capsys.readouterr().err
    assert main([*leaml, "rollback", "--session", "1", "--since", "2026-03-01", "--by", "eve"]) == 1
    assert main([*leaml, "verify"]) == 0
    assert "14 events, chain intact" in capsys.readouterr().out
    for wrong in (["--person", "ann", "--since", "noon", "--by", "eve"], ["--by", "eve"], ["--session", "1"]):
        with pytest.raises(SystemExit):
            main([*leaml, "rollback", *wrong])
