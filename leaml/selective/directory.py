"""The directory of a saved model: whether another may take its place, and taking it so that nothing is ever lost.

A folder is a person's until every file in it is known to be a model's: what is not known here is never deleted.
"""

import json
import os
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from leaml.errors import ModelError

MODEL_FILES = (
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "*.tiktoken"),
    *("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece*.model"),
    *("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
    *("chat_template.json", "chat_template.jinja", "chat_templates", "chat_templates/*.jinja"),
    *("additional_chat_templates", "additional_chat_templates/*.jinja"),
)
"""What transformers writes for a model and its processor, by path within the directory."""


def check_replaceable(directory: Path) -> None:
    """Let a directory pass that is new, empty, or a saved model's and nothing else.

    Raises:
        ModelError: If anything in it may be a person's.
    """
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    if not _has_model_type(directory / "config.json"):
        raise ModelError(f"{directory} holds files that are not a model's. Name a new folder.")
    inside = (path.relative_to(directory).as_posix() for path in directory.rglob("*"))
    other = next((name for name in inside if not any(fnmatchcase(name, pattern) for pattern in MODEL_FILES)), None)
    if other is not None:
        raise ModelError(
            f"{directory} holds {other}, which no saved model has, so it is not replaced. Name a new folder."
        )


def replace_directory(directory: Path, by: Path) -> None:
    """Put the directory `by` in the place of another, which is deleted last and is back where that fails.

    Raises:
        OSError: If one cannot be renamed.
    """
    old = directory.with_name(f".{directory.name}.{os.getpid()}.old")
    if directory.is_dir():
        directory.rename(old)
    try:
        by.rename(directory)
    except OSError:
        if old.is_dir():
            old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _has_model_type(file: Path) -> bool:
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "model_type" in config
