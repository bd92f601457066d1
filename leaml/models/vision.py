"""What a model sees of pictures: the features of its frozen tower, and what stands in a prompt in a picture's place.

Families differ in how many tokens a picture takes, in what is written around them, and in what else the decoder wants
to know of it. An `EncodedImage` holds all of that, so that pixels are needed once.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from leaml.errors import ModelError
from leaml.models.precision import autocast
from leaml.models.processors import processed

PROBE_PX = 64
OTHER = "Choose another model; docs/backbones.md lists families that work."
FORMAT = 2
"""Of the cached features; another format is another cache."""


@dataclass(frozen=True)
class EncodedImage:
    """One picture as the decoder reads it.

    Attributes:
        place: The text that stands in the prompt where the picture is, its placeholder tokens written out.
        features: `[T, D]` float32, a row for each of these tokens.
        deep: `[L, T, D]` float32, added in the decoder's first L layers (Qwen3-VL); None for other families.
        grid: Frames, height and width in patches, from which positions are made (Qwen); None for other families.
    """

    place: str
    features: Tensor
    deep: Tensor | None = None
    grid: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Prepared:
    """Pictures that one prompt shows together, as the image processor gives them.

    Attributes:
        inputs: Of the tower.
        places: The text in each picture's place.
    """

    inputs: dict[str, Tensor]
    places: list[str]


class Vision:
    """The frozen part of a model: the tower, the projector, and the image processor before them."""

    def __init__(self, model: Any, processor: Any) -> None:
        """Take a model of transformers and its processor.

        Raises:
            ModelError: If the model does not take features in place of pixels, or there is no token for images.
        """
        inner = getattr(model, "model", None)
        if inner is None or "mm_encoder_outputs" not in inspect.signature(inner.forward).parameters:
            raise ModelError(f"{type(model).__name__} cannot be given the features of images. {OTHER}")
        self.model, self.processor = model, processor
        self.placeholder: str = getattr(processor, "image_token", None) or ""
        if not self.placeholder or getattr(model.config, "image_token_id", None) is None:
            raise ModelError(f"The processor {type(processor).__name__} names no token for images. {OTHER}")
        self.token_id = int(model.config.image_token_id)
        self._token: str = processor.tokenizer.convert_ids_to_tokens(self.token_id)

    def encode(self, pictures: Sequence[Image.Image]) -> tuple[EncodedImage, ...]:
        """Return RGB pictures that one prompt shows together, in their order.

        Raises:
            ModelError: If the tower gives another number of features than the prompt has places for.
        """
        return self.see(self.prepare(pictures))

    def prepare(self, pictures: Sequence[Image.Image]) -> Prepared:
        """Return RGB pictures that one prompt shows together as the processor gives them, one call at a time."""
        made, places = processed(self.processor, pictures, self.placeholder)
        wanted = inspect.signature(self.model.model.get_image_features).parameters
        return Prepared({name: value for name, value in made.items() if name in wanted}, places)

    @torch.no_grad()
    def see(self, prepared: Prepared) -> tuple[EncodedImage, ...]:
        """Return pictures through the tower and the projector. Threads may do so at once.

        Raises:
            ModelError: If the tower gives another number of features than the prompt has places for.
        """
        inputs, places = prepared.inputs, prepared.places
        output = self._tower(inputs)
        counts = [place.count(self._token) for place in places]
        features = _rows(output.pooler_output)
        if len(features) != sum(counts):
            raise ModelError(f"The tower gives {len(features)} features for {sum(counts)} image tokens. {OTHER}")
        deep = [_rows(layer) for layer in getattr(output, "deepstack_features", None) or ()]
        layers: Iterable[Tensor | None] = torch.stack(deep).split(counts, dim=1) if deep else [None] * len(counts)
        grids = [tuple(grid) for grid in inputs["image_grid_thw"].tolist()] if "image_grid_thw" in inputs else [None]
        grids = grids if len(grids) == len(counts) else [None] * len(counts)
        return tuple(map(EncodedImage, places, features.split(counts), layers, grids))

    def pack(self, images: Sequence[EncodedImage], device: torch.device) -> SimpleNamespace:
        """Return the images of a batch, in reading order, in the form in which the family's own tower gives them."""
        features = torch.cat([image.features for image in images]).to(device)
        deep = [image.deep for image in images if image.deep is not None]
        layers = torch.cat(deep, dim=1).to(device) if deep else ()
        return SimpleNamespace(
            pooler_output=[features] if self._gives_lists else features[None],
            deepstack_features=[[layer] for layer in layers],
        )

    def hash(self, frozen: Iterable[tuple[str, Tensor]]) -> str:
        """Return the SHA-256 over the settings and the weights that turn pictures into features."""
        settings = [type(self.processor.image_processor).__name__, self.processor.image_processor.to_dict()]
        digest = hashlib.sha256(json.dumps([FORMAT, settings], sort_keys=True, default=str).encode())
        for name, value in frozen:
            digest.update(f"{name} {value.dtype}".encode())  # what a type rounds away is seen in the features
            digest.update(value.float().cpu().numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def _gives_lists(self) -> bool:
        """Whether the tower gives a list of each image's features; a small grey picture tells."""
        grey = self.prepare([Image.new("RGB", (PROBE_PX, PROBE_PX), "grey")])
        return not isinstance(self._tower(grey.inputs).pooler_output, Tensor)

    def _in_its_type(self, value: Tensor) -> Tensor:
        """Return pixels in the type of the weights; what counts or masks stays as it is."""
        if not value.is_floating_point():
            return value
        # Convolutions take a quarter less time over pixels whose channels lie side by side.
        layout = torch.channels_last if value.ndim == 4 else torch.preserve_format
        return value.to(self.model.dtype, memory_format=layout)

    @torch.no_grad()
    def _tower(self, inputs: dict[str, Tensor]) -> Any:
        device = self.model.device
        with autocast(device):
            given = {name: self._in_its_type(value.to(device)) for name, value in inputs.items()}
            return self.model.get_image_features(**given, return_dict=True)


def _rows(features: Any) -> Tensor:
    """Return one `[T, D]` float32 of the features of one or more images, however a family gives them."""
    parts = [features] if isinstance(features, Tensor) else features
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts]).float()
