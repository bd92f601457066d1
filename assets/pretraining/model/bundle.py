"""The bundled model as transformers objects: how it is built, and how a training state becomes a folder.

During training the projector reads whitened features (`Whitening`): the tower's channels share most of their
variance, and what tells colors apart is in the small rest. On export the whitening is folded into the
projector's first layer, so that the folder holds a plain FastVLM.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    CLIPImageProcessorPil,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlamaConfig,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from assets.pretraining.model.tokenizer import END, IMAGE, PAD, VOCABULARY
from assets.pretraining.model.tower import STRIDE
from assets.pretraining.model.wide_tower import load_wide_tower, wide_config

IMAGE_SIZE = 256
IMAGE_TOKENS = (IMAGE_SIZE // STRIDE) ** 2


def build_model(tokenizer: PreTrainedTokenizerFast) -> FastVlmForConditionalGeneration:
    """Return the model with the pretrained tower, and a decoder and projector not yet trained."""
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    config = FastVlmConfig(
        vision_config=wide_config(),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=True,
    )
    model = FastVlmForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(load_wide_tower().state_dict())
    model.model.vision_tower.requires_grad_(False)
    return model.eval()


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Return image processor and tokenizer as one; pixels come out as `tower.preprocess` gives them."""
    images = CLIPImageProcessorPil(
        do_resize=True,
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        resample=3,
        do_center_crop=False,
        do_rescale=True,
        rescale_factor=1 / 128,
        do_normalize=True,
        image_mean=[127 / 128] * 3,
        image_std=[1.0] * 3,
        do_convert_rgb=True,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=STRIDE,
        vision_feature_select_strategy="full",
        image_token=IMAGE,
        chat_template=tokenizer.chat_template,
    )


@dataclass(frozen=True)
class Whitening:
    """An affine map of features: `mean` [C] and `matrix` [C, C], symmetric; `(x - mean) @ matrix`."""

    mean: Tensor
    matrix: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return whitened features, of the same shape."""
        return (features - self.mean) @ self.matrix


def fit_whitening(features: Tensor, *, shrink: float) -> Whitening:
    """Return the whitening of features `[N, C]`; `shrink` times the mean variance is added to each direction."""
    mean = features.mean(0)
    centred = features - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(features))
    scale = (values.clamp(min=0) + shrink * values.mean()).rsqrt()
    return Whitening(mean=mean, matrix=(vectors * scale) @ vectors.T)


def load_bundle(folder: Path, whitening: Whitening) -> FastVlmForConditionalGeneration:
    """Return the model of a folder that `export` wrote, its projector made to read whitened features again."""
    model = FastVlmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.model.vision_tower.requires_grad_(False)
    first = model.model.multi_modal_projector.linear_1
    with torch.no_grad():
        first.bias.add_(first.weight @ whitening.mean)
        unfolded = torch.linalg.solve(whitening.matrix.double(), first.weight.double().T)
        first.weight.copy_(unfolded.T)
    return model.eval()


def export(
    model: FastVlmForConditionalGeneration, whitening: Whitening, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write the folder that transformers loads: float16 on disk, float32 when loaded by default.

    float16 keeps three bits more than bfloat16, which the folded projector and the tower's batch norms need.
    """
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first = "model.multi_modal_projector.linear_1."
    state[first + "weight"] = state[first + "weight"] @ whitening.matrix.T
    state[first + "bias"] = state[first + "bias"] - state[first + "weight"] @ whitening.mean
    copy = FastVlmForConditionalGeneration(model.config)
    copy.load_state_dict(state)
    copy.half()
    copy.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(END)
    copy.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids(PAD)
    folder.mkdir(parents=True, exist_ok=True)
    copy.save_pretrained(folder)
    _split(folder)
    config = folder / "config.json"  # says float16, which would also be the type computed in
    config.write_text(config.read_text(encoding="utf-8").replace('"float16"', '"float32"'), encoding="utf-8")
    build_processor(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _split(folder: Path) -> None:
    """Keep the tower in a file of its own: it stays the same when the decoder is trained further."""
    whole = folder / "model.safetensors"
    tensors = load_file(whole)
    parts = {"model-tower.safetensors": True, "model-decoder.safetensors": False}
    places = {
        name: next(file for file, tower in parts.items() if tower == (".vision_tower." in name)) for name in tensors
    }
    for file in parts:
        save_file({name: t for name, t in tensors.items() if places[name] == file}, folder / file, {"format": "pt"})
        (folder / file).chmod(0o644)
    size = sum(t.nbytes for t in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    whole.unlink()
