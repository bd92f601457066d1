"""`python -m leaml run sample --from RUN`: pairs of a generator that is trained already, also through a server."""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leaml.config import GENERATOR_STAGES, RunConfig, generator_run
from leaml.errors import ConfigError, RunError
from leaml.jobs import Jobs
from leaml.records import RunId
from leaml.snapshot import read_snapshot
from leaml.teacher.config import TeacherConfig
from leaml.teacher.key import read_key
from leaml.teacher.notice import where_images_go

EARLIER = GENERATOR_STAGES[: GENERATOR_STAGES.index("sample")]
LONGEST_SIDE_PX = 4096
"""The generator sees images as it does here: larger than its processor makes them, and without loss."""

Writer = Callable[[Path], None]
"""Writes a directory's content."""


def add_sampling_options(command: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = command.add_argument_group("sampling from a generator that is trained already")
    group.add_argument("--from", dest="trained", metavar="RUN", help="run whose generator and second opinion are used")
    group.add_argument("--sampling-url", metavar="URL", help="OpenAI-compatible server that has its merged generator")
    group.add_argument("--sampling-model", metavar="NAME", help="the server's name for it")
    group.add_argument("--sampling-key-env", metavar="NAME", default="", help="variable with the server's key")
    group.add_argument(
        "--sampling-one-by-one", action="store_true", help="ask for each text by itself: for a server without `n`"
    )


def sampling_run(arguments: argparse.Namespace, jobs: Jobs) -> tuple[RunConfig, Writer, Writer] | None:
    """Return a run that goes on from another one's generator, with what copies its data and its output.

    None where the arguments do not ask for one.

    Raises:
        LeamlError: If the options do not fit together, or that run has no trained generator.
    """
    if arguments.trained is None:
        if _asks_a_server(arguments):
            raise ConfigError("A server can only have a generator that is trained already. Name its run with --from.")
        return None
    if arguments.stage != "sample":
        raise ConfigError(f"--from goes with `run sample`, not with `run {arguments.stage}`.")
    other = jobs.run(RunId(arguments.trained)).path
    if not all((other / "output" / f"{stage}.done").exists() for stage in EARLIER):
        raise RunError(f"{arguments.trained} has no trained generator. Train one: `leaml run judge`.")
    generator = RunConfig.from_json(jobs.run(RunId(arguments.trained)).config()).generator
    assert generator is not None, "only generators have these stages"
    server = _server(arguments)
    if server is not None:
        images = len(read_snapshot(other / "data").unlabelled)
        print(where_images_go(server, images, to="write questions about"), flush=True)
    sampling = replace(generator.sampling, server=server, one_by_one=arguments.sampling_one_by_one)
    config = generator_run(replace(generator, sampling=sampling))
    return config, _copies(other / "data"), _copies(other / "output", without=("sample",))


def _server(arguments: argparse.Namespace) -> TeacherConfig | None:
    """Return the server to sample from; None samples here.

    Raises:
        ConfigError: If its key is missing, or a value cannot work.
    """
    if not _asks_a_server(arguments):
        return None
    server = TeacherConfig(
        source="server",
        model=arguments.sampling_model or "",
        url=arguments.sampling_url or "",
        key_env=arguments.sampling_key_env,
        longest_side_px=LONGEST_SIDE_PX,
        image_format="png",
    )
    read_key(server)
    return server


def _asks_a_server(arguments: argparse.Namespace) -> bool:
    given = (arguments.sampling_url, arguments.sampling_model, arguments.sampling_key_env)
    return any(given) or arguments.sampling_one_by_one


def _copies(source: Path, *, without: tuple[str, ...] = ()) -> Writer:
    def write(target: Path) -> None:
        shutil.copytree(source, target, dirs_exist_ok=True)
        for stage in without:
            (target / f"{stage}.done").unlink(missing_ok=True)

    return write
