"""The command line: help, exit codes, and what it prints."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import parse_settings
from leaml.cli.commands import _follow, _merge, build_parser, main
from leaml.cli.teacher import teacher_of
from leaml.errors import RunError
from leaml.jobs import Jobs
from leaml.jobs.files import write_json
from leaml.records import RunId
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from tests.test_importers import project, store  # noqa: F401 - fixtures
from tests.test_worker import make_run

README = Path(__file__).parents[2] / "README.md"
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
        (("run", "evaluate", "--row-budget", ".05"), "--row-budget does nothing in `run evaluate`: only selected"),
        (("run", "finetune", "--update", "selective", "--row-budget", "all"), "say --update full instead"),
        (("run", "evaluate", "--method", "zero_shot", "--steps", "9"), "--method zero_shot, which trains nothing"),
        (("run", "finetune", "--teacher-url", "http://localhost/v1"), "--teacher-url does nothing in `run finetune`"),
        (("run", "evaluate", "--recorded-captions"), "--recorded-captions does nothing in `run evaluate`"),
        (("run", "generator", "--update", "lora"), "--update does nothing in `run generator`: it is for"),
        (("run", "sample", "--method", "lora"), "--method does nothing in `run sample`"),
        (("run", "captions", "--row-budget", "9"), "--row-budget does nothing in `run captions`, which chooses no"),
        (("run", "importance", "--steps", "9"), "--steps does nothing in `run importance`, which trains nothing"),
        (("run", "sample", "--from", "r0009", "--steps", "9"), "with --from: the settings of r0009 are kept"),
        (("run", "sample", "--from", "r0009", "--precision", "bfloat16"), "--precision does nothing in `run sample`"),
        (("run", "sample", "--sampling-one-by-one"), "Name its run with --from"),
        (("loop", "--keep", "/tmp"), "/tmp exists already"),
        (("loop", "--json", "/nowhere/x.json"), "There is no folder /nowhere. Name another file for --json"),
    ],
)
def test_a_leaml_error_is_one_sentence_and_exit_code_1(arguments, sentence, tmp_path, capsys):
    Store.open(tmp_path / "w").close()
    code, _, err = run(capsys, "--workspace", str(tmp_path / "w"), *arguments)
    assert code == 1 and sentence in err and err.startswith("leaml: ") and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("finetune", "--update", "selective", "--row-budget", ".05", "--steps", "7"), ("leaml_reviewed", 0.05, 7)),
        (("evaluate", "--method", "lora", "--steps", "7"), ("lora", 0.1, 7)),
    ],
)
def test_options_that_are_read_are_those_of_the_run(arguments, fields, tmp_path, capsys, monkeypatch):
    Store.open(tmp_path / "w").close()
    asked = []
    monkeypatch.setattr("leaml.cli.commands.start", lambda *given: asked.append(given[2].finetune) or "r1")
    assert run(capsys, "--workspace", str(tmp_path / "w"), "run", *arguments, "--detach")[0] == 0
    assert [(one.method, one.selection.row_budget, one.train.steps) for one in asked] == [fields]


def test_a_model_in_a_folder_is_found_from_elsewhere_too(tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "leaml-mini").mkdir()
    monkeypatch.chdir(tmp_path)

    def chosen(*arguments):
        return build_parser().parse_args([*arguments])

    for command in (["run", "generator"], ["check"]):
        assert chosen(*command, "--model", "models/mine").model == str(tmp_path / "models" / "mine")
        assert chosen(*command, "--model", "owner/name").model == "owner/name"
        assert chosen(*command, "--model", "leaml-mini").model == "leaml-mini", "the bundled one, whatever lies here"
    for given, kept in (("./models/mine", str(tmp_path / "models" / "mine")), ("owner/name", "owner/name")):
        teacher = teacher_of(chosen("run", "captions", "--teacher-model", given), TeacherConfig())
        assert (teacher.source, teacher.model) == ("local", kept)
    server = ("--teacher-url", "http://localhost/v1", "--teacher-model", "models/mine")
    assert teacher_of(chosen("run", "captions", *server), TeacherConfig()).model == "models/mine", "its server's name"


def test_a_run_that_fails_is_an_error_of_the_run(tmp_path, capsys, monkeypatch):
    Store.open(tmp_path / "w").close()
    ended = make_run(tmp_path / "w" / "runs", "r0001")
    write_json(ended.path / "outcome.json", {"status": "failed", "error": "no luck", "seconds": 1.0, "stages": {}})
    with pytest.raises(RunError, match="r0001 ended as failed: no luck"):
        _follow(Jobs(tmp_path / "w" / "runs"), RunId("r0001"))
    with pytest.raises(RunError, match="r0001 has no trained model"):
        _merge(build_parser().parse_args(["--workspace", str(tmp_path / "w"), "merge", "r0001", "model"]))


def test_a_run_that_cannot_be_read_keeps_no_other_one_from_the_list(tmp_path, capsys):
    Store.open(tmp_path / "w").close()
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
    assert len(commands) == 3
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
