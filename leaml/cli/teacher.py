"""The teacher's options of `python -m leaml run`; `python -m leaml check` tries a model and a teacher."""

import argparse
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from leaml.choices import generator_of, read_choices
from leaml.cli.typed import model_name
from leaml.config import RunConfig
from leaml.errors import ConfigError
from leaml.estimate import Estimate, estimate, largest_of, model_facts, with_clips, with_pairs
from leaml.jobs import RunDir
from leaml.json_config import require
from leaml.records import Caption, ImageId
from leaml.snapshot import read_snapshot
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from leaml.teacher.key import read_key
from leaml.teacher.notice import where_images_go
from leaml.teacher.probe import probe

OPTIONS: dict[str, dict[str, Any]] = {
    "--teacher-url": {"metavar": "URL", "help": "OpenAI-compatible server, such as http://localhost:8000/v1"},
    "--teacher-model": {"metavar": "NAME", "help": "the server's model; without a URL, a model that runs here"},
    "--teacher-prompt": {"metavar": "TEXT", "help": "what it is asked about each image"},
    "--teacher-key-env": {"metavar": "NAME", "help": "environment variable with the server's key"},
    "--teacher-key-file": {"metavar": "FILE", "help": "file with the server's key"},
    "--teacher-concurrency": {"type": int, "metavar": "N", "help": "questions under way at once [8]"},
    "--teacher-timeout-s": {"type": float, "metavar": "S", "help": "longest wait for a caption [120]"},
    "--teacher-retries": {"type": int, "metavar": "N", "help": "how often a busy server is asked again [5]"},
    "--teacher-longest-side-px": {"type": int, "metavar": "N", "help": "larger images are reduced [1024]"},
    "--teacher-image-format": {"choices": ("jpeg", "png"), "help": "how images are sent [jpeg]"},
    "--teacher-max-tokens": {"type": int, "metavar": "N", "help": "of a caption, at most [256]"},
    "--teacher-batch-size": {"type": int, "metavar": "N", "help": "images at once, for a model that runs here [16]"},
    "--teacher-bits": {"type": int, "choices": (4, 8, 16), "help": "of each weight of a model that runs here [32]"},
    "--teacher-failure-share": {"type": float, "metavar": "X", "help": "stop when a larger share fails [0.1]"},
    "--teacher-allow-http": {"action": "store_true", "default": None, "help": "send images elsewhere unencrypted"},
}
"""Each sets the field of `TeacherConfig` that it is named after."""


def add_teacher_options(command: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = command.add_argument_group("captions from a teacher (default: what was chosen for the project)")
    group.add_argument("--recorded-captions", action="store_true", help="use those that came with the project")
    for option, about in OPTIONS.items():
        group.add_argument(option, **about)


def teacher_of(arguments: argparse.Namespace, otherwise: TeacherConfig) -> TeacherConfig:
    """Return the teacher that the arguments ask for; the project's own where they ask for none.

    Raises:
        ConfigError: If they do not fit together.
    """
    given = {option[len("--teacher-") :].replace("-", "_"): option for option in OPTIONS}
    values = {name: getattr(arguments, f"teacher_{name}") for name in given}
    values = {name: value for name, value in values.items() if value is not None}
    if arguments.recorded_captions:
        require(not values, "--recorded-captions", True, "given without options of another teacher")
        return TeacherConfig()
    if not values:
        return otherwise
    if "model" not in values:
        raise ConfigError(f"{given[next(iter(values))]} needs a teacher. Name its model with --teacher-model.")
    if "url" in values:
        return TeacherConfig(source="server", **values)
    return TeacherConfig(source="local", **{**values, "model": model_name(values["model"])})


def add_check_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser("check", help="tell what training takes; have the teacher describe one image")
    command.add_argument("--model", type=model_name, help="name or path of the pretrained model [the project's]")
    add_teacher_options(command)
    command.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> None:
    with Store.open(arguments.workspace, make=False) as store:
        choices = read_choices(store.workspace)
        choices = replace(choices, model=arguments.model or choices.model)
        teacher, pool, project = teacher_of(arguments, choices.teacher), store.images("pool"), store.project()
    facts = with_clips(model_facts(choices.model, largest_of(pool)), (image.path for image in pool))
    facts = with_pairs(facts, project.question_types if project else ())
    generator = generator_of(choices)
    found = estimate(facts, generator, images=len(pool), saves_memory=choices.saves_memory)
    enough = "" if found.fits else f" {_what_would_fit(found)}"
    print(
        f"{choices.model}: {facts.parameters / 1e6:.4g} million weights. Training needs about "
        f"{found.memory_bytes / 2**30:.1f} GB; a run may use {found.available_bytes / 2**30:.1f} GB.{enough}"
    )
    if teacher.source != "recorded" and pool:
        print(where_images_go(teacher, 1), flush=True)
        said = probe(teacher, arguments.workspace / pool[0].path)
        print(f"{said.by}, model {said.model}, first caption in {said.seconds:.1f} s: {said.caption}")


def _what_would_fit(found: Estimate) -> str:
    """Say what to do about a model that is too large."""
    if found.fits_when_saving:
        return "It fits when memory is saved: see “More settings” on the Project screen."
    if found.fits_at_last:
        return "It fits when memory is saved (“More settings” on the Project screen) and with --precision bfloat16."
    return f"That is too little: about {found.largest / 1e6:.3g} million weights would fit."


def announce(config: TeacherConfig, store: Store) -> None:
    """Say where images go, before they do; nothing is said where captions are the project's own.

    Raises:
        ConfigError: If the server's key is not where the settings say.
    """
    _announce(config, [image.id for image in store.answered.unlabelled()], store.captions.all())


def announce_again(run: RunDir) -> None:
    """Say it of a run that goes on, if its captions are not complete.

    Raises:
        LeamlError: If the key is not where the settings say, or the run cannot be read.
    """
    generator = RunConfig.from_json(run.config()).generator
    if generator is not None and not (run.path / "output" / "captions.done").exists():
        data = read_snapshot(run.path / "data")
        _announce(generator.teacher, data.unlabelled, data.captions)


def _announce(config: TeacherConfig, unlabelled: Collection[ImageId], captions: Iterable[Caption]) -> None:
    if config.source == "recorded":
        return
    read_key(config)  # a missing key is said here rather than by the run
    done = {row.image_id for row in captions if (row.teacher, row.prompt) == (config.name, config.prompt)}
    print(where_images_go(config, sum(image_id not in done for image_id in unlabelled)), flush=True)
