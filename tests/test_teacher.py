"""Captions from a teacher of one's own, against a real OpenAI-compatible server: `transformers serve`.

Its model is the bundled one. What a real server cannot be made to do when wanted (to be busy, to repeat the key, to
answer garbage) is done by a small HTTP server that speaks the same protocol.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.train import observe
from leaml.backbone import BUNDLED_PATH
from leaml.cli import main
from leaml.config import BUNDLED_MODEL, GeneratorConfig, generator_run
from leaml.errors import ConfigError, TeacherError
from leaml.experts import label_from_references
from leaml.ingest import ingest_finished
from leaml.prompts import TEACHER_PROMPT
from leaml.records import Caption, ImageId
from leaml.report import Cancelled
from leaml.teacher import retry
from leaml.teacher.ask import REPORT_FILE, Teacher
from leaml.teacher.book import FAILURES_FILE, CaptionBook, read_lines
from leaml.teacher.described import Described
from leaml.teacher.notice import where_images_go
from leaml.teacher.pictures import data_urls
from leaml.teacher.recorded import recorded_captions
from leaml.teacher_config import TeacherConfig
from tests.conftest import draw
from tests.test_pipeline import jobs, store, submit  # noqa: F401 - fixtures
from tests.test_worker import make_run

KEY = "sk-secret-0123456789"
START_S = 600
"""Patience: an idle machine starts a server in five seconds."""


class RealServer:
    """`transformers serve` with a model, as a process of its own on a port that stays the same."""

    def __init__(self, folder, model=BUNDLED_PATH):
        self._folder, self._model, self._starts = folder, model, 0
        self._process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        if self._process is not None and self._process.poll() is None:
            return
        self._starts += 1
        command = [Path(sys.executable).with_name("transformers"), "serve", self._model, "--device", "cpu"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)], stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(self.log.read_text()[-2000:])
            time.sleep(0.2)

    @property
    def log(self):
        return self._folder / f"serve{self._starts}.log"

    @property
    def asked(self):
        """How many captions were asked for since the last start."""
        return self.log.read_text().count("POST /v1/chat/completions")

    def kill(self):
        self._process.kill()
        self._process.wait()

    def _healthy(self):
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    server = RealServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def real(real_server):
    """The server, alive, also where the test before has killed it."""
    real_server.start()
    return real_server


@contextmanager
def small_server(answer):
    """Serve `answer(number of the question, request) -> (status, headers, content)`; yield the URL and the requests."""
    requests = []
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with counting:
                requests.append((self.path, dict(self.headers), body))
                number = len(requests) - 1
            status, headers, content = answer(number, body)
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def completion(text):
    return 200, {}, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def failing(words, status=500):
    return status, {}, {"error": {"message": words, "code": status}}


def server_config(url, **settings):
    return TeacherConfig("server", "small", url, **{"retries": 0, "concurrency": 1, **settings})


def ask(config, pictures, tmp_path, *, known=(), cancelled=lambda: False, tell=lambda done, total: None):
    output = tmp_path / "output"
    output.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(config, known=known, cache=tmp_path / "cache", output=output)
    return teacher.captions(pictures, tell=tell, cancelled=cancelled)


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.001)


# A real server


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


# A local model


def test_a_local_model_describes_in_batches(pictures, tmp_path):
    config = TeacherConfig("local", BUNDLED_MODEL, prompt="Describe the image.", max_tokens=12, batch_size=4)
    found = ask(config, pictures, tmp_path)
    assert [caption.image_id for caption in found] == list(pictures)
    assert all(caption.text and caption.teacher == "leaml-mini at this computer" for caption in found)
    one_by_one = ask(replace(config, batch_size=1), pictures, tmp_path / "other")
    assert [caption.text for caption in one_by_one] == [caption.text for caption in found]


def test_a_local_model_goes_on_after_a_broken_image(pictures, tmp_path):
    broken = next(iter(pictures))
    pictures[broken].write_bytes(b"no picture")
    config = TeacherConfig("local", BUNDLED_MODEL, max_tokens=4, failure_share=0.2)
    assert len(ask(config, pictures, tmp_path)) == 5
    (failure,) = read_lines(tmp_path / "output" / FAILURES_FILE)
    assert failure["image"] == broken and "Cannot read the image" in failure["error"]


# Retries


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


# What fails


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


# The key


def test_the_key_is_sent_and_is_nowhere_in_the_workspace(store, capfd, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TEACHER_KEY", KEY)
    workspace = store.workspace
    store.close()

    def answer(number, _):
        return completion(f"A disc, and {KEY}.") if number < 4 else failing(f"Wrong key: {KEY}", 401)

    with small_server(answer) as (url, requests):
        options = ("--teacher-url", url, "--teacher-model", "m", "--teacher-key-env", "TEACHER_KEY")
        assert main(("--workspace", str(workspace), "run", "captions", *options)) == 1
    assert all(headers["Authorization"] == f"Bearer {KEY}" for _, headers, _ in requests)
    told = "".join(capfd.readouterr())
    assert "Wrong key: [key]" in told and KEY not in told
    files = [path for path in workspace.rglob("*") if path.is_file()]
    assert any("[key]" in path.read_text(errors="replace") for path in files if path.name == FAILURES_FILE)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_key_file_is_read(pictures, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    with small_server(lambda *_: completion("A disc.")) as (url, requests):
        ask(server_config(url, key_file=str(tmp_path / "key")), pictures, tmp_path)
    assert requests[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("content", ["", "\n", f"{KEY}\nmore", f"{KEY}\u00e9", f"{KEY} x"])
def test_what_cannot_be_a_key_is_said_without_showing_it(content, pictures, tmp_path):
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigError, match=r"holds no (usable )?key") as error:
        ask(server_config("http://127.0.0.1:9/v1", key_file=str(tmp_path / "key")), pictures, tmp_path)
    assert KEY not in str(error.value)


def test_a_missing_key_is_said_before_a_run_starts(store, capsys):  # noqa: F811
    workspace = store.workspace
    store.close()
    options = ("--teacher-url", "https://host/v1", "--teacher-model", "m", "--teacher-key-env", "NO_SUCH_KEY")
    assert main(("--workspace", str(workspace), "run", "captions", *options)) == 1
    assert "NO_SUCH_KEY holds no key for host" in capsys.readouterr().err
    assert not list((workspace / "runs").iterdir())


# Images and hosts


@pytest.mark.parametrize(("image_format", "decoded"), [("jpeg", "JPEG"), ("png", "PNG")])
def test_large_images_are_reduced_and_lose_their_metadata(image_format, decoded, tmp_path):
    picture = Image.new("CMYK", (3000, 1000))
    exif = Image.Exif()
    exif[0x010E] = "Patient 17"
    picture.save(tmp_path / "scan.jpg", exif=exif, comment=b"Patient 17")
    (url,) = data_urls(tmp_path / "scan.jpg", longest_side_px=512, image_format=image_format)
    head, _, content = url.partition(",")
    data = base64.b64decode(content)
    with Image.open(BytesIO(data)) as sent:
        assert (sent.format, sent.mode, sent.size) == (decoded, "RGB", (512, 171))
    assert head == f"data:image/{image_format};base64" and b"Patient" not in data


def test_a_picture_of_16_bits_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16)).save(tmp_path / "scan.png")
    (url,) = data_urls(tmp_path / "scan.png", longest_side_px=512, image_format="png")
    content = url.partition(",")[2]
    with Image.open(BytesIO(base64.b64decode(content))) as sent:
        assert sent.getpixel((9, 9)) == (128, 128, 128)


def test_small_images_keep_their_size(tmp_path):
    draw(tmp_path / "a.png", 0)
    (url,) = data_urls(tmp_path / "a.png", longest_side_px=512, image_format="png")
    data = base64.b64decode(url.partition(",")[2])
    with Image.open(BytesIO(data)) as sent, Image.open(tmp_path / "a.png") as own:
        assert sent.tobytes() == own.tobytes()


def test_the_question_is_one_any_server_understands(pictures, tmp_path):
    with small_server(lambda *_: completion("A disc.")) as (url, requests):
        ask(server_config(url + "/", prompt="What is it?", max_tokens=9), pictures, tmp_path)
    path, headers, body = requests[0]
    assert path == "/v1/chat/completions" and "Authorization" not in headers
    picture, text = body["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,") and text["text"] == "What is it?"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("small", 0, 9)


def test_images_for_this_computer_do_not_take_a_proxy(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with small_server(lambda *_: completion("A disc.")) as (url, requests):
        assert len(ask(server_config(url), pictures, tmp_path)) == len(requests) == 6


def test_where_images_go_is_said():
    assert "no image leaves this computer" in where_images_go(TeacherConfig(), 5)
    assert "no image leaves it" in where_images_go(TeacherConfig("local", "m"), 5)
    assert "localhost, which is this computer" in where_images_go(server_config("http://localhost:8000/v1"), 5)
    assert where_images_go(server_config("https://api.example.org/v1"), 5) == (
        "Up to 5 images leave this computer: they go to api.example.org (encrypted) for small to describe."
    )
    plain = server_config("http://api.example.org/v1", allow_http=True)
    assert "they go to api.example.org (NOT encrypted)" in where_images_go(plain, 5)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "http://127.0.0.3/v1", "http://[::1]:80/v1", "https://a.b"]
)
def test_hosts_that_may_be_asked(url):
    assert server_config(url).host


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"url": "http://api.example.org/v1"}, "images would travel to api.example.org unencrypted; set allow_http"),
        ({"url": "http://10.0.0.7:8000/v1"}, "unencrypted"),
        ({"url": "http://localhost.example.org/v1"}, "unencrypted"),
        ({"url": "ftp://host/v1"}, "a server's base URL"),
        ({"url": "host:8000/v1"}, "a server's base URL"),
        ({"url": "https://host:port/v1"}, "url cannot be read"),
        ({"url": ""}, "given for a server"),
        ({"source": "local"}, "given for a server, and only for one"),
        ({"source": "recorded"}, "named for 'recorded' only"),
        ({"source": "oracle"}, "one of recorded, server, local"),
        ({"model": ""}, "model is ''"),
        ({"prompt": " "}, "something to ask"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"longest_side_px": 8}, "longest_side_px is 8"),
        ({"image_format": "gif"}, "jpeg or png"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"failure_share": 1.5}, "failure_share is 1.5"),
        ({"key_env": "A", "key_file": "b"}, "empty where key_env is given"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.")):
        TeacherConfig(**{"source": "server", "model": "m", "url": "https://host/v1", **settings})


@pytest.mark.parametrize(
    "settings", [{"key_env": KEY}, {"url": f"https://me:{KEY}@h/v1"}, {"url": f"https://h/?k={KEY}"}]
)
def test_a_key_in_the_settings_is_refused_without_showing_it(settings):
    with pytest.raises(ConfigError) as error:
        TeacherConfig(**{"source": "server", "model": "m", "url": "https://host/v1", **settings})
    assert KEY not in str(error.value)


def test_options_without_a_model_are_refused(tmp_path, capsys):
    arguments = ("--workspace", str(tmp_path / "w"), "run", "captions", "--teacher-url", "https://host/v1")
    assert main(arguments) == 1
    assert "--teacher-url needs a teacher. Name its model with --teacher-model" in capsys.readouterr().err


@pytest.mark.parametrize(("url", "said"), [("https://api.example.org/v1", True), ("http://localhost:8000/v1", False)])
def test_the_screen_says_where_a_resumed_run_would_send_images(url, said, tmp_path):
    run = make_run(tmp_path, config=generator_run(GeneratorConfig(teacher=server_config(url))).to_json())
    assert observe(run, locked=False).detail.endswith("sends images to api.example.org, to be described.") == said
    (run.path / "output" / "captions.done").write_text("1.0")
    assert "sends images" not in observe(run, locked=False).detail


# What is recorded


def test_the_newest_recorded_caption_of_each_unlabelled_image_is_used():
    old, new = (Caption(ImageId("i0"), text, text, "p") for text in ("old", "new"))
    labelled = Caption(ImageId("i1"), "x", "t", "p")
    assert recorded_captions([old, new, labelled], images={ImageId("i0")}) == [new]


def test_captions_of_an_older_workspace_stay(tmp_path, monkeypatch):
    from leaml import migrations
    from leaml.database import Database
    from leaml.store import STORE_FILE, Store

    step = next(n for n, sql in enumerate(migrations.MIGRATIONS) if isinstance(sql, str) and "first_captions" in sql)
    with monkeypatch.context() as older:
        older.setattr("leaml.database.MIGRATIONS", migrations.MIGRATIONS[:step])
        database = Database(tmp_path / STORE_FILE)
        with database.transaction("fill") as cursor:
            cursor.execute("INSERT INTO captions VALUES ('i0', 'A disc.', 'me', 'p')")
        database.close()
    with Store.open(tmp_path) as store:  # noqa: F811
        assert store.captions.all() == [Caption(ImageId("i0"), "A disc.", "me", "p")]
        again = Caption(ImageId("i0"), "Other words.", "me", "p", datetime.now(UTC))
        other = replace(again, teacher="you")
        store.captions.add([again, other])
        assert [caption.text for caption in store.captions.all()] == ["A disc.", "Other words."]
        assert store.captions.newest(ImageId("i0")) == other
