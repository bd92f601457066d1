"""Who is asked, how, and what is said about where images go."""

import shutil
import subprocess

import certifi
import pytest

from app.train import observe
from leaml.config import GeneratorConfig, generator_run
from leaml.errors import ConfigError, TeacherError
from leaml.teacher import retry
from leaml.teacher.config import TeacherConfig
from leaml.teacher.notice import where_images_go
from leaml.teacher.probe import probe
from tests.conftest import draw
from tests.teacher.servers import ask, completion, self_signed, server_config, small_server
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


def test_a_certificate_of_a_ca_of_ones_own_is_trusted_by_ssl_cert_file_on_this_computer_too(
    pictures, tmp_path, monkeypatch
):
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with small_server(lambda *_: completion("A disc."), certificate=certificate) as (url, requests):
        assert len(ask(server_config(url), pictures, tmp_path)) == len(requests) == 6


def test_a_ca_in_the_systems_store_is_trusted(pictures, tmp_path, monkeypatch):
    certificate = self_signed(tmp_path)
    (tmp_path / "system").mkdir()
    shutil.copy(certificate, tmp_path / "system")
    subprocess.run(["openssl", "rehash", tmp_path / "system"], check=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "system"))  # where OpenSSL looks for the system's
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    with small_server(lambda *_: completion("A disc."), certificate=certificate) as (url, _):
        assert len(ask(server_config(url), pictures, tmp_path)) == 6


@pytest.mark.parametrize(
    ("name", "fault"), [("IP:127.0.0.1", "self-signed certificate"), ("DNS:elsewhere", "IP address mismatch, .*")]
)
def test_a_certificate_that_does_not_hold_is_said_with_what_to_do_and_not_asked_again(
    name, fault, pictures, tmp_path, monkeypatch
):
    pauses = []
    monkeypatch.setattr(retry, "pause", lambda *_: pauses.append(0.0) or 0.0)
    certificate = self_signed(tmp_path, name)
    if fault.startswith("IP"):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    words = (
        rf"127\.0\.0\.1 has a certificate that is not trusted here: {fault}\. If a CA of your own signed it, start "
        r"with SSL_CERT_FILE=/path/ca\.pem in the environment: see docs/deployment\.md\."
    )
    with small_server(lambda *_: completion("A disc."), certificate=certificate) as (url, requests):
        with pytest.raises(TeacherError, match=rf"5 of 5 images\. It said at last: {words} Put that right and resume"):
            ask(server_config(url, retries=5), pictures, tmp_path)
        with pytest.raises(TeacherError, match=rf"^{words}$"):
            probe(server_config(url), draw(tmp_path / "a.png", 0))
    assert not requests and not pauses


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("x", "it holds no certificate")])
def test_an_ssl_cert_file_that_cannot_be_read_is_said(content, reason, pictures, tmp_path, monkeypatch):
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigError, match=rf"^Cannot read SSL_CERT_FILE=.*ca\.pem: {reason}\. Name a file of"):
        ask(server_config("https://127.0.0.1:9/v1"), pictures, tmp_path)
