"""The key is sent, and neither stored nor shown."""

import pytest

from leaml.cli import main
from leaml.errors import ConfigError
from leaml.teacher.book import FAILURES_FILE
from tests.teacher.servers import KEY, ask, completion, failing, server_config, small_server
from tests.test_pipeline import store  # noqa: F401 - a fixture


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
