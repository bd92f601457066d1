"""Settings of a teacher that cannot work are refused."""

import pytest

from leaml.cli import main
from leaml.errors import ConfigError
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from tests.teacher.servers import KEY


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
    Store.open(tmp_path / "w").close()
    arguments = ("--workspace", str(tmp_path / "w"), "run", "captions", "--teacher-url", "https://host/v1")
    assert main(arguments) == 1
    assert "--teacher-url needs a teacher. Name its model with --teacher-model" in capsys.readouterr().err
