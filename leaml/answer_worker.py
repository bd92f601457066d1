"""`python -m leaml.answer_worker CACHE`: answers one JSON question a line until its input closes.

Before an answer comes a line `{"loaded": true}`: loading a model and answering may take different times.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from leaml.config import Flips, Precision
from leaml.errors import LeamlError, ModelError
from leaml.evaluate import predict
from leaml.models.backbone import Backbone, base_dtype, base_of, load
from leaml.models.features import ImageFeatures
from leaml.models.precision import dtype_of
from leaml.records import AnsweredQuestion, ImageId
from leaml.selective import Delta

DELTA_SUFFIX = ".safetensors"


_resident: dict[tuple[str, torch.dtype], Backbone] = {}
"""The one pretrained model that is loaded, by its name and the type of its weights."""


def _base(name: str, dtype: torch.dtype) -> Backbone:
    if (name, dtype) not in _resident:
        _resident.clear()  # before the next one is loaded: two may not fit into the memory
        gc.collect()
        _resident[name, dtype] = load(name, dtype=dtype)
    return _resident[name, dtype]


@lru_cache(maxsize=8)
def _delta(path: str) -> Delta:
    return Delta.load(Path(path))


def _model(name: str, adapter: bool, precision: Precision) -> tuple[Backbone, float]:
    """Return the one resident model with the values that were asked for, and the seconds that the swap took.

    Raises:
        ModelError: If what a model learnt is to be taken off, and it is not kept as a delta.
    """
    delta = _delta(name) if name.endswith(DELTA_SUFFIX) else None
    if delta is None and not adapter:
        raise ModelError(
            "This model was saved whole by an earlier version, so its adapter cannot be off. Train it again."
        )
    backbone = _base(name, dtype_of(precision)) if delta is None else _base(base_of(delta), base_dtype(delta))
    resident, wanted = backbone.resident, delta if adapter else None
    if wanted is resident.active:
        return backbone, 0.0
    began = time.perf_counter()
    if wanted is None:
        resident.restore()
    else:
        resident.apply(wanted)
    return backbone, time.perf_counter() - began


def _known_flips(name: str, adapter: bool) -> Flips:
    """Return how a model knows mirrored pictures; none without what it learnt here."""
    known: Flips = _delta(name).about.get("flips", "none") if adapter and name.endswith(DELTA_SUFFIX) else "none"
    return known


def answer(request: dict[str, Any], cache: Path, loaded: Callable[[], None]) -> dict[str, Any]:
    """Return the answer to one request of `leaml.answering.Answerer`.

    Args:
        request: What is asked.
        cache: Where the features of images are kept.
        loaded: Called once the model has its values and nothing but the answer is left to do.

    Raises:
        LeamlError: If the model or the picture cannot be read.
    """
    backbone, swap_seconds = _model(request["model"], request["adapter"], request["precision"])
    loaded()
    began = time.perf_counter()
    features = ImageFeatures(backbone, cache)
    image_id = ImageId(request["image_id"])
    features.add({image_id: Path(request["image"])})
    asked = AnsweredQuestion(image_id, request["question"], tuple(request["options"]), answer="")
    flips = _known_flips(request["model"], request["adapter"])
    (found,) = predict(backbone, features, [asked], lambda done, total: None, flips)
    seconds = time.perf_counter() - began
    told = {"text": found.answer, "option_probabilities": found.option_probabilities}
    return told | {"seconds": seconds, "swap_seconds": swap_seconds}


def answer_or_error(request: dict[str, Any], cache: Path, loaded: Callable[[], None]) -> dict[str, Any]:
    """Return the answer to a request, or why there is none, as `error`; see `answer`."""
    try:
        return answer(request, cache, loaded)
    except LeamlError as error:
        return {"error": str(error)}
    except (torch.OutOfMemoryError, MemoryError) as error:
        said = str(error).partition(". ")[0] or type(error).__name__
    _forget()  # out of the handler, whose traceback holds what was loaded
    return {
        "error": f"There is not enough memory for the model {request['model']!r} ({said}). Ask again when no run is "
        "being trained, or choose a smaller model or a lower precision on the Project screen."
    }


def _forget() -> None:
    """Give back the memory of what is loaded; values may have been swapped by half."""
    _resident.clear()
    _delta.cache_clear()
    gc.collect()
    torch.cuda.empty_cache()


def main() -> None:
    """Answer until the input closes."""
    # Only replies may go to the real standard output; whatever libraries print goes to the log.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cache = Path(sys.argv[1])

    def say(reply: dict[str, Any]) -> None:
        replies.write(json.dumps(reply) + "\n")

    for line in sys.stdin:
        say(answer_or_error(json.loads(line), cache, lambda: say({"loaded": True})))


if __name__ == "__main__":
    main()
