"""A model's processor, for text and images: found, loaded without its video part, and copied beside merged weights.

Frames of a video are shown as images, so the video half of a processor is never needed, and with it torchvision and
num2words are not either.
"""

import fnmatch
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "chat_templates/*")
"""What a processor is made of in a model's folder."""
OF_THE_MODEL = ("config.json", "generation_config.json", "*.index.json", "adapter_config.json")
"""Files of these endings that belong to the weights instead."""
STILL = {"SmolVLMProcessor": "Idefics3Processor"}
"""Processors whose image half has a class of its own: SmolVLM's refuses to start without num2words."""


def load_processor(path: str, config: Any, *, trust_remote_code: bool = False) -> Any:
    """Return the processor of a model for text and images.

    Args:
        path: The model's folder or hub name.
        config: The model's configuration; it says which class the processor has.
        trust_remote_code: Whether Python files that come with the model may run.

    Raises:
        OSError, ValueError, ImportError: transformers' own, where it cannot be loaded.
    """
    name = PROCESSOR_MAPPING_NAMES.get(config.model_type) or ""
    kind = getattr(transformers, STILL.get(name, name), None)
    if kind is None or trust_remote_code or (name not in STILL and "video_processor" not in kind.get_attributes()):
        return AutoProcessor.from_pretrained(path, trust_remote_code=trust_remote_code)
    parts = [AutoImageProcessor.from_pretrained(path), AutoTokenizer.from_pretrained(path)]
    settings, _ = kind.get_processor_dict(path)
    return _without_video(kind).from_args_and_dict(parts, settings)


def processed(processor: Any, pictures: Sequence[Image.Image], placeholder: str) -> tuple[Any, list[str]]:
    """Return what a processor makes of RGB pictures that one prompt shows, and the text in each picture's place."""
    made = processor(
        images=[list(pictures)],
        text=[placeholder * len(pictures)],
        return_tensors="pt",
        return_text_replacement_offsets=True,
    )
    return made, [found["replacement"] for found in made["text_replacement_offsets"][0]]


def tokens_of(processor: Any, size: tuple[int, int]) -> int:
    """Return how many tokens a picture of this width and height takes, with what is written around and between them.

    By a grey one: what processors tell of their own counts leaves out some of their settings.
    """
    _, (place,) = processed(processor, [Image.new("RGB", size, "grey")], processor.image_token)
    return len(processor.tokenizer(place, add_special_tokens=False)["input_ids"])


def _without_video(kind: Any) -> Any:
    """Return a processor class that does not know of its video part."""
    attributes = [name for name in kind.get_attributes() if name != "video_processor"]
    return type(kind.__name__, (kind,), {"get_attributes": classmethod(lambda cls: attributes)})


@dataclass(frozen=True)
class ProcessorFiles:
    """A processor's files as they came with a model, its video part included.

    Attributes:
        path: The model's folder or hub name.
    """

    path: str

    def save_pretrained(self, folder: Path) -> None:
        """Copy them into a folder, which `ResidentModel.merge` has filled with the model.

        Raises:
            OSError: If one cannot be read or written.
        """
        source = Path(self.path)
        if not source.is_dir():
            source = Path(snapshot_download(self.path, allow_patterns=[*FILES], ignore_patterns=[*OF_THE_MODEL]))
        for file in sorted({file for pattern in FILES for file in source.glob(pattern)}):
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in OF_THE_MODEL):
                continue
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
