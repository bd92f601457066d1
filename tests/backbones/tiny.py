"""Checkpoints of each family on disk: real configuration and processor classes, random weights, a tiny tokenizer."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HIDDEN, LAYERS = 32, 2
GAIN = 1.5
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
CLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}
PIXELS = {"min_pixels": 28 * 28, "max_pixels": 84 * 84}
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
VICUNA = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer(
    *specials: str,
    named: dict[str, str] | None = None,
    template: str | None,
    bos: str | None = None,
    eos: str = "<|im_end|>",
) -> hf.PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes, line breaks in pairs, and special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate([*letters, "ĊĊ", "ĊĊĊ"])}
    core = Tokenizer(models.BPE(vocabulary, [("Ċ", "Ċ"), ("ĊĊ", "Ċ")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    names = {"pad_token": "<|pad|>", "eos_token": eos, **({"bos_token": bos} if bos else {})}
    every = [*names.values(), *specials, *(named or {}).values()]
    core.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in dict.fromkeys(every)])
    made = hf.PreTrainedTokenizerFast(tokenizer_object=core, **names, extra_special_tokens=named or {})
    made.chat_template = template
    return made


def save(model: Any, words: hf.PreTrainedTokenizerFast, pictures: Any, folder: Path, **processor: object) -> None:
    """Write a checkpoint as the hub has it: weights, tokenizer, image processor, and the processor's own settings."""
    for parameter in model.parameters():
        if parameter.ndim > 1:  # as they start, random models hardly look at what they read, and hide every fault
            torch.nn.init.normal_(parameter.data, std=GAIN * parameter[0].numel() ** -0.5)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    pictures.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(processor))


def qwen(folder: Path, *, kind: str) -> None:
    """Qwen2-VL, Qwen2.5-VL or Qwen3-VL: images of any shape, three-dimensional positions."""
    named = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    place = "<|vision_start|><|image_pad|><|vision_end|>"
    words = tokenizer(
        "<|im_start|>", "<|vision_start|>", "<|vision_end|>", named=named, template=CHATML.replace("IMAGE", place)
    )
    code = words.convert_tokens_to_ids
    vision = {"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if kind == "Qwen2VL":
        vision |= {"embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2}
    elif kind == "Qwen2_5_VL":
        vision |= {"hidden_size": 32, "out_hidden_size": HIDDEN, "intermediate_size": 48, "fullatt_block_indexes": [1]}
        vision |= {"window_size": 56}
    else:
        vision |= {"hidden_size": 32, "out_hidden_size": HIDDEN, "intermediate_size": 48}
        vision |= {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64}
    text = {**TEXT, "vocab_size": len(words), "rope_parameters": MROPE, "eos_token_id": words.eos_token_id}
    if kind == "Qwen3VL":
        text |= {"head_dim": 8}
    config = getattr(hf, f"{kind}Config")(
        text_config=text,
        vision_config=vision,
        image_token_id=code("<|image_pad|>"),
        video_token_id=code("<|video_pad|>"),
        vision_start_token_id=code("<|vision_start|>"),
        vision_end_token_id=code("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    model = getattr(hf, f"{kind}ForConditionalGeneration")(config)
    pictures = hf.Qwen2VLImageProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, **PIXELS)
    save(model, words, pictures, folder, processor_class=f"{kind}Processor")


def idefics(folder: Path, *, kind: str) -> None:
    """Idefics3 or SmolVLM: an image in tiles, with rows and columns written between them."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    named = {"image_token": "<image>", "fake_image_token": "<fake_token_around_image>"}
    named |= {"global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>"}
    words = tokenizer("<|im_start|>", *rows, named=named, template=CHATML.replace("IMAGE", "<image>"))
    config = getattr(hf, f"{kind}Config")(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(words), "pad_token_id": words.pad_token_id},
        vision_config={**CLIP, "patch_size": 7, "image_size": 28},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=words.pad_token_id,
    )
    model = getattr(hf, f"{kind}ForConditionalGeneration")(config)
    pictures = getattr(hf, f"{kind}ImageProcessor")(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    save(model, words, pictures, folder, processor_class=f"{kind}Processor", image_seq_len=4)


def llava(folder: Path) -> None:
    """LLaVA: CLIP's patches, one grid an image; a template without special tokens around turns."""
    words = tokenizer(named={"image_token": "<image>"}, template=VICUNA, bos="<s>", eos="</s>")
    config = hf.LlavaConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(words)},
        vision_config={**CLIP, "model_type": "clip_vision_model", "image_size": 42},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=9,
    )
    model = hf.LlavaForConditionalGeneration(config)
    size = {"size": {"shortest_edge": 42}, "crop_size": {"height": 42, "width": 42}}
    settings = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    save(model, words, hf.CLIPImageProcessor(**size), folder, processor_class="LlavaProcessor", **settings)


def onevision(folder: Path) -> None:
    """LLaVA-OneVision: SigLIP's patches at several resolutions, with a learnt line break."""
    named = {"image_token": "<image>", "video_token": "<video>"}
    words = tokenizer("<|im_start|>", named=named, template=CHATML.replace("IMAGE", "<image>"))
    pinpoints = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = hf.LlavaOnevisionConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)},
        vision_config={
            **CLIP,
            "model_type": "siglip_vision_model",
            "patch_size": 7,
            "image_size": 28,
            "vision_use_head": False,
        },
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_select_strategy="full",
    )
    pictures = hf.LlavaOnevisionImageProcessor(size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints)
    settings = {"num_image_tokens": 16, "vision_feature_select_strategy": "full"}
    save(
        hf.LlavaOnevisionForConditionalGeneration(config), words, pictures, folder,
        processor_class="LlavaOnevisionProcessor", **settings,
    )  # fmt: skip


def internvl(folder: Path) -> None:
    """InternVL: an image in tiles, pixels folded into channels."""
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    words = tokenizer(
        "<|im_start|>", named=named | {"video_token": "<video>"}, template=CHATML.replace("IMAGE", "<IMG_CONTEXT>\n")
    )
    config = hf.InternVLConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)},
        vision_config={**CLIP, "patch_size": [7, 7], "image_size": [28, 28]},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    pictures = hf.GotOcr2ImageProcessor(size={"height": 28, "width": 28}, crop_to_patches=True, max_patches=4)
    model = hf.InternVLForConditionalGeneration(config)
    save(model, words, pictures, folder, processor_class="InternVLProcessor", image_seq_length=4)


def paligemma(folder: Path, *, kind: str) -> None:
    """PaliGemma, on Gemma or on Gemma 2: no chat, the whole prompt read in both directions, bounded scores."""
    words = tokenizer(named={"image_token": "<image>"}, template=None, bos="<bos>", eos="<eos>")
    words.add_tokens([f"<loc{number:04d}>" for number in range(1024)] + [f"<seg{number:03d}>" for number in range(128)])
    text = {**TEXT, "model_type": kind, "vocab_size": len(words), "head_dim": 8, "pad_token_id": words.pad_token_id}
    if kind == "gemma2":
        text |= {"final_logit_softcapping": 6.0, "query_pre_attn_scalar": 8}
    config = hf.PaliGemmaConfig(
        text_config=text,
        vision_config={**CLIP, "model_type": "siglip_vision_model", "image_size": 42, "vision_use_head": False},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        projection_dim=HIDDEN,
    )
    pictures = hf.SiglipImageProcessor(size={"height": 42, "width": 42})
    pictures.image_seq_length = 9
    save(hf.PaliGemmaForConditionalGeneration(config), words, pictures, folder, processor_class="PaliGemmaProcessor")


def gemma(folder: Path) -> None:
    """Gemma 3: images read in both directions, most layers see a short window only."""
    named = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    words = tokenizer("<start_of_turn>", "<end_of_turn>", named=named, template=GEMMA, bos="<bos>", eos="<eos>")
    code = words.convert_tokens_to_ids
    text = {**TEXT, "vocab_size": len(words), "head_dim": 8, "sliding_window": 16}
    text |= {"layer_types": ["sliding_attention", "full_attention"], "query_pre_attn_scalar": 8}
    config = hf.Gemma3Config(
        text_config=text,
        vision_config={**CLIP, "image_size": 56, "vision_use_head": False},
        image_token_index=code("<image_soft_token>"),
        boi_token_index=code("<start_of_image>"),
        eoi_token_index=code("<end_of_image>"),
        mm_tokens_per_image=4,
    )
    model = hf.Gemma3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = [words.eos_token_id, code("<end_of_turn>")]
    pictures = hf.Gemma3ImageProcessor(size={"height": 56, "width": 56})
    save(model, words, pictures, folder, processor_class="Gemma3Processor", image_seq_length=4)


FAMILIES: dict[str, Callable[[Path], None]] = {
    "qwen2_vl": partial(qwen, kind="Qwen2VL"),
    "qwen2_5_vl": partial(qwen, kind="Qwen2_5_VL"),
    "qwen3_vl": partial(qwen, kind="Qwen3VL"),
    "idefics3": partial(idefics, kind="Idefics3"),
    "smolvlm": partial(idefics, kind="SmolVLM"),
    "llava": llava,
    "llava_onevision": onevision,
    "internvl": internvl,
    "paligemma": partial(paligemma, kind="gemma"),
    "paligemma2": partial(paligemma, kind="gemma2"),
    "gemma3": gemma,
}


def make(family: str, folder: Path) -> Path:
    """Write a checkpoint of a family with random weights, the same each time, and return its folder."""
    torch.manual_seed(0)
    FAMILIES[family](folder)
    return folder
