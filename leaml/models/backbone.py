"""Any image-text-to-text model of transformers: load, ask, and merge.

Images come first and are encoded once (`vision.py`, `features.py`); everything after them runs on those features.
Not covered: video as such (its frames are images), and answers that use tools or think aloud.
"""

import inspect
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from leaml.config import BUNDLED_MODEL
from leaml.errors import ModelError
from leaml.models.chat import WITHOUT_TEMPLATE, Chat
from leaml.models.loading import Bits, load_parts
from leaml.models.processors import ProcessorFiles
from leaml.models.vision import OTHER, EncodedImage, Vision
from leaml.selective import Delta, ResidentModel

BUNDLED_PATH = Path(__file__).resolve().parents[2] / "assets" / "models" / BUNDLED_MODEL


@dataclass(frozen=True)
class Encoded:
    """Text with images in it, as the model reads it.

    Attributes:
        input_ids: `[B, S]` int64, the images' placeholder tokens included.
        attention_mask: `[B, S]` int64, 0 on padding.
        position_ids: `[B, S]` int64, or `[3, B, S]` where a family counts time, rows and columns of images.
        answers: `[B, S]` int64, 1 on the tokens of an answer that is taught; None where there is none.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    answers: Tensor | None = None


class Backbone:
    """A model with its processor, ready for questions about images.

    Attributes:
        model: The transformers model, float32 unless loaded otherwise.
        processor: Its processor.
        vision: Its frozen part, which turns pictures into features.
        chat: How questions and answers are written for it.
        device: Where it runs.
        shares_prefill: Whether what prompts begin with alike can be run once, whatever follows.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        """Join a model and its processor. Use `load` to get one from a name or path."""
        self.model = model
        self.processor = processor
        self.device: torch.device = model.device
        self.vision = Vision(model, processor)
        self.chat = Chat(model, processor, self.vision.placeholder)
        self.tokenizer = self.chat.tokenizer
        self._reads_prompts_whole = model.config.model_type in WITHOUT_TEMPLATE  # PaliGemma: in both directions
        text = model.config.get_text_config()
        kinds = getattr(text, "layer_types", None)
        windows = getattr(text, "sliding_window", None) and (kinds is None or "sliding_attention" in kinds)
        # A window counts the padding between a shared beginning and a shorter prompt's rest.
        self.shares_prefill = not (self._reads_prompts_whole or windows)
        self._takes_types = "token_type_ids" in inspect.signature(model.model.forward).parameters
        self._softcap = getattr(text, "final_logit_softcapping", None)
        self.model.eval().requires_grad_(False)

    @cached_property
    def decoder(self) -> nn.Module:
        """The language decoder: the only part that any training here may change. It holds the embedding of tokens.

        Raises:
            ModelError: If that part also sees, or has nothing to train.
        """
        embedding = self.model.get_input_embeddings()
        # Not by its name, which models choose freely, and of which transformers' get_decoder knows the usual ones.
        decoder: nn.Module = next(m for m in self.model.modules() if any(c is embedding for c in m.children()))
        kinds = [type(module) for module in decoder.modules()]
        if any(issubclass(kind, nn.Conv2d | nn.Conv3d) for kind in kinds):
            raise ModelError(f"In {type(self.model).__name__} one part both reads words and sees pictures. {OTHER}")
        if not any(issubclass(kind, nn.Linear) for kind in kinds):
            what = "the part that holds the token embedding has no linear layer"
            raise ModelError(f"In {type(self.model).__name__} {what} that could be trained. {OTHER}")
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
        return self.vision.hash(self.frozen_state().items())

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

    def encode(self, pictures: Sequence[Image.Image]) -> tuple[EncodedImage, ...]:
        """Return RGB pictures that one prompt shows together, through the tower and the projector."""
        return self.vision.encode(pictures)

    def prompt_ids(self, prompt: str, images: Sequence[EncodedImage]) -> tuple[int, ...]:
        """Return the token ids of one user turn: the images, the prompt, and the start of the answer."""
        return self.chat.prompt_ids(prompt, tuple(image.place for image in images))

    def pad(
        self,
        rows: Sequence[tuple[int, ...]],
        images: Sequence[EncodedImage] = (),
        *,
        left: bool,
        answers: Sequence[int] | None = None,
    ) -> Encoded:
        """Return token rows as one batch, padded on the left (to continue them) or on the right (to train).

        Args:
            rows: The tokens of each.
            images: All images of the rows, in reading order.
            left: On which side to pad.
            answers: How many tokens at the end of each row are an answer that is taught.
        """
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.chat.pad_id)
        mask, taught = torch.zeros_like(ids), torch.zeros_like(ids)
        for index, row in enumerate(rows):
            span = slice(longest - len(row), longest) if left else slice(0, len(row))
            ids[index, span] = torch.tensor(row)
            mask[index, span] = 1
            if answers is not None:
                taught[index, span.stop - answers[index] : span.stop] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        given = None if answers is None else taught.to(self.device)
        return Encoded(ids, mask, self._positions(ids, mask, images), given)

    def following(self, mask: Tensor, offset: Tensor, count: int) -> Tensor:
        """Return the positions `[B, count]` of the last tokens of a mask `[B, S]` that grew by them.

        Args:
            mask: Of the prompt and what follows it.
            offset: `[B]`, from `position_offset`.
            count: How many tokens follow the prompt last.
        """
        return (mask.cumsum(1) - 1)[:, -count:] + offset[:, None]

    def position_offset(self, encoded: Encoded) -> Tensor:
        """Return how far the positions after each row `[B]` are from the number of its tokens."""
        last = encoded.position_ids.amax(0) if encoded.position_ids.ndim == 3 else encoded.position_ids
        return last.amax(1) + 1 - encoded.attention_mask.sum(1)

    def hidden_states(self, encoded: Encoded, images: Sequence[EncodedImage] = (), **cache: Any) -> Any:
        """Run the model without its head.

        Args:
            encoded: The tokens; with a key-value cache the mask spans the cached tokens too.
            images: All images of the batch in reading order; none where they are in the cache already.
            **cache: `cache` and `use_cache`.

        Returns:
            transformers' output; `last_hidden_state` is `[B, S, D]`.
        """
        seen = {"image": self.vision.pack(images, self.device)} if images else {}
        types = {}
        if self._takes_types and images:
            types["token_type_ids"] = self._token_types(encoded)
        return self.model.model(
            input_ids=encoded.input_ids,
            attention_mask=encoded.attention_mask,
            position_ids=encoded.position_ids,
            mm_encoder_outputs=seen,
            **types,
            **cache,
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 token scores `[..., V]` of hidden states `[..., D]`."""
        scores: Tensor = self.model.get_output_embeddings()(hidden).float()
        return scores if self._softcap is None else self._softcap * torch.tanh(scores / self._softcap)

    def _positions(self, ids: Tensor, mask: Tensor, images: Sequence[EncodedImage]) -> Tensor:
        grids = [image.grid for image in images if image.grid is not None]
        if grids:  # Qwen: tokens of an image have its rows and columns as positions
            kinds = (ids == self.vision.token_id).int()
            shapes = torch.tensor(grids, device=ids.device)
            positions: Tensor = self.model.model.get_rope_index(
                ids, mm_token_type_ids=kinds, image_grid_thw=shapes, attention_mask=mask
            )[0]
            return positions
        return (mask.cumsum(1) - 1).clamp(min=0)

    def _token_types(self, encoded: Encoded) -> Tensor:
        """Return which tokens read each other in both directions, as the families with such tokens want it."""
        if not self._reads_prompts_whole:
            return (encoded.input_ids == self.vision.token_id).long()  # Gemma 3: 1 on images
        none = torch.zeros_like(encoded.input_ids)
        return none if encoded.answers is None else encoded.answers  # PaliGemma: 0 on the prompt


def model_path(name: str) -> str:
    """Return where a model lies: the bundled one by its name, any other as it was given."""
    return str(BUNDLED_PATH) if name == BUNDLED_MODEL else name


def load(
    name: str, *, device: str | None = None, dtype: torch.dtype = torch.float32, bits: Bits | None = None
) -> Backbone:
    """Load a model by the bundled name, a directory or a hub name.

    Python files that come with a model run only where the environment's LEAML_REMOTE_CODE names it.

    Args:
        name: Of the model.
        device: Where it shall run; None takes the best there is.
        dtype: Of its weights.
        bits: For a model that is only to answer: 16 loads its weights in bfloat16 whatever `dtype` says, 4 or 8
            quantise the linear ones, which then take a quarter or half of that.

    Raises:
        ModelError: If it cannot be loaded, reads no images, or lacks weights, or bitsandbytes is wanted and not there.
    """
    return Backbone(*load_parts(name, model_path(name), dtype, device=device or best_device(), bits=bits))


def best_device() -> str:
    """Return `cuda`, `mps` or `cpu`, the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def base_of(delta: Delta) -> str:
    """Return the name or path of the pretrained model that a run's delta belongs to.

    Raises:
        ModelError: If the delta does not say.
    """
    if "model" not in delta.about:
        raise ModelError("The delta does not name its pretrained model. Use one that a run made.")
    return str(delta.about["model"])


def base_dtype(delta: Delta) -> torch.dtype:
    """Return the type of weights that a delta's pretrained model was loaded with."""
    dtype: torch.dtype = getattr(torch, delta.base_dtype, torch.float32)
    return dtype


def load_adapted(path: Path, *, device: str | None = None) -> Backbone:
    """Load the pretrained model that a delta names, in its dtype, and give it the delta's values.

    Raises:
        ModelError: If either cannot be read, or they do not belong together.
    """
    delta = Delta.load(path)
    backbone = _base(delta, device)
    backbone.resident.apply(delta)
    return backbone


def merge(path: Path, directory: Path) -> None:
    """Write the pretrained model with a delta's values as an ordinary Hugging Face directory, processor included.

    Raises:
        ModelError: If the delta or its model cannot be read, or the directory cannot be written.
    """
    delta = Delta.load(path)
    _base(delta, "cpu").resident.merge(delta, directory, ProcessorFiles(model_path(base_of(delta))))


def _base(delta: Delta, device: str | None) -> Backbone:
    return load(base_of(delta), device=device, dtype=base_dtype(delta))
