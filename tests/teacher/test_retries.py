"""A server that is busy is asked again, for as long as it makes sense."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from leaml.errors import ImportDataError, TeacherError
from leaml.records import ImageId
from leaml.teacher import retry
from leaml.teacher.retry import NoCaption
from tests.conftest import draw
from tests.teacher.servers import ask, completion, failing, server_config, small_server


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status, pictures, tmp_path, no_pauses):
    with small_server(lambda n, _: failing("overloaded", status) if n < 2 else completion("A disc.")) as (
        url,
        requests,
    ):
        found = ask(server_config(url, retries=2), pictures, tmp_path)
    assert len(found) == 6 and len(requests) == 8
    assert requests[0][2] == requests[2][2]  # the same question


def test_a_refusal_is_not_asked_again(pictures, tmp_path, no_pauses):
    with (
        small_server(lambda *_: failing("no such model", 404)) as (url, requests),
        pytest.raises(TeacherError, match="no such"),
    ):
        ask(server_config(url, retries=5), pictures, tmp_path)
    assert len(requests) <= 6


def test_retries_end(pictures, tmp_path, no_pauses):
    with (
        small_server(lambda *_: failing("overloaded", 503)) as (url, requests),
        pytest.raises(
            TeacherError, match=r"failed to describe 5 of 5 images.*answered 503: overloaded\. Put that right"
        ),
    ):
        ask(server_config(url, retries=2), pictures, tmp_path)
    assert 15 <= len(requests) <= 18


@pytest.mark.parametrize(("concurrency", "row"), [(1, 5), (4, 8)])
def test_a_server_that_dies_in_a_large_pool_stops_the_run_soon(concurrency, row, tmp_path, no_pauses):
    pictures = {ImageId(f"i{n}"): draw(tmp_path / f"i{n}.png", n) for n in range(200)}
    words = rf"of which the last {row} got no answer\. It said at last: 127\.0\.0\.1 answered 503: dead\. Put that "
    with (
        small_server(lambda n, _: completion("A disc.") if n < 100 else failing("dead", 503)) as (url, requests),
        pytest.raises(TeacherError, match=words),
    ):
        ask(server_config(url, retries=1, concurrency=concurrency, failure_share=0.9), pictures, tmp_path)
    assert 100 + 2 * row <= len(requests) < 200, "each is asked twice, and most of the others not at all"


@pytest.mark.parametrize("between", [completion("A disc."), failing("no picture", 400)])
def test_any_other_answer_ends_the_row_of_those_without_one(between, tmp_path):
    pictures = {ImageId(f"i{n}"): draw(tmp_path / f"i{n}.png", n) for n in range(60)}

    def answer(n, _):
        if n % 5 == 4:
            return between
        return failing("overloaded", 503) if n >= 20 else completion("A disc.")

    with small_server(answer) as (url, requests):
        ask(server_config(url, failure_share=0.9), pictures, tmp_path)
    assert len(requests) == 60


@pytest.mark.parametrize(
    ("failure", "silent"),
    [
        (NoCaption("answered 503", again=True, status=503), True),
        (NoCaption("answered 400", status=400), False),
        (ImportDataError("Cannot read the image."), False),
    ],
)
def test_only_a_server_that_may_be_asked_again_was_silent(failure, silent):
    assert retry.is_silence(failure) == silent


def test_pauses_double_up_to_a_limit_and_follow_the_servers_wish():
    for attempt, longest in ((0, 1), (1, 2), (3, 8), (20, 60)):
        pauses = [retry.pause(attempt, 0.0) for _ in range(200)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
    assert retry.pause(0, 30.0) == 30.0
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert 55 < retry.wished_pause(in_a_minute) <= 60
    assert [retry.wished_pause(header) for header in ("7", "-3", "soon", None)] == [7.0, 0.0, 0.0, 0.0]


def test_retry_after_is_honoured_and_an_endless_one_is_not_waited_for(pictures, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(threading.Event, "wait", _noting(waited))
    with small_server(lambda n, _: (429, {"Retry-After": "7"}, "slow") if n == 0 else completion("A disc.")) as (
        url,
        _,
    ):
        ask(server_config(url, retries=1), pictures, tmp_path)
    assert waited.count(7.0) == 1
    endless = (429, {"Retry-After": "86400"}, "come back tomorrow")
    with small_server(lambda *_: endless) as (url, _), pytest.raises(TeacherError, match="come back tomorrow"):
        ask(server_config(url, retries=1), pictures, tmp_path / "other")
    assert 86400.0 not in waited


def _noting(waited):
    wait = threading.Event.wait

    def note(event, timeout=None):
        if timeout is None or timeout < 5:  # those of the servers and pools
            return wait(event, timeout)
        waited.append(timeout)
        return False

    return note
