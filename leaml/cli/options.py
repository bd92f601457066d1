"""Options of `python -m leaml run` that the run which is asked for would not read are refused.

One that did nothing would leave somebody with a run that they believe to be another. A run's model and its precision
are noted in every run's settings, read or not, and may be given for all.
"""

import argparse
from collections.abc import Iterator

from leaml.cli.teacher import OPTIONS
from leaml.config import MODEL_STAGES
from leaml.errors import ConfigError

CAPTIONS = ("--recorded-captions", *OPTIONS)
OF_A_MODEL = ("--method", "--update")
SETTINGS = ("--model", "--precision", "--steps", "--row-budget")


def require_read(arguments: argparse.Namespace) -> None:
    """Check that the run reads every option that was given.

    Raises:
        ConfigError: If one would do nothing.
    """
    for options, why in _unread(arguments):
        for option in options:
            if _is_given(arguments, option):
                raise ConfigError(f"{option} does nothing in `run {arguments.stage}`{why}")


def _unread(arguments: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield options that would not be read, with the rest of the sentence that says why."""
    if arguments.trained is not None:
        settings = f" with --from: the settings of {arguments.trained} are kept. Leave it out."
        yield SETTINGS + OF_A_MODEL + CAPTIONS, settings
    if arguments.stage not in MODEL_STAGES:
        yield OF_A_MODEL, ": it is for `run finetune` and `run evaluate`. Leave it out."
        if arguments.stage in ("captions", "importance"):
            yield ("--steps",), ", which trains nothing. Leave it out."
        if arguments.stage == "captions":
            yield ("--row-budget",), ", which chooses no neurons. Leave it out."
        return
    yield CAPTIONS, ": a teacher is asked before the generator is trained. Leave it out."
    if arguments.method == "zero_shot":
        yield ("--steps", "--update", "--row-budget"), " with --method zero_shot, which trains nothing. Leave it out."
    if arguments.update != "selective":
        yield ("--row-budget",), ": only selected neurons have one. Add --update selective, or leave it out."
    elif arguments.row_budget == "all":
        yield ("--row-budget",), ": to move `all` weights, say --update full instead."


def _is_given(arguments: argparse.Namespace, option: str) -> bool:
    value = getattr(arguments, option.lstrip("-").replace("-", "_"))
    return value is not None and value is not False
