"""Settings of the app: what was asked for on the command line, checked.

Settings of training are not here: they are `leaml.config`, and these only shorten or lengthen it.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app import terminal_text
from leaml.config import FinetuneConfig, GeneratorConfig
from leaml.errors import ConfigError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
WITHOUT_PROXY = ("NO_PROXY", "no_proxy")
"""Variables that name hosts to be reached without a proxy. Programs read one or the other."""


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    Attributes:
        workspace: Folder of the project: images, labels, runs and models.
        host: Address to listen on; another than this machine's own needs users (`leaml user add`).
        port: TCP port.
        sample: Import the sample project into a new workspace.
        author: Name under which decisions are recorded where nobody signs in.
        label_budget: Labels that make a good start.
        test_budget: Answers about test images that make a first comparison, where the data came with none.
        generator_steps: Training steps of the generator, and at most so many of its judge; None is the default.
        finetune_steps: Training steps of each model; None is the default.
        second_reads: Share of the reviewed pairs that a second person reads, where people sign in.
    """

    workspace: Path = Path("workspace")
    host: str = "127.0.0.1"
    port: int = 7860
    sample: bool = True
    author: str = "expert"
    label_budget: int = 40
    test_budget: int = 100
    generator_steps: int | None = None
    finetune_steps: int | None = None
    second_reads: float = 0.1

    def __post_init__(self) -> None:
        """Check what a person may have typed.

        Raises:
            ConfigError: On a number that cannot work.
        """
        for name, value in (("--generator-steps", self.generator_steps), ("--finetune-steps", self.finetune_steps)):
            if value is not None and value < 1:
                raise ConfigError(terminal_text.too_few_steps(name, value))
        if not 0 <= self.second_reads <= 1:
            raise ConfigError(terminal_text.bad_share("--second-reads", self.second_reads))
        if not 0 < self.port < 65536:
            raise ConfigError(terminal_text.bad_port(self.port))


def parse_settings(argv: Sequence[str]) -> Settings:
    """Return the settings that the arguments ask for.

    Raises:
        ConfigError: On a value that cannot work. Unknown arguments end the program with the usage, code 2.
    """
    default = Settings()
    parser = argparse.ArgumentParser(prog="python app.py", description=terminal_text.PURPOSE)
    parser.add_argument("--workspace", type=Path, default=default.workspace, help="folder of the project [./workspace]")
    parser.add_argument("--host", default=default.host, help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", type=int, default=default.port, help="[7860]")
    parser.add_argument(
        "--no-sample", dest="sample", action="store_false", help="start an empty workspace without the sample project"
    )
    parser.add_argument("--author", default=default.author, help="name of whoever decides, without users [expert]")
    parser.add_argument(
        "--generator-steps",
        type=int,
        metavar="N",
        help=f"training steps of the generator [{GeneratorConfig().train.steps}]",
    )
    parser.add_argument(
        "--finetune-steps",
        type=int,
        metavar="N",
        help=f"training steps of each model [{FinetuneConfig('leaml').train.steps}]",
    )
    parser.add_argument(
        "--second-reads", type=float, default=default.second_reads, metavar="SHARE",
        help="share of the reviewed pairs that a second person reads, where people sign in [0.1]",
    )  # fmt: skip
    return Settings(**vars(parser.parse_args(argv)))


def set_environment(settings: Settings) -> None:
    """Keep Gradio's files in the workspace, its telemetry and its statistics off. Call before Gradio is imported.

    Nor may it ask a proxy of the web for its own page, as it does when it starts.
    """
    temporary = settings.workspace.resolve() / "tmp"
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(temporary),
        GRADIO_RUN_HISTORY="False",
        # After every event Gradio puts its last 10,000 into a data frame, for a page that is not used here.
        GRADIO_ANALYTICS_MAX_EVENTS="1",
        GRADIO_ANALYTICS_CACHE_FREQUENCY="1000000000",
        **dict.fromkeys(WITHOUT_PROXY, _without_proxy(settings.host)),
    )


def _without_proxy(host: str) -> str:
    """Return the hosts that no proxy is asked for: those of the environment, and this computer's."""
    given = ",".join(os.environ.get(name, "") for name in WITHOUT_PROXY).split(",")
    hosts = [name.strip() for name in given if name.strip()]
    # A * stands for all, but to some libraries only where it stands alone.
    return "*" if "*" in hosts else ",".join(dict.fromkeys((*hosts, *LOCAL_HOSTS, host)))
