"""Files of selections and deltas: safetensors whose header holds a JSON description. Written aside, then renamed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from leaml.errors import ModelError
from leaml.selective.entries import Entries

FORMAT = 1
PLACES = "places/"


def write_tensors(path: Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and their description as one file, which is there whole or not at all.

    Raises:
        ModelError: If the disk does not take it.
    """
    header = json.dumps({"format": FORMAT, "kind": kind, **about}, sort_keys=True)
    aside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside, metadata={"leaml": header})
        aside.replace(path)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise ModelError(f"Cannot write {path}: {error}. Free some disk space and try again.") from error


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file of this kind.

    Raises:
        ModelError: If it cannot be read, or is something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {}).get("leaml", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise ModelError(f"Cannot read {path}: {error}. Make it again.") from error
    if (about.pop("format", None), about.pop("kind", None)) != (FORMAT, kind):
        raise ModelError(f"{path} is not a {kind} of this version. Make it again.")
    return about, tensors


def pack_entries(entries: Mapping[str, Entries]) -> tuple[dict[str, tuple[int, ...]], dict[str, Tensor]]:
    """Return the shapes and the places of entries, as a file keeps them."""
    packed = {PLACES + name: places for name, own in entries.items() if (places := own.pack()) is not None}
    return {name: own.shape for name, own in entries.items()}, packed


def unpack_entries(shapes: Mapping[str, list[int]], tensors: Mapping[str, Tensor]) -> dict[str, Entries]:
    """Return the entries that `pack_entries` wrote.

    Raises:
        ModelError: If the places do not fit the shapes.
    """
    return {name: Entries.unpack(tuple(shape), tensors.get(PLACES + name)) for name, shape in shapes.items()}
