"""`python -m leaml.answer_worker CACHE`: answers one JSON question a line until its input closes."""

import json
import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from leaml.backbone import Backbone, load
from leaml.decoding import greedy, option_log_probabilities, prefill
from leaml.errors import LeamlError
from leaml.evaluate import ANSWER_TOKENS
from leaml.features import ImageFeatures
from leaml.generate import softmax
from leaml.prompts import question_prompt
from leaml.records import ImageId


@lru_cache(maxsize=3)
def _model(name: str) -> Backbone:
    return load(name)


def answer(request: dict[str, Any], cache: Path) -> dict[str, Any]:
    """Return the answer to one request of `leaml.answering.Answerer`.

    Raises:
        LeamlError: If the model or the picture cannot be read.
    """
    backbone = _model(request["model"])
    began = time.perf_counter()
    features = ImageFeatures(backbone, cache)
    image_id = ImageId(request["image_id"])
    features.add({image_id: Path(request["image"])})
    options = tuple(request["options"])
    prefix = prefill(backbone, [question_prompt(request["question"], options)], features.batch([image_id]))
    scores = softmax(option_log_probabilities(backbone, prefix, [options])[0]) if options else ()
    text = greedy(backbone, prefix, max_new_tokens=ANSWER_TOKENS)[0]
    return {"text": text, "option_probabilities": scores, "seconds": time.perf_counter() - began}


def main() -> None:
    """Answer until the input closes."""
    # Only replies may go to the real standard output; whatever libraries print goes to the log.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cache = Path(sys.argv[1])
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), cache)
        except LeamlError as error:
            reply = {"error": str(error)}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
