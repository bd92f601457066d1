"""Captions from `transformers serve` with the bundled model: kept, and never asked for twice."""

import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from leaml.cli import main
from leaml.config import GeneratorConfig, generator_run
from leaml.errors import TeacherError
from leaml.ingest import ingest_finished
from leaml.labelling.experts import label_from_references
from leaml.models.backbone import BUNDLED_PATH
from leaml.prompts import TEACHER_PROMPT
from leaml.teacher.ask import REPORT_FILE
from leaml.teacher.book import FAILURES_FILE, read_lines
from leaml.teacher.config import TeacherConfig
from tests.teacher.servers import ask
from tests.test_pipeline import jobs, store, submit  # noqa: F401 - fixtures


def real_run(real, **settings):
    settings = {"retries": 0, "concurrency": 1, "max_tokens": 48, **settings}
    teacher = TeacherConfig("server", str(BUNDLED_PATH), real.url, **settings)
    return generator_run(GeneratorConfig(teacher=teacher), until="captions")


def book_lines(workspace):
    return [line for path in workspace.glob("cache/captions/*.jsonl") for line in read_lines(path)]


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_words_of_a_real_server_are_quoted(real, pictures, tmp_path):
    config = TeacherConfig("server", "nobody/nothing", real.url, retries=0)
    with pytest.raises(TeacherError, match=r"answered 400: Server is pinned to .*; requested 'nobody/nothing'"):
        ask(config, pictures, tmp_path)


def test_a_killed_run_goes_on_where_it_was(real, store, jobs):  # noqa: F811
    run = jobs.run(submit(store, jobs, real_run(real)))
    wait_until(lambda: len(book_lines(store.workspace)) >= 2)
    os.kill(int((run.path / "lock").read_text()), signal.SIGKILL)
    wait_until(lambda: not run.alive())
    kept = len(book_lines(store.workspace))
    assert kept < 6
    before = real.asked
    jobs.resume(run.id)
    assert jobs.wait(run.id, timeout_s=120).name == "done"
    lines = book_lines(store.workspace)
    assert len(lines) == len({line["image"] for line in lines}) == 6
    assert real.asked - before <= 6 - kept + 1  # the one under way when it was killed may be noted late


def test_a_server_that_dies_is_said_and_what_it_gave_is_kept(real, store, jobs):  # noqa: F811
    run = jobs.run(submit(store, jobs, real_run(real)))
    wait_until(lambda: len(book_lines(store.workspace)) >= 2)
    real.kill()
    state = jobs.wait(run.id, timeout_s=120)
    kept, failures = len(book_lines(store.workspace)), read_lines(run.path / "output" / FAILURES_FILE)
    tried = kept + len(failures)
    assert state.name == "failed" and 2 <= kept < 6 and tried in (5, 6)
    assert f"failed to describe {len(failures)} of {tried} images" in state.detail
    assert all(line["image"] and line["error"].startswith("127.0.0.1 cannot be reached: ") for line in failures)
    assert failures[-1]["error"] in state.detail
    real.start()
    jobs.resume(run.id)
    assert jobs.wait(run.id, timeout_s=120).name == "done"
    assert real.asked == 6 - kept
    assert ingest_finished(store, jobs) == 1
    assert sum(caption.at is not None for caption in store.captions.all()) == 6
    report = json.loads((run.path / "output" / REPORT_FILE).read_text())
    assert (report["known_before"], report["asked"], report["failed"]) == (kept, 6 - kept, 0)


def test_a_real_server_describes_the_unlabelled_images_once(real, store, capsys):  # noqa: F811
    label_from_references(store, count=2, seed=0)
    workspace, labelled = store.workspace, {label.pair.image_id for label in store.labels()}
    recorded, before = store.captions.all(), real.asked
    store.close()
    options = ("--teacher-url", real.url, "--teacher-model", str(BUNDLED_PATH), "--teacher-max-tokens", "16")
    command = ("--workspace", str(workspace), "run", "captions", *options)
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("Up to 4 images are sent to 127.0.0.1, which is this computer, for ")
    assert real.asked - before == 4
    with type(store).open(workspace) as again:
        fresh = [caption for caption in again.captions.all() if caption not in recorded]
        assert len(fresh) == 4 and not labelled & {caption.image_id for caption in fresh}
        assert {caption.teacher for caption in fresh} == {f"{BUNDLED_PATH} at 127.0.0.1"}
        assert {caption.prompt for caption in fresh} == {TEACHER_PROMPT}
        assert all(caption.text and datetime.now(UTC) - caption.at < timedelta(minutes=5) for caption in fresh)
        assert again.captions.newest(fresh[0].image_id) == fresh[0]  # the newest is what the review shows
        assert again.results.round() == 1 and again.results.ingested() == {"r0001"}
    real.kill()
    assert main(command) == 0  # nothing is asked for, so nobody has to be there
    assert "Up to 0 images" in capsys.readouterr().out
    other = (*command, "--teacher-prompt", "What is this?", "--teacher-retries", "0")
    assert main(other) == 1  # another prompt is another caption
    assert "127.0.0.1 cannot be reached" in capsys.readouterr().err
