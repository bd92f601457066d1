"""Captions from a Hugging Face model on this computer, in batches, each token the most probable one."""

from collections.abc import Generator, Mapping
from pathlib import Path

from leaml.errors import ImportDataError
from leaml.estimate import check_room
from leaml.models.backbone import Backbone, load
from leaml.models.decoding import greedy, prefill
from leaml.models.features import ImageFeatures
from leaml.records import ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.described import Described, Keep


def describe_locally(
    config: TeacherConfig, images: Mapping[ImageId, Path], *, keep: Keep, cache: Path
) -> Generator[Described, None, None]:
    """Yield what came of each image; features of images are kept below `cache`.

    Raises:
        ModelError: If the model cannot be loaded, or does not fit into the memory.
    """
    check_room(config.model, bits=config.bits)
    yield from describe(load(config.model, bits=config.bits), config, images, keep=keep, cache=cache)


def describe(
    backbone: Backbone, config: TeacherConfig, images: Mapping[ImageId, Path], *, keep: Keep, cache: Path
) -> Generator[Described, None, None]:
    """Yield what came of each image, as `describe_locally` does, from a model that is loaded."""
    waiting = list(images)
    for start in range(0, len(waiting), config.batch_size):
        features = ImageFeatures(backbone, cache)  # of one batch: those of a whole pool may not fit into memory
        readable = []
        for image_id in waiting[start : start + config.batch_size]:
            try:
                features.add({image_id: images[image_id]})
                readable.append(image_id)
            except ImportDataError as error:
                yield Described(image_id, error=str(error))
        if not readable:
            continue
        prefix = prefill(backbone, [config.prompt] * len(readable), features.batch(readable))
        for image_id, text in zip(readable, greedy(backbone, prefix, max_new_tokens=config.max_tokens), strict=True):
            found = Described(image_id, text) if text else Described(image_id, error="the model wrote an empty caption")
            if text:
                keep(found)
            yield found
