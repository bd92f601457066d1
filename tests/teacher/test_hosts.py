"""Who is asked, how, and what is said about where images go."""

import pytest

from app.train import observe
from leaml.config import GeneratorConfig, generator_run
from leaml.teacher.notice import where_images_go
from leaml.teacher_config import TeacherConfig
from tests.teacher.servers import ask, completion, server_config, small_server
from tests.test_worker import make_run


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


@pytest.mark.parametrize(("url", "said"), [("https://api.example.org/v1", True), ("http://localhost:8000/v1", False)])
def test_the_screen_says_where_a_resumed_run_would_send_images(url, said, tmp_path):
    run = make_run(tmp_path, config=generator_run(GeneratorConfig(teacher=server_config(url))).to_json())
    assert observe(run, locked=False).detail.endswith("sends images to api.example.org, to be described.") == said
    (run.path / "output" / "captions.done").write_text("1.0")
    assert "sends images" not in observe(run, locked=False).detail
