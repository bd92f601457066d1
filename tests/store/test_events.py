"""The hash chain over the decisions: what breaks it, old workspaces, and many writers at once."""

import hashlib
import json
import threading

import duckdb
import pytest

from leaml.cli import main
from leaml.errors import AuditError
from leaml.records import RunId
from leaml.store import Store, migrations
from leaml.store.database import Database
from leaml.store.workspace import STORE_FILE
from tests.store.test_store import candidate, pair, review, store  # noqa: F401 - a fixture


@pytest.fixture
def decided(store):  # noqa: F811
    """A closed workspace with six events of two kinds, undos among them; returns its folder."""
    store.results.add_generator_run(RunId("r1"), [candidate(0), candidate(1)])
    store.add_label(pair(0), author="ann", seconds=3)
    store.add_label(pair(1, "right"), author="bob", seconds=1.25)
    store.add_review(review(candidate(0), "reject"))
    store.undo_label("ann")
    store.add_review(review(candidate(1), "edit", "right"))
    store.undo_review("ann")
    store.close()
    return store.workspace


def change(workspace, *statements):
    """Do what somebody with a DuckDB client could."""
    with duckdb.connect(str(workspace / STORE_FILE)) as connection:
        for statement in statements:
            connection.execute(statement)


def verified(workspace):
    with Store.open(workspace) as opened:
        return opened.verify_events()


def test_an_untouched_chain_holds_and_goes_on(decided):
    count, head = verified(decided)
    assert count == 6 and len(head) == 64
    with Store.open(decided) as opened:
        opened.add_label(pair(2), author="ann", seconds=1.0)
        assert opened.verify_events()[0] == 7 and opened.verify_events()[1] != head
        assert [event.hash for event in opened.events()][5] == head


@pytest.mark.parametrize(
    ("event", "statements"),
    [
        (2, ["UPDATE label_events SET answer = 'left' WHERE event_id = 2"]),
        (3, ["UPDATE review_events SET \"at\" = \"at\" + INTERVAL 1 MICROSECOND WHERE event_id = 3"]),
        (2, ["UPDATE label_events SET author = 'ann' WHERE event_id = 2"]),
        (1, ["UPDATE label_events SET undoes = 0 WHERE event_id = 1"]),
        (3, ["UPDATE review_events SET reason = NULL WHERE event_id = 3"]),
        (3, ["DELETE FROM review_events WHERE event_id = 3"]),
        (4, ["DELETE FROM review_events WHERE event_id = 3", "DELETE FROM event_hashes WHERE event_id = 3"]),
        (5, ["DELETE FROM event_hashes WHERE event_id = 5"]),
        (
            1,
            [
                "UPDATE label_events SET event_id = 99 WHERE event_id = 1",
                "UPDATE label_events SET event_id = 1 WHERE event_id = 2",
                "UPDATE label_events SET event_id = 2 WHERE event_id = 99",
            ],
        ),
        (7, ["INSERT INTO label_events SELECT * REPLACE (7 AS event_id) FROM label_events WHERE event_id = 1"]),
        (-7, ["INSERT INTO label_events SELECT * REPLACE (-7 AS event_id) FROM label_events WHERE event_id = 1"]),
    ],
)  # fmt: skip
def test_what_was_tampered_with_is_found_at_its_event(decided, event, statements, capsys):
    change(decided, *statements)
    with pytest.raises(AuditError, match=rf"^Event {event} "):
        verified(decided)
    assert main(["--workspace", str(decided), "audit", "verify"]) == 1
    assert capsys.readouterr().err.startswith(f"leaml: Event {event} ")


def test_swapping_an_event_with_its_hash_is_found(decided):
    swap = "UPDATE {0} SET event_id = CASE event_id WHEN 1 THEN 2 ELSE 1 END WHERE event_id IN (1, 2)"
    change(decided, swap.format("label_events"), swap.format("event_hashes"))
    with pytest.raises(AuditError, match=r"^Event 1 "):
        verified(decided)


def test_the_command_says_how_many_and_the_export_can_be_checked_by_anybody(decided, tmp_path, capsys):
    leaml = ["--workspace", str(decided), "audit"]
    assert main([*leaml, "verify"]) == 0
    said = capsys.readouterr().out
    assert main([*leaml, "export", str(tmp_path / "events.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    previous = "0" * 64
    for line in lines:
        kept = line.pop("hash")
        canonical = json.dumps(line, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256((previous + canonical).encode()).hexdigest()
        assert previous == kept
    assert said == f"6 events, chain intact, head {previous}\n"
    assert [line["table"] for line in lines] == [
        f"{kind}_events" for kind in "label label review label review review".split()
    ]
    assert main([*leaml, "export", "/nowhere/events.jsonl"]) == 1
    assert "Cannot write /nowhere/events.jsonl" in capsys.readouterr().err


def test_an_old_workspace_gets_its_chain_and_keeps_its_events(tmp_path, monkeypatch):
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:1])
    old = Database(tmp_path / STORE_FILE)
    pair_values = {"image_id": "i", "question": "Größe?", "options": ["a", "b"], "answer": "a", "author": "ann"}
    for seconds in (0.1, 2):
        old.append("label_events", {**pair_values, "seconds": seconds})
    old.append("review_events", {**pair_values, "candidate_id": "c", "action": "accept", "seconds": 1.5})
    old.close()
    monkeypatch.undo()
    with Store.open(tmp_path) as opened:
        count, head = opened.verify_events()
        assert (count, [event.event_id for event in opened.events()]) == (3, [1, 2, 3])
        assert opened.events().__next__().content["seconds"] == 0.1
    assert verified(tmp_path) == (3, head), "opening again computes nothing anew"
    change(tmp_path, "DELETE FROM event_hashes WHERE event_id = 3")
    with pytest.raises(AuditError, match="no hash"):
        verified(tmp_path)


def test_an_empty_workspace_has_an_empty_chain(tmp_path):
    assert verified(tmp_path) == (0, "0" * 64)


def test_writers_at_once_keep_one_chain_longer_than_a_page(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr("leaml.store.events._PAGE", 7)
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(6)])

    def work(number):
        for _ in range(5):
            store.add_label(pair(number), author=f"a{number}", seconds=0.1)
            store.add_review(review(candidate(number), "accept", author=f"a{number}"))
            store.undo_review(f"a{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert store.verify_events()[0] == 90
    assert len({event.hash for event in store.events()}) == 90
