"""A tiny Qwen2-VL made here: real classes, a tokenizer of bytes, random weights, and a minute's lesson in pairs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
VIDEO = "<|video_pad|>"
LESSON_STEPS = 120
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if 'image' in part['type'] %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Tiny:
    """The model with its tokenizer and image processor.

    Attributes:
        model: With random weights until `teach`.
        tokenizer: Its tokens are the bytes, and the few that the chat template needs.
    """

    def __init__(self) -> None:
        """Make it anew, the same each time."""
        torch.manual_seed(0)
        self.tokenizer = _tokenizer()
        self.processor = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112)
        self.image_token = int(self.tokenizer.convert_tokens_to_ids("<|image_pad|>"))
        self.model: Any = Qwen2VLForConditionalGeneration(_config(self.tokenizer))
        self.model.generation_config.eos_token_id = self.tokenizer.eos_token_id

    def save(self, folder: Path) -> None:
        """Write all of it as an ordinary model."""
        for part in (self.model, self.tokenizer, self.processor):
            part.save_pretrained(folder)

    def encode(self, picture: Image.Image, prompt: str, target: str) -> dict[str, torch.Tensor]:
        """Return what the model reads: a picture, a prompt and an answer, whose tokens alone are labels."""
        seen = self.processor(images=[picture], return_tensors="pt")
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        message = {"role": "user", "content": content}
        text = self.tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
        patches = int(seen["image_grid_thw"].prod()) // self.processor.merge_size**2
        asked = self.tokenizer(text.replace("<|image_pad|>", "<|image_pad|>" * patches))["input_ids"]
        answered = [*self.tokenizer(target)["input_ids"], self.tokenizer.eos_token_id]
        ids = torch.tensor([asked + answered])
        labels = torch.tensor([[-100] * len(asked) + answered])
        kinds = (ids == self.image_token).int()
        return {**seen, "input_ids": ids, "labels": labels, "mm_token_type_ids": kinds}

    def teach(self, picture: Image.Image, prompt: str, targets: Sequence[str]) -> None:
        """Train the decoder until the model writes these texts, each as often as the others."""
        batches = [self.encode(picture, prompt, target) for target in targets]
        self.model.model.visual.requires_grad_(False)
        optimizer = torch.optim.AdamW(filter(lambda weight: weight.requires_grad, self.model.parameters()), lr=3e-3)
        for _ in range(LESSON_STEPS):
            loss = sum(self.model(**batch).loss for batch in batches)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    @torch.no_grad()
    def probability(self, picture: Image.Image, prompt: str, target: str) -> float:
        """Return how probable one whole text is, its end included."""
        batch = self.encode(picture, prompt, target)
        tokens = int((batch["labels"] != -100).sum())
        return math.exp(-float(self.model(**batch).loss) * tokens)


def _config(tokenizer: PreTrainedTokenizerFast) -> Qwen2VLConfig:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in (*SPECIAL, VIDEO)}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "tie_word_embeddings": False,
    }
    vision = {"depth": 2, "embed_dim": 64, "num_heads": 2, "mlp_ratio": 2, "hidden_size": 64, "patch_size": 14}
    return Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are the bytes, and the few that the chat template needs."""
    letters = {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    plain = Tokenizer(models.BPE(vocab=letters, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[*SPECIAL[1:2], *SPECIAL[3:], VIDEO],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
