"""Pseudo pairs drawn through an OpenAI-compatible server that has the generator, such as vLLM on a merged folder.

The server writes texts only. How probable they are is computed here, under the generator itself: not every server says
it, and what a server calls by the right name may still be another model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaml.config import SamplingConfig
from leaml.errors import TeacherError
from leaml.prompts import GENERATION_PROMPT
from leaml.records import ImageId
from leaml.teacher.book import append_line, read_lines
from leaml.teacher.config import TeacherConfig
from leaml.teacher.retry import SilentRow, is_silence
from leaml.teacher.server import Server, ask_about_each

SEEDS = 2**31 - 1


@dataclass(frozen=True)
class Written:
    """What a server wrote about one image, or why it wrote nothing; `silent` as in Described."""

    image_id: ImageId
    texts: tuple[str, ...] = ()
    error: str = ""
    silent: bool = False


def sample_by_server(
    images: Mapping[ImageId, Path],
    server: TeacherConfig,
    config: SamplingConfig,
    *,
    tell: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    kept: Path | None = None,
) -> dict[ImageId, tuple[str, ...]]:
    """Return the texts about each image, in the order of the images; those that failed are left out.

    Each image has random numbers of its own, derived from the seed and its place.

    Args:
        images: Their files.
        server: How it is reached.
        config: How texts are drawn.
        tell: Hears (done, all); may raise to stop.
        cancelled: Looked at while nothing arrives.
        kept: Where an image's texts are written as they arrive, and are not asked for again; None keeps nothing.

    Raises:
        TeacherError: If more than the set share of the images failed, or the server is gone; with its own words.
        ConfigError: If the key is not where the settings say.
    """
    places = {image_id: place for place, image_id in enumerate(images)}

    def ask(asked: Server, image_id: ImageId, path: Path) -> Written:
        try:
            return Written(image_id, tuple(_texts(asked, path, config, places[image_id])))
        except Exception as failure:  # as with captions: one image must not end the others
            return Written(image_id, error=asked.words_of(failure), silent=is_silence(failure))

    known = {row["image"]: tuple(row["texts"]) for row in read_lines(kept)} if kept else {}
    found: dict[ImageId, tuple[str, ...]] = {image_id: known[image_id] for image_id in images if image_id in known}
    missing = {image_id: path for image_id, path in images.items() if image_id not in found}
    failed: list[Written] = []
    silent = SilentRow(server.concurrency)
    for written in ask_about_each(server, missing, ask, cancelled=cancelled):
        if written.error:
            failed.append(written)
        else:
            found[written.image_id] = written.texts
            if kept:
                append_line(kept, {"image": written.image_id, "texts": written.texts})
        tell(len(found) + len(failed), len(images))
        gone = silent.add(written.silent)
        if gone or len(failed) > max(1, server.failure_share * len(images)):
            raise TeacherError(_sentence(server, failed))
    if failed and not found:
        raise TeacherError(_sentence(server, failed))
    tell(len(found) + len(failed), len(images))  # raises where the answers ended early, by a wish to stop
    return {image_id: found[image_id] for image_id in images if image_id in found}


def _sentence(server: TeacherConfig, failed: list[Written]) -> str:
    images = "1 image" if len(failed) == 1 else f"{len(failed)} images"
    words = failed[-1].error.rstrip(".")
    return f"{server.name} failed to write about {images}. It said at last: {words}. Put that right and resume the run."


def _texts(asked: Server, path: Path, config: SamplingConfig, place: int) -> list[str]:
    settings: dict[str, Any] = {
        "max_tokens": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
    }
    seed, count = config.seed * 1_000_003 + place * config.pairs_per_image, config.pairs_per_image
    if not config.one_by_one:
        return asked.completions(path, GENERATION_PROMPT, n=count, seed=seed % SEEDS, **settings)
    return [
        text
        for number in range(count)
        for text in asked.completions(path, GENERATION_PROMPT, seed=(seed + number) % SEEDS, **settings)
    ]
