"""What a server cannot describe is recorded and counted; too much of it stops the run with the server's words."""

import json
import threading
import time

import pytest

from leaml.errors import TeacherError
from leaml.records import Caption, ImageId
from leaml.report import Cancelled
from leaml.teacher.ask import REPORT_FILE
from leaml.teacher.book import FAILURES_FILE, CaptionBook, read_lines
from leaml.teacher.described import Described
from tests.conftest import draw
from tests.teacher.servers import ask, completion, failing, server_config, small_server


def test_few_failures_are_recorded_and_counted_and_asked_for_again_later(tmp_path):
    pictures = {ImageId(f"i{n}"): draw(tmp_path / f"i{n}.png", n) for n in range(10)}
    with small_server(lambda n, _: failing("a bad image", 400) if n == 3 else completion(f"Disc {n}.")) as (
        url,
        requests,
    ):
        config = server_config(url)
        assert len(ask(config, pictures, tmp_path)) == 9
        report = json.loads((tmp_path / "output" / REPORT_FILE).read_text())
        assert (report["images"], report["asked"], report["failed"]) == (10, 10, 1)
        (failure,) = read_lines(tmp_path / "output" / FAILURES_FILE)
        assert failure["error"] == "127.0.0.1 answered 400: a bad image" and failure["image"] == "i3"
        assert len(ask(config, pictures, tmp_path)) == 10 and len(requests) == 11


def test_more_than_the_share_stops_with_the_servers_words(tmp_path):
    pictures = {ImageId(f"i{n}"): draw(tmp_path / f"i{n}.png", n) for n in range(40)}
    answers = (failing("CUDA out of memory", 500) if n % 2 else completion("A disc.") for n in range(40))
    words = r"small at 127\.0\.0\.1 failed to describe 2 of 5 images.*CUDA out of memory.*the captions it has are kept"
    with small_server(lambda *_: next(answers)) as (url, requests), pytest.raises(TeacherError, match=words):
        ask(server_config(url), pictures, tmp_path)
    assert 5 <= len(requests) < 12


def test_a_teacher_that_is_gone_stops_however_many_captions_there_are(pictures, tmp_path):
    config = server_config("http://127.0.0.1:9/v1")
    known = [Caption(ImageId(f"k{n}"), "A disc.", config.name, config.prompt) for n in range(100)]
    everything = {**{caption.image_id: tmp_path / "none" for caption in known}, **pictures}
    with pytest.raises(TeacherError, match=r"5 of 5 images.*127\.0\.0\.1 cannot be reached"):
        ask(config, everything, tmp_path, known=known)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, "<html>hello</html>"), "is no chat completion: <html>hello</html>"),
        ((200, {}, {"choices": []}), "is no chat completion"),
        (completion("  "), "an empty caption"),
        ((307, {"Location": "http://127.0.0.1:1/elsewhere"}, ""), r"answered 307: \(nothing\)"),
        ((200, {"Content-Encoding": "gzip"}, "no gzip"), r"127\.0\.0\.1 answered something that cannot be unpacked: "),
        ((422, {}, {"detail": "image_url is not known"}), "answered 422: image_url is not known"),
        ((400, {}, {"object": "error", "message": "too long"}), "answered 400: too long"),
    ],
)
def test_what_a_server_answers_instead_is_said(answer, words, pictures, tmp_path):
    with small_server(lambda *_: answer) as (url, _), pytest.raises(TeacherError, match=words):
        ask(server_config(url), pictures, tmp_path)


def test_a_slow_server_is_given_up(pictures, tmp_path):
    def slow(*_):
        time.sleep(0.5)
        return completion("A disc.")

    with small_server(slow) as (url, _), pytest.raises(TeacherError, match=r"gave no answer within 0\.1 s"):
        ask(server_config(url, timeout_s=0.1, concurrency=6), pictures, tmp_path)


def test_a_cancel_while_nothing_arrives_keeps_what_was_under_way(pictures, tmp_path):
    cancelled = threading.Event()

    def slow(*_):
        cancelled.set()
        time.sleep(0.8)
        return completion("A disc.")

    def tell(*_):
        if cancelled.is_set():
            raise Cancelled

    with small_server(slow) as (url, requests):
        config = server_config(url)
        with pytest.raises(Cancelled):
            ask(config, pictures, tmp_path, cancelled=cancelled.is_set, tell=tell)
    assert len(requests) == len(CaptionBook(tmp_path / "cache", config).captions()) == 1


def test_half_a_line_in_the_book_costs_that_caption_alone(tmp_path):
    book = CaptionBook(tmp_path, server_config("https://host/v1"))
    book.keep(Described(ImageId("i0"), "A disc."))
    (path,) = tmp_path.glob("captions/*.jsonl")
    with path.open("a") as file:
        file.write('{"image": "i1", "te')
    book.keep(Described(ImageId("i2"), "Two\ndiscs."))
    assert {image: caption.text for image, caption in book.captions().items()} == {"i0": "A disc.", "i2": "Two\ndiscs."}
