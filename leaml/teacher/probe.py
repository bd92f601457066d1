"""Asks a teacher about one image, before a run asks about all of them.

A server is asked from here, a local model by `python -m leaml.teacher.probe`, in a process of its own.
What a teacher cannot do is said in its own words, with what to do next.
"""

import re
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from leaml.apart import Values, answer_apart, call_apart
from leaml.data.video import FRAMES
from leaml.errors import TeacherError
from leaml.estimate import check_room
from leaml.records import ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.retry import NoCaption
from leaml.teacher.server import NotTrusted, Server

LOCAL_TIMEOUT_S = 900.0
"""A local model may have to be downloaded first."""
SHOWN_MODELS = 6


@dataclass(frozen=True)
class Probe:
    """What came of asking a teacher about one image.

    Attributes:
        by: What answered, such as `vLLM 0.32.0`.
        model: Its name.
        seconds: Until the caption was there; for a local model without loading it.
        caption: As it was written.
    """

    by: str
    model: str
    seconds: float
    caption: str


def probe(config: TeacherConfig, image: Path) -> Probe:
    """Return what a teacher says about one image; a server is sent the image once.

    Args:
        config: Its source is not `recorded`.
        image: The picture's file.

    Raises:
        TeacherError: If it gives no caption; with its own words and what to do next.
        LeamlError: If it cannot be asked at all.
    """
    if config.source == "local":
        request = {"teacher": config.to_json(), "image": str(image)}
        return Probe(**call_apart("leaml.teacher.probe", request, timeout_s=LOCAL_TIMEOUT_S))
    with Server(replace(config, retries=0), threading.Event()) as server:
        began = time.monotonic()
        try:
            caption = server.caption(image)
        except NotTrusted as failure:
            raise TeacherError(f"{failure}.") from None
        except NoCaption as failure:
            raise TeacherError(f"{str(failure).rstrip('.')}. {_advice(config, failure, server)}") from None
        seconds = time.monotonic() - began
        return Probe(server.software() or f"The server at {config.host}", config.model, seconds, caption)


def _advice(config: TeacherConfig, failure: NoCaption, server: Server) -> str:
    """Return what to do about a server's failure."""
    if failure.status in (401, 403):
        return "Check its key: name the environment variable or the file that holds it."
    if failure.again and not failure.status:
        return (
            "Is it running, and is the address right? `python -m leaml serve-command MODEL` prints the line that "
            "starts vLLM on this computer. A server that is still loading its model answers after some minutes."
        )
    if failure.again:
        return "It is busy or broken at the moment: wait a minute and test again, or look into its log."
    if re.search(r"[Aa]t most [1-9]\d* image", str(failure)):  # vLLM's words; one image alone is never too many
        return (
            f"A clip is sent as {FRAMES} images. `python -m leaml serve-command MODEL --images {FRAMES} "
            "--max-model-len 16384` prints the line for a server that takes so many."
        )
    there = server.models()
    if there and config.model not in there:
        return f"It has no model {config.model!r}. It lists: {', '.join(there[:SHOWN_MODELS])}. Name one of these."
    if re.search(rf"(?<!\w){re.escape(config.model)}(?!\w)", str(failure)):
        return f"Check the name of its model: {config.model!r}."
    if not there and failure.status == 404:
        return "Is the address right? It usually ends in /v1."
    return "Does the model take images? Choose a vision-language model."


def _answer(request: Values) -> Values:
    from leaml.models.backbone import load
    from leaml.teacher.local import describe

    config = TeacherConfig.from_json(request["teacher"])
    check_room(config.model, bits=config.bits)
    backbone, image = load(config.model, bits=config.bits), Path(request["image"])
    began = time.monotonic()
    # Beside the image: what is computed from a patient's picture never goes to the system's temporary folder.
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=image.parent) as cache:
        (found,) = describe(backbone, config, {ImageId("probe"): image}, keep=lambda _: None, cache=Path(cache))
    if found.error:
        raise TeacherError(
            f"{config.model} gave no caption: {found.error.rstrip('.')}. Choose another model or prompt."
        )
    where = f"This computer ({backbone.device.type.upper()})"
    return asdict(Probe(where, config.model, time.monotonic() - began, found.text))


if __name__ == "__main__":
    answer_apart(_answer)
