"""How the app starts, and when it refuses to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.services import Services
from app.settings import Settings, parse_settings, set_environment
from leaml.errors import ConfigError
from leaml.store import Store

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_the_network_is_refused_without_users(host: str, tmp_path: Path) -> None:
    settings = parse_settings(["--host", host, "--workspace", str(tmp_path / "work"), "--no-sample"])
    with pytest.raises(ConfigError, match=rf"leaml --workspace {tmp_path}/work user add NAME --role admin"):
        Services.open(settings)
    with Store.open(tmp_path / "work") as store:  # it was let go of
        store.users.add("ann", "admin", "correct horse")
    with Services.open(settings) as services:
        assert services.needs_sign_in


@pytest.mark.parametrize("arguments", [["--generator-steps", "0"], ["--finetune-steps", "-3"], ["--port", "70000"]])
def test_numbers_that_cannot_work_are_refused(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match=arguments[0]):
        parse_settings(arguments)


def test_defaults() -> None:
    settings = parse_settings([])
    assert settings == Settings()
    assert (settings.host, settings.port, settings.workspace) == ("127.0.0.1", 7860, Path("workspace"))


def test_private_images_stay_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    set_environment(Settings(workspace=tmp_path))
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / "tmp")
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


@pytest.mark.parametrize(
    ("upper", "lower", "host", "kept"),
    [
        (None, None, "127.0.0.1", "127.0.0.1,localhost,::1"),
        ("corp.example, .lan", None, "10.0.0.7", "corp.example,.lan,127.0.0.1,localhost,::1,10.0.0.7"),
        ("corp.example", "localhost,other", "::1", "corp.example,localhost,other,127.0.0.1,::1"),
        ("*", None, "127.0.0.1", "*"),
    ],
)
def test_no_proxy_is_asked_for_this_computer(
    upper: str | None, lower: str | None, host: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"NO_PROXY": upper, "no_proxy": lower}
    monkeypatch.setattr(os, "environ", {name: value for name, value in given.items() if value is not None})
    set_environment(Settings(workspace=tmp_path, host=host))
    assert [os.environ[name] for name in given] == [kept, kept]


def run_app(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_second_app_on_one_workspace_says_who_holds_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "work"):
        ended = run_app("--workspace", str(tmp_path / "work"), "--no-sample")
    assert ended.returncode == 2
    assert ended.stderr.startswith("LEAML Studio cannot start: ")
    assert str(os.getpid()) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_refused_host_ends_with_code_2(tmp_path: Path) -> None:
    ended = run_app("--workspace", str(tmp_path / "work"), "--host", "0.0.0.0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "user add NAME --role admin" in ended.stderr


def test_app_py_is_short() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 25
