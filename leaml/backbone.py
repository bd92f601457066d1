"""Any image-text-to-text model of transformers: load, ask, and merge, with one image a prompt.

The image comes first and is encoded once (`features.py`); everything after it runs on those features. Not covered
yet: several images a prompt, video, and families whose positions depend on the image's shape.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from leaml.config import BUNDLED_MODEL
from leaml.errors import ModelError
from leaml.precision import autocast
from leaml.selective import Delta, ResidentModel

BUNDLED_PATH = Path(__file__).resolve().parent.parent / "assets" / "models" / BUNDLED_MODEL


@dataclass(frozen=True)
class Encoded:
    """Text that follows an image, as the model reads it.

    Attributes:
        input_ids: `[B, S]` int64, the image's placeholder tokens included.
        attention_mask: `[B, S]` int64, 0 on padding.
        position_ids: `[B, S]` int64, counted from each row's first real token.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor


class Backbone:
    """A model with its processor, ready for questions about one image.

    Attributes:
        model: The transformers model, float32 unless loaded otherwise.
        tokenizer: Its tokenizer.
        device: Where it runs.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        """Join a model and its processor. Use `load` to get one from a name or path."""
        self.model = model
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.device: torch.device = model.device
        self.image_token_id = int(model.config.image_token_id)
        self.end_id = int(self.tokenizer.eos_token_id)
        pad_id = self.tokenizer.pad_token_id
        self.pad_id = self.end_id if pad_id is None else int(pad_id)
        self.model.eval().requires_grad_(False)

    @property
    def decoder(self) -> nn.Module:
        """The language decoder: the only part that any training here may change."""
        decoder: nn.Module = self.model.get_decoder()
        return decoder

    def decoder_weights(self) -> dict[str, nn.Parameter]:
        """Return the decoder's parameters by their name in the model."""
        own = {id(parameter) for parameter in self.decoder.parameters()}
        return {name: parameter for name, parameter in self.model.named_parameters() if id(parameter) in own}

    @cached_property
    def resident(self) -> ResidentModel:
        """The model as one that wears deltas. Ask for it before any training: it knows the model by its weights."""
        return ResidentModel(self.model)

    def checkpoint_activations(self) -> None:
        """Compute the decoder's activations again in the backward pass, instead of keeping them."""
        self.decoder.train()  # transformers recomputes in training mode only
        self.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})

    @cached_property
    def vision_hash(self) -> str:
        """SHA-256 over the weights and settings that turn a picture into features; names their cache."""
        settings = self.processor.image_processor.to_dict()
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, value in self.frozen_state().items():
            digest.update(name.encode())
            digest.update(value.float().cpu().numpy().tobytes())
        return digest.hexdigest()

    def frozen_state(self) -> dict[str, Tensor]:
        """Return the weights and buffers of everything but the decoder and its head, by name."""
        trained = {value.data_ptr() for value in self.decoder.state_dict().values()}
        trained.add(self.model.get_output_embeddings().weight.data_ptr())
        return {name: value for name, value in self.model.state_dict().items() if value.data_ptr() not in trained}

    def compile_blocks(self) -> None:
        """Compile each block of the decoder for itself.

        The whole model as one graph would keep every dense gradient alive until its backward pass ends.

        Raises:
            ModelError: If a CPU is to be compiled for and there is no C++ compiler.
        """
        if self.device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
            raise ModelError("compile_blocks needs a C++ compiler on a CPU, and none is installed. Leave it off.")
        lists = [module for module in self.decoder.modules() if isinstance(module, nn.ModuleList)]
        for block in max(lists, key=lambda blocks: sum(p.numel() for p in blocks.parameters())):
            block.compile(dynamic=True)

    @torch.no_grad()
    def image_features(self, pictures: list[Any]) -> Tensor:
        """Return the features `[B, T, D]` float32 of RGB PIL pictures, after the projector."""
        pixels = self.processor.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        with autocast(self.device):
            output = self.model.get_image_features(pixel_values=pixels.to(self.device), return_dict=True)
        features: Tensor = output.pooler_output
        return features.float()

    @lru_cache(maxsize=4096)  # noqa: B019 - a backbone lives as long as its process
    def prompt_ids(self, prompt: str, image_tokens: int) -> tuple[int, ...]:
        """Return the token ids of one user turn: the image, the prompt, and the start of the answer."""
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        text = self.processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids.count(self.image_token_id) != 1:
            raise ModelError(
                f"The model's chat template has {ids.count(self.image_token_id)} image places for one image. "
                "Choose a model with an image-and-text chat template."
            )
        place = ids.index(self.image_token_id)
        return (*ids[:place], *([self.image_token_id] * image_tokens), *ids[place + 1 :])

    @lru_cache(maxsize=65536)  # noqa: B019 - as above
    def target_ids(self, text: str) -> tuple[int, ...]:
        """Return the token ids of an answer, with the end token."""
        return (*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.end_id)

    def text(self, ids: list[int]) -> str:
        """Return the text of generated token ids, up to the end token."""
        kept = ids[: ids.index(self.end_id)] if self.end_id in ids else ids
        decoded: str = self.tokenizer.decode(kept, skip_special_tokens=True)
        return decoded.strip()

    def pad(self, rows: list[tuple[int, ...]], *, left: bool) -> Encoded:
        """Return token rows as one batch, padded on the left (to continue them) or on the right (to train)."""
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.pad_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.int64)
        for index, row in enumerate(rows):
            span = slice(longest - len(row), longest) if left else slice(0, len(row))
            ids[index, span] = torch.tensor(row)
            mask[index, span] = 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        return Encoded(ids.to(self.device), mask.to(self.device), positions.to(self.device))

    def hidden_states(self, encoded: Encoded, features: Tensor | None, **cache: Any) -> Any:
        """Run the model without its head.

        Args:
            encoded: The tokens; with a key-value cache the mask spans the cached tokens too.
            features: `[B, T, D]` of the images, or None where the images are in the cache already.
            **cache: `past_key_values` and `use_cache`.

        Returns:
            transformers' output; `last_hidden_state` is `[B, S, D]`.
        """
        images = {} if features is None else {"image": BaseModelOutputWithPooling(pooler_output=features)}
        return self.model.model(
            input_ids=encoded.input_ids,
            attention_mask=encoded.attention_mask,
            position_ids=encoded.position_ids,
            mm_encoder_outputs=images,
            **cache,
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 token scores `[..., V]` of hidden states `[..., D]`."""
        scores: Tensor = self.model.get_output_embeddings()(hidden)
        return scores.float()


def model_path(name: str) -> str:
    """Return where a model lies: the bundled one by its name, any other as it was given."""
    return str(BUNDLED_PATH) if name == BUNDLED_MODEL else name


def load(name: str, *, device: str | None = None) -> Backbone:
    """Load a model by the bundled name, a directory or a hub name, in float32 on the best device there is.

    Raises:
        ModelError: If it cannot be loaded.
    """
    path = model_path(name)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
        processor = AutoProcessor.from_pretrained(path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"Cannot load the model {name!r}: {error}. Check the name or path.") from error
    return Backbone(model.to(chosen), processor)


def base_of(delta: Delta) -> str:
    """Return the name or path of the pretrained model that a run's delta belongs to.

    Raises:
        ModelError: If the delta does not say.
    """
    if "model" not in delta.about:
        raise ModelError("The delta does not name its pretrained model. Use one that a run made.")
    return str(delta.about["model"])


def load_adapted(path: Path, *, device: str | None = None) -> Backbone:
    """Load the pretrained model that a delta names, and give it the delta's values.

    Raises:
        ModelError: If either cannot be read, or they do not belong together.
    """
    delta = Delta.load(path)
    backbone = load(base_of(delta), device=device)
    backbone.resident.apply(delta)
    return backbone


def merge(path: Path, directory: Path) -> None:
    """Write the pretrained model with a delta's values as an ordinary Hugging Face directory, processor included.

    Raises:
        ModelError: If the delta or its model cannot be read, or the directory cannot be written.
    """
    delta = Delta.load(path)
    backbone = load(base_of(delta), device="cpu")
    backbone.resident.merge(delta, directory, backbone.processor)
