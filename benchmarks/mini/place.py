"""Where one run of the benchmark works: the model, a folder of image features, and how much is measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from assets.pretraining.evaluate import held_out_questions
from assets.pretraining.features import HELD_OUT_SEED
from assets.pretraining.scenes.drawing import draw_scene
from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.captions import write_caption
from assets.pretraining.texts.questions import Question
from benchmarks.mini.photos import Photos, blood_smears, kvasir
from benchmarks.mini.rows import Row
from leaml.models.backbone import Backbone, load, model_path
from leaml.models.features import ImageFeatures
from leaml.records import ImageId

__all__ = ["Amounts", "Part", "Place", "Question", "Rng", "Scene", "held_out_questions", "write_caption"]


@dataclass(frozen=True)
class Amounts:
    """How much is measured.

    Attributes:
        scenes: Drawn scenes of the exam.
        obedience: Scenes whose questions get novel options.
        prior: Training scenes (facts only, not drawn) that the majority answer is taken from.
        distil_s: Wall time of caption distillation, seconds.
        finetune_s: Wall time of supervised training, seconds.
        photos: At most so many pictures of each collection; None for all.
        glosses: Held-out glosses.
        repeats: Of each timed thing.
    """

    scenes: int = 300
    obedience: int = 150
    prior: int = 1000
    distil_s: float = 120.0
    finetune_s: float = 180.0
    photos: int | None = None
    glosses: int = 1000
    repeats: int = 40


@dataclass
class Place:
    """The state of one run.

    Attributes:
        model: Name or path of the model.
        work: A folder for features, drawn scenes and checkpoints; it may be thrown away afterwards.
        kvasir: Folder of the Kvasir copy, or None.
        wordnet: Folder of WordNet's data files, or None.
        amounts: How much is measured.
        towers: The tower's tokens `[T, C]` float16 of each photograph that was encoded.
    """

    model: str
    work: Path
    kvasir: Path | None = None
    wordnet: Path | None = None
    amounts: Amounts = field(default_factory=Amounts)
    towers: dict[ImageId, Tensor] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The model's folder."""
        return Path(model_path(self.model))

    def backbone(self) -> Backbone:
        """Return the model as it is on disk."""
        return load(self.model)

    def collections(self) -> list[Photos]:
        """Return the photographs that are there: the sample's, and Kvasir's where given."""
        found = [blood_smears(), *([kvasir(self.kvasir)] if self.kvasir else [])]
        return [_first(photos, self.amounts.photos) for photos in found]

    def photo_features(self, backbone: Backbone, images: Mapping[ImageId, Path]) -> ImageFeatures:
        """Return the features of photographs; what the tower said before the projector is kept in `towers`."""
        features = ImageFeatures(backbone, self.work / "features")
        for image_id in images:
            if image_id in self.towers:
                continue
            with _projector_inputs(backbone) as seen:
                features.add({image_id: images[image_id]})
            if seen:  # nothing is seen where the model has no projector of the usual name
                self.towers[image_id] = seen[0][0].half()
        features.add(images)
        return features

    def scene_features(self, backbone: Backbone, count: int) -> ImageFeatures:
        """Return the features of the first held-out scenes, drawn at the size that the model sees."""
        wanted = backbone.processor.image_processor.size
        size = int(getattr(wanted, "height", None) or wanted.shortest_edge)
        drawn = self.work / f"scenes_{size}"
        drawn.mkdir(parents=True, exist_ok=True)
        paths = {scene_id(number): drawn / f"{number}.png" for number in range(count)}
        for number, path in enumerate(paths.values()):
            if not path.exists():
                draw_scene(plan_scene(HELD_OUT_SEED + number), size).save(path, compress_level=1)
        features = ImageFeatures(backbone, self.work / "features")
        features.add(paths)
        return features


Part = Callable[[Place], list[Row]]
"""One part of the benchmark."""


def scene_id(number: int) -> ImageId:
    """Return the id of a held-out scene."""
    return ImageId(f"scene{number}")


def held_out_scene(number: int) -> Scene:
    """Return the facts of a held-out scene."""
    return plan_scene(HELD_OUT_SEED + number)


def _first(photos: Photos, most: int | None) -> Photos:
    if most is None:
        return photos
    kept = set(list(photos.images)[:most])
    return Photos(
        photos.name,
        {k: v for k, v in photos.images.items() if k in kept},
        {k: v for k, v in photos.groups.items() if k in kept},
        [caption for caption in photos.captions if caption.image_id in kept],
        [question for question in photos.questions if question.image_id in kept],
    )


@contextmanager
def _projector_inputs(backbone: Backbone) -> Iterator[list[Tensor]]:
    """Collect what goes into the projector, `[B, T, C]` a batch."""
    seen: list[Tensor] = []
    projector = getattr(backbone.model.model, "multi_modal_projector", None)
    if projector is None:
        yield seen
        return

    def keep(_: object, inputs: Sequence[Tensor]) -> None:
        seen.append(inputs[0].detach().float().cpu())

    handle = projector.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
