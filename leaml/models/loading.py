"""A model of transformers and its processor, from a folder or the hub, or a sentence that says why not."""

import importlib.util
import os
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.quantizers.base import get_keys_to_not_convert

from leaml.errors import ModelError
from leaml.models.attention import use_plain_attention
from leaml.models.processors import load_processor

Bits = Literal[4, 8, 16]

REMOTE_CODE = "LEAML_REMOTE_CODE"
"""Environment variable that lists models, separated by commas, whose own Python files may run."""
BLOCK, PACKED_ROWS = 64, 32
"""Weights of a row that share a 4-bit scale, and rows that bitsandbytes packs together."""
PACKAGES = ("torchvision", "timm", "num2words", "bitsandbytes")
"""What some models need beside transformers."""
LONGEST = 240
"""Characters of a library's message that are repeated."""


def load_parts(name: str, path: str, dtype: torch.dtype, *, device: str, bits: Bits | None) -> tuple[Any, Any]:
    """Return a model and its processor.

    Args:
        name: As the person wrote it.
        path: Its folder or hub name.
        dtype: Of the weights.
        device: Where the model shall run.
        bits: Of a weight; below 16 those of linear layers are quantised. None goes by `dtype`.

    Raises:
        ModelError: If it cannot be loaded, reads no images, or lacks weights.
    """
    allowed = runs_own_code(name)
    config = _config(name, path, allowed)
    if bits == 16:
        dtype, bits = torch.bfloat16, None
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            trust_remote_code=allowed,
            output_loading_info=True,
            **(_quantised(bits, dtype, device, _kept_whole(config, bits, allowed)) if bits else {}),
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise _cannot_load(name, error, "Complete its weights (*.safetensors), or fetch it again") from error
    if absent := sorted(report["missing_keys"]):
        rest = f" and {len(absent) - 1} more are" if len(absent) > 1 else " is"
        raise ModelError(f"The model {name!r} is not complete: {absent[0]}{rest} missing. Fetch it again.")
    try:
        processor = load_processor(path, config, trust_remote_code=allowed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _cannot_load(name, error, "Its tokenizer and processor must lie beside its weights") from error
    use_plain_attention(model)
    return model if bits else model.to(device), processor


def _kept_whole(config: Any, bits: Bits, allowed: bool) -> list[str] | None:
    """Return the modules that are not quantised; None leaves it to transformers, which keeps the output layer whole.

    bitsandbytes' 4 bits are for rows of whole blocks: on a CPU with AVX-512 others fail, or come out wrong unnoticed
    (the bundled model's projector has 1,440 columns; the features it made had a cosine of .40 to the right ones).
    """
    if bits != 4:
        return None
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, trust_remote_code=allowed)
    linear = ((name, layer) for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear))
    odd = [name for name, layer in linear if layer.in_features % BLOCK or layer.out_features % PACKED_ROWS]
    return [*get_keys_to_not_convert(model), *odd]


def _quantised(bits: Bits, dtype: torch.dtype, device: str, whole: list[str] | None) -> dict[str, Any]:
    """Return how transformers makes linear weights of 8 bits (LLM.int8) or 4 (NF4) while it loads them.

    Raises:
        ModelError: If bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"Weights of {bits} bits need the package bitsandbytes. Install it: pip install bitsandbytes.")
    how = BitsAndBytesConfig(
        load_in_8bit=bits == 8,
        load_in_4bit=bits == 4,
        llm_int8_skip_modules=whole,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": how, "device_map": {"": device}}


def runs_own_code(name: str) -> bool:
    """Return whether a person allowed the Python files that come with a model to run."""
    return name in os.environ.get(REMOTE_CODE, "").split(",")


def _config(name: str, path: str, allowed: bool) -> Any:
    """Return a model's configuration.

    Raises:
        ModelError: If there is none, or it is of a model that reads no images.
    """
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=allowed)
    except (OSError, ValueError, KeyError) as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"The model {name!r} brings Python code of its own, which does not run unless you say so. If you trust "
                f"its authors, start again with {REMOTE_CODE}={name} in the environment."
            ) from error
        raise _cannot_load(name, error, "Check the name or path") from error
    own = "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not (allowed and own):
        raise ModelError(
            f"The model {name!r} is of the kind {config.model_type!r}, which does not answer questions about images. "
            "Choose an image-text-to-text model; docs/backbones.md lists some."
        )
    return config


def _cannot_load(name: str, error: Exception, advice: str) -> ModelError:
    for package in PACKAGES:
        if package in str(error).lower() and importlib.util.find_spec(package) is None:
            return ModelError(
                f"The model {name!r} needs the package {package}, which is not installed. Install it, or choose "
                "another model; docs/backbones.md lists some that do without."
            )
    # The beginning of the library's message, on one line.
    words = " ".join(str(error).split())
    short = words if len(words) <= LONGEST else words[:LONGEST].rsplit(" ", 1)[0] + " ..."
    return ModelError(f"Cannot load the model {name!r}: {short} {advice}.")
