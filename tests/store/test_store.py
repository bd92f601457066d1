"""The store on a real DuckDB file: events, undo, the queue, and what survives a kill."""

import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce

import duckdb
import pyarrow.parquet as pq
import pytest

from leaml.errors import ImportDataError, StoreError, StoreLockedError
from leaml.records import (
    AnsweredQuestion,
    Candidate,
    Caption,
    ImageId,
    ImageRow,
    Prediction,
    Project,
    QuestionType,
    Rejection,
    Review,
    RunId,
)
from leaml.store import Store, migrations
from leaml.store.database import Database, record
from leaml.store.results import ModelRow
from leaml.store.workspace import STORE_FILE
from leaml.tables import read_rows, write_rows

PLACE = QuestionType("place", "Where?", ("left", "right"))
SIZE = QuestionType("size", "How large?", ("small", "medium", "large"))


def image(number, split="pool"):
    return ImageRow(ImageId(f"i{number}"), f"{number}.jpg", f"images/i{number}.jpg", f"g{number}", split, 40, 30)


def pair(number, answer="left", kind=PLACE):
    return AnsweredQuestion(ImageId(f"i{number}"), kind.question, kind.options, answer, kind.id)


def candidate(number, agreement=0.9, kind=PLACE, round_number=1):
    options = tuple(1 / len(kind.options) for _ in kind.options)
    return Candidate(
        f"r{round_number}-{number}-{kind.id}", ImageId(f"i{number}"), kind.question, kind.options, kind.options[0],
        kind.id, -0.1, agreement, options, RunId(f"r{round_number}"), round_number,
    )  # fmt: skip


def review(found, action, answer=None, seconds=2.0, author="ann"):
    value = AnsweredQuestion(found.image_id, found.question, found.options, answer or found.answer, found.type_id)
    return Review(found.id, action, value, "wrong answer" if action == "reject" else None, author, seconds)


def question_versions(opened):
    """Return all lists of question types that the project has had, by their number; the last one holds."""
    found = {}
    for row in opened._database.rows("SELECT * FROM question_type_versions ORDER BY version, position"):
        found[row["version"]] = (*found.get(row["version"], ()), record(QuestionType, row))
    return found


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "workspace") as opened:
        images = [image(n) for n in range(6)] + [image(n, "test") for n in (8, 9)]
        references = [pair(n) for n in (0, 1, 8)]
        captions = [Caption(ImageId("i0"), "A disc.", "teacher", "Describe.")]
        opened.import_project(
            Project("Discs", "Drawn", (PLACE, SIZE)), images, references=references, captions=captions
        )
        yield opened


def test_what_was_imported_is_there_after_reopening(store):
    store.close()
    with Store.open(store.workspace) as again:
        assert again.project() == Project("Discs", "Drawn", (PLACE, SIZE))
        assert [row.id for row in again.images("test")] == ["i8", "i9"]
        assert again.image(ImageId("i3")) == image(3)
        assert again.references("test") == [pair(8)]
        assert again.captions.newest(ImageId("i0")).text == "A disc." and again.captions.newest(ImageId("i1")) is None


def test_what_is_there_keeps_its_group_and_its_side(store):
    refused = (
        (image(0, "test"), r"0\.jpg would be in the test, but the group 'g0' is in the pool already"),
        (replace(image(20, "test"), group="g0"), r"20\.jpg would be in the test, but the group 'g0' is in the pool"),
        (replace(image(0), group="g1"), r"0\.jpg is in the group 'g0' already, and would now be in the group 'g1'"),
    )
    before = store.images()
    for row, sentence in refused:
        with pytest.raises(ImportDataError, match=sentence):
            store.import_project(Project("Other", ""), [image(21), row])
    assert store.images() == before and store.project().name == "Discs"
    store.import_project(store.project(), [image(0), replace(image(20), group="g0")])
    assert len(store.images("pool")) == 7


def test_a_later_label_is_an_edit_and_undo_brings_the_earlier_one_back(store):
    store.add_label(pair(0), author="ann", seconds=3.0)
    store.add_label(pair(1, "right"), author="bob", seconds=1.0)
    store.add_label(pair(0, "right"), author="ann", seconds=1.0)
    assert [label.pair.answer for label in store.labels("pool")] == ["right", "right"]
    assert store.undo_label("ann").pair.answer == "right"
    assert {label.pair.image_id: label.pair.answer for label in store.labels()} == {"i0": "left", "i1": "right"}
    assert store.undo_label("ann").pair.answer == "left"
    assert store.undo_label("ann") is None
    assert [label.author for label in store.labels()] == ["bob"]


def test_what_is_skipped_is_not_part_of_the_pace(store):
    rows = [candidate(n) for n in range(3)]
    store.results.add_generator_run(RunId("r1"), rows)
    for row, action, seconds in zip(rows, ("accept", "skip", "skip"), (2.0, 90.0, 90.0), strict=True):
        store.add_review(review(row, action, seconds=seconds))
    assert store.queue.counts().median_seconds == 2.0
    store.close()
    with Store.open(store.workspace) as again:
        assert again.queue.counts().median_seconds == 2.0
        again.add_review(review(rows[1], "accept", seconds=4.0))
        assert again.queue.counts().median_seconds == 3.0


def test_decisions_and_their_undo(store):
    rows = [candidate(n) for n in range(5)]
    store.results.add_generator_run(RunId("r1"), rows)
    for row, action in zip(rows, ("accept", "edit", "reject", "skip"), strict=False):
        store.add_review(review(row, action, "right" if action == "edit" else None))
    counts = store.queue.counts()
    assert (counts.open, counts.accepted, counts.edited, counts.rejected, counts.skipped) == (2, 1, 1, 1, 1)
    assert counts.median_seconds == 2.0
    assert store.answered.reviewed() == [pair(0, "left"), pair(1, "right")]
    assert [row.id for row in store.results.pseudo_pairs()] == ["r1-3-place", "r1-4-place"]
    shown = pair(2)
    assert store.answered.rejections() == [Rejection(shown.image_id, shown.question, shown.answer, "wrong answer")]
    assert [store.undo_review("ann").id for _ in range(2)] == ["r1-3-place", "r1-2-place"]
    assert store.queue.counts().rejected == 0 and store.answered.rejections() == []
    assert store.undo_review("bob") is None
    asked = AnsweredQuestion(ImageId("i3"), "Another question?", (), "yes", None)
    store.add_review(Review(rows[3].id, "edit", asked, None, "ann", 1.0))  # what stood there is settled
    assert store.answered.rejections() == [Rejection(ImageId("i3"), rows[3].question, rows[3].answer, None)]
    with pytest.raises(StoreError, match="no pseudo pair 'nothing'"):
        store.add_review(Review("nothing", "accept", pair(0), None, "ann", 1.0))


def test_a_pair_whose_question_was_labelled_since_is_not_learnt_from(store):
    rows = [candidate(n) for n in range(3)]
    store.results.add_generator_run(RunId("r1"), rows)
    store.add_label(pair(1, "right"), author="ann", seconds=1.0)
    reworded = replace(pair(2, "right"), question="Where does it lie?", type_id=rows[2].type_id)
    store.add_label(reworded, author="ann", seconds=1.0)
    assert rows[1].answer != "right"
    assert [row.id for row in store.results.pseudo_pairs()] == ["r1-0-place"]
    assert all(store.undo_label("ann") for _ in range(2))
    assert len(store.results.pseudo_pairs()) == 3


def test_a_new_round_replaces_the_open_pairs_and_keeps_the_accepted(store):
    first = candidate(0)
    store.results.add_generator_run(RunId("r1"), [first, candidate(1)])
    store.add_review(review(first, "accept"))
    store.results.add_generator_run(RunId("r2"), [candidate(2, round_number=2)])
    assert [row.id for row in store.queue.next(9)] == ["r2-2-place"]
    assert store.answered.reviewed() == [pair(0)]
    assert store.results.round() == 3


def test_taking_over_a_run_twice_changes_nothing(store):
    answer = Prediction(ImageId("i8"), "place", "Where?", PLACE.options, "left", "left", True, (0.8, 0.2))
    model = ModelRow(RunId("r3"), "lora", "runs/r3/output/model", 1, 2, 0, datetime.now(UTC))
    for _ in range(2):
        store.results.add_model(model, [answer, answer])
        store.results.add_generator_run(RunId("r1"), [candidate(0)])
    assert len(store.results.models()) == 1 and store.results.models()[0].method == "lora"
    assert store.results.predictions(RunId("r3")) == [answer, answer]
    assert store.results.ingested() == {"r1", "r3"} and len(store.results.candidates()) == 1


def test_threads_write_and_read_at_once(store):
    def work(number):
        for step in range(20):
            store.add_label(pair(number, "left" if step % 2 else "right"), author=f"a{number}", seconds=0.1)
            store.labels()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert [label.pair.answer for label in store.labels()] == ["left"] * 6
    events = store._database.rows("SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM label_events")
    assert events == [{"n": 120, "ids": 120}]


def test_a_second_process_is_told_who_holds_the_workspace(store):
    code = f"from pathlib import Path; from leaml.store import Store; Store.open(Path({str(store.workspace)!r}))"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreLockedError" in failed.stderr
    assert f"already open in another process (PID {os.getpid()}). Close that one" in failed.stderr


def test_this_process_is_told_so_too(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from leaml.store import Store\n"
        f"store = Store.open(Path({str(tmp_path)!r})); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=rf"PID {other.pid}\)"):
            Store.open(tmp_path)
        other.kill()


def test_a_folder_that_duckdb_would_read_otherwise_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(StoreError, match=r"whose path has a .\?.\. Choose or rename a folder"):
        Store.open(tmp_path / "who?" / "work")
    assert not list(tmp_path.iterdir())


def test_kill_in_a_burst_of_decisions_loses_none_that_was_confirmed(store):
    store.close()
    code = (
        "from pathlib import Path; from leaml.store import Store; from leaml.records import AnsweredQuestion\n"
        f"store = Store.open(Path({str(store.workspace)!r}))\n"
        "while True:\n"
        "    for n in range(6):\n"
        "        pair = AnsweredQuestion(f'i{n}', 'Where?', ('left', 'right'), 'left', 'place')\n"
        "        print(store.add_label(pair, author='ann', seconds=1.0), flush=True)\n"
    )
    confirmed = set()
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as app:
            for line in app.stdout:
                confirmed.add(int(line))
                if len(confirmed) % 60 == 59:
                    os.kill(app.pid, signal.SIGKILL)
                    break
            confirmed |= {int(line) for line in app.stdout if line.endswith("\n")}
    with Store.open(store.workspace) as again:
        kept = {row["event_id"] for row in again._database.rows("SELECT event_id FROM label_events")}
    assert confirmed <= kept and len(confirmed) > 100


def test_a_full_disk_is_said_and_changes_nothing(store, monkeypatch):
    def full(*_):
        raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    monkeypatch.setattr("leaml.store.database.now", full)
    with pytest.raises(StoreError, match=r"disk of .* is full\. Nothing was changed; free some space"):
        store.add_label(pair(0), author="ann", seconds=1.0)
    monkeypatch.undo()
    assert store.labels() == []
    store.add_label(pair(0), author="ann", seconds=1.0)


def test_a_failed_import_leaves_nothing(store):
    broken = [Caption(ImageId("i1"), None, "t", "p")]
    with pytest.raises(StoreError, match="Cannot import the project"):
        store.import_project(Project("Other", "", ()), [image(30)], captions=broken)
    assert store.project().name == "Discs" and len(store.images()) == 8


def test_a_definition_is_kept_and_older_stores_and_files_have_none(store, tmp_path, monkeypatch):
    project = store.project()
    first, *others = project.question_types
    defined = replace(project, question_types=(replace(first, definition="Left: left of the middle."), *others))
    store.save_project(defined, author="ann")
    assert store.project() == defined and list(question_versions(store)) == [1, 2]
    assert [kinds[0].definition for kinds in question_versions(store).values()] == ["", "Left: left of the middle."]

    step = next(n for n, sql in enumerate(migrations.MIGRATIONS) if isinstance(sql, str) and "definition" in sql)
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:step])
    (tmp_path / "old").mkdir()
    old = Database(tmp_path / "old" / STORE_FILE)
    old.rows("INSERT INTO question_types VALUES (0, 'side', 'Where?', ['left', 'right'])")
    old.close()
    monkeypatch.undo()
    now = Database(tmp_path / "old" / STORE_FILE)
    (row,) = now.rows("SELECT * FROM question_types")
    now.close()
    assert record(QuestionType, row) == QuestionType("side", "Where?", ("left", "right"))

    write_rows(tmp_path / "types.parquet", [first], QuestionType)
    table = pq.read_table(tmp_path / "types.parquet")
    pq.write_table(table.drop_columns(["definition"]), tmp_path / "older.parquet")
    assert read_rows(tmp_path / "older.parquet", QuestionType) == [first]
    pq.write_table(table.drop_columns(["question"]), tmp_path / "broken.parquet")
    with pytest.raises(ImportDataError, match=r"broken\.parquet has columns"):
        read_rows(tmp_path / "broken.parquet", QuestionType)


def test_an_older_schema_is_brought_up_and_a_newer_one_refused(tmp_path, monkeypatch):
    Database(tmp_path / STORE_FILE).close()
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", (*migrations.MIGRATIONS, "CREATE TABLE extra (a INTEGER)"))
    newer = Database(tmp_path / STORE_FILE)
    assert newer.rows("SELECT max(number) AS n FROM migrations") == [{"n": len(migrations.MIGRATIONS) + 1}]
    assert newer.rows("SELECT * FROM extra") == []
    newer.close()
    monkeypatch.undo()
    with pytest.raises(StoreError, match=r"written by a newer version.*Update LEAML Studio"):
        Database(tmp_path / STORE_FILE)


def test_a_file_of_a_newer_duckdb_is_said(tmp_path):
    Store.open(tmp_path).close()
    file = tmp_path / STORE_FILE
    data = bytearray(file.read_bytes())
    data[12:20] = (9999).to_bytes(8, "little")  # its storage version
    # DuckDB's checksum of the file's first block, which is looked at before the version
    words = (int.from_bytes(data[at : at + 8], "little") for at in range(8, 4096, 8))
    data[:8] = reduce(lambda sum_, word: sum_ ^ (word * 0xBF58476D1CE4E5B9 % 2**64), words, 5381).to_bytes(8, "little")
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"was written by a newer DuckDB than the \d.* here\. Update it: "):
        Store.open(tmp_path)


def test_an_unknown_image_is_said(store):
    with pytest.raises(StoreError, match="no image 'zzz'"):
        store.image(ImageId("zzz"))


def test_a_label_of_an_unknown_image_is_refused_rather_than_lost(store):
    with pytest.raises(StoreError, match="no image 'i77'"):
        store.add_label(pair(77), author="ann", seconds=1.0)


def test_a_closed_store_says_so(store):
    store.close()
    for act in (store.labels, lambda: store.add_label(pair(0), author="ann", seconds=1.0)):
        with pytest.raises(StoreError, match="is closed"):
            act()


def test_a_disk_that_really_takes_no_more_keeps_what_was_confirmed(store):
    """The limit on the size of a file stands in for a full disk: the write itself fails, inside DuckDB."""
    store.close()
    code = (
        "import resource; from pathlib import Path\n"
        "from leaml.errors import StoreError; from leaml.store import Store\n"
        "from leaml.records import AnsweredQuestion\n"
        f"store = Store.open(Path({str(store.workspace)!r}))\n"
        "size = (store.workspace / 'leaml.duckdb.wal').stat().st_size if list(store.workspace.glob('*.wal')) else 0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, resource.RLIM_INFINITY))\n"
        "pair = AnsweredQuestion('i0', 'Where?' * 200, (), 'left')\n"
        "saved = 0\n"
        "try:\n"
        "    while saved < 1000:\n"
        "        store.add_label(pair, author='ann', seconds=1.0); saved += 1\n"
        "except StoreError as error:\n"
        "    print(saved, error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "store.add_label(pair, author='bob', seconds=1.0); print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, after = done.stdout.splitlines()
    assert "is full. Nothing was changed; free some space and try again." in told and after == "goes on"
    with Store.open(store.workspace) as again:
        kept = again._database.rows("SELECT count(*) AS n FROM label_events")[0]["n"]
    assert kept == int(told.split()[0]) + 1 and kept > 5


def test_the_most_doubtful_pairs_come_first(store):
    figures = {0: (0.5, 0.5), 1: (0.9, 0.1), 2: (0.1, 0.9), 3: (1.0, 0.0), 4: (0.0, 1.0), 5: (0.3, 0.7)}
    rows = [replace(candidate(n, found[0]), option_probabilities=found) for n, found in figures.items()]
    store.results.add_generator_run(RunId("r1"), rows)

    def doubt(row):
        entropy = -sum(p * math.log(p) for p in row.option_probabilities if p > 0) / math.log(len(row.options))
        return entropy + 0.5 * (1 - row.agreement)

    wanted = sorted(rows, key=doubt, reverse=True)
    found = store.results.doubtful_pairs(PLACE.id, disagreement=0.5, limit=4)
    assert [row.id for row in found] == [row.id for row in wanted[:4]]
