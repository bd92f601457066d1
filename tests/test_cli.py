"""The command line: help, exit codes, and what it prints."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import parse_settings
from leaml.cli import build_parser, main
from leaml.store import Store
from tests.test_importers import project, store  # noqa: F401 - fixtures
from tests.test_worker import make_run

README = Path(__file__).parent.parent / "README.md"
BACKBONES = README.parent / "docs" / "backbones.md"
DEPLOYMENT = README.parent / "docs" / "deployment.md"


def run(capsys, *arguments):
    code = main(arguments)
    output = capsys.readouterr()
    return code, output.out, output.err


def test_from_import_to_export(project, tmp_path, capsys):  # noqa: F811
    workspace = ("--workspace", str(tmp_path / "w"))
    code, out, _ = run(capsys, *workspace, "import", str(project))
    assert (code, out.strip()) == (0, f"4 images in {tmp_path / 'w'}: 3 in the pool, 1 for the test.")
    assert run(capsys, *workspace, "label", "--count", "2")[1] == "2 labels.\n"
    assert run(capsys, *workspace, "export", str(tmp_path / "pairs.jsonl"))[1].startswith("2 question-answer pairs")
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 2
    assert run(capsys, *workspace, "runs") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("import",), "either a folder, or --sample"),
        (("import", "/nowhere"), "There is no folder /nowhere"),
        (("label",), "no reference answer left"),
        (("review", "--policy", "reference"), "no pseudo pair to review"),
        (("export", "x.jsonl"), "nothing to export yet"),
        (("run", "generator"), "This workspace is empty"),
        (("runs", "cancel"), "Say which run to cancel"),
        (("runs", "show", "r0009"), "There is no run 'r0009'"),
        (("run", "generator", "--steps", "0"), "steps is 0"),
        (("run", "finetune", "--method", "lora", "--update", "full"), "update is 'full', but must be lora"),
        (("merge", "r0009", "model"), "There is no run 'r0009'"),
        (("loop", "--keep", "/tmp"), "/tmp exists already"),
        (("loop", "--json", "/nowhere/x.json"), "There is no folder /nowhere. Name another file for --json"),
    ],
)
def test_a_leaml_error_is_one_sentence_and_exit_code_1(arguments, sentence, tmp_path, capsys):
    Store.open(tmp_path / "w").close()
    code, _, err = run(capsys, "--workspace", str(tmp_path / "w"), *arguments)
    assert code == 1 and sentence in err and err.startswith("leaml: ") and "Traceback" not in err


def test_a_run_that_cannot_be_read_keeps_no_other_one_from_the_list(tmp_path, capsys):
    for name in ("r0001", "r0002"):
        run_dir = make_run(tmp_path / "w" / "runs", name)
    (run_dir.path / "config.json").write_text("{")
    code, out, _ = run(capsys, "--workspace", str(tmp_path / "w"), "runs")
    damaged, other = out.splitlines()
    assert code == 0 and "Cannot read the settings of the run r0002" in damaged and "captions, importance" in other


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "nothing"], ["run", "generator", "--row-budget", "x"], []])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: python -m leaml" in capsys.readouterr().err


@pytest.mark.parametrize("page", [README, BACKBONES], ids=lambda path: path.stem)
def test_every_command_of_the_documents_parses(page):
    commands = re.findall(r"^python -m leaml (.*)$", page.read_text(), re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        build_parser().parse_args(shlex.split(command, comments=True))


def test_the_commands_on_a_server_parse():
    page = DEPLOYMENT.read_text()
    commands = re.findall(r"^(?:runuser .*)?/opt/leaml/\.venv/bin/leaml (.*)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        build_parser().parse_args(shlex.split(command))
    (served,) = re.findall(r"^ExecStart=/opt/leaml/\.venv/bin/python app\.py (.*)$", page, re.MULTILINE)
    assert not parse_settings(shlex.split(served)).sample


def test_a_detached_run_is_listed_shown_and_finished(project, tmp_path):  # noqa: F811
    def leaml(*arguments):
        command = [sys.executable, "-m", "leaml", "--workspace", str(tmp_path / "w"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    leaml("import", str(project))
    leaml("label", "--count", "2")
    leaml("run", "captions", "--detach")
    for _ in range(200):
        if json.loads(leaml("runs", "show", "r0001"))["state"] == "done":
            break
    assert re.match(r"r0001 +done +captions", leaml("runs"))
