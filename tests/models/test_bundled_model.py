"""The bundled model as anybody would load it: transformers' Auto classes, offline, without torchvision."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

from assets.pretraining.features import HELD_OUT_SEED
from assets.pretraining.model.tower import preprocess
from assets.pretraining.scenes.drawing import draw_scene
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.ask_place import ask_across, ask_down
from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import BUNDLED_PATH, Backbone, load
from leaml.models.decoding import option_log_probabilities, prefill
from leaml.prompts import CAPTION_PROMPT, question_prompt

LIMIT_BYTES = 40_000_000
SCENES = 40


@pytest.fixture(scope="module")
def bundled() -> Backbone:
    """The bundled model; no test here changes it."""
    return load(BUNDLED_MODEL, device="cpu")


def picture(number: int = 0) -> Image.Image:
    """A held-out scene."""
    return draw_scene(plan_scene(HELD_OUT_SEED + number))


def test_loads_offline_with_transformers_alone_and_no_torchvision():
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor\n"
        f"model = AutoModelForImageTextToText.from_pretrained({str(BUNDLED_PATH)!r})\n"
        f"processor = AutoProcessor.from_pretrained({str(BUNDLED_PATH)!r})\n"
        "print(type(model).__name__, model.dtype, type(processor).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["FastVlmForConditionalGeneration", "torch.float32", "LlavaProcessor"]


def test_the_folder_is_small_and_has_a_model_card():
    size = sum(path.stat().st_size for path in BUNDLED_PATH.rglob("*") if path.is_file())
    assert size <= LIMIT_BYTES
    card = (BUNDLED_PATH / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    for heading in ("## How it was made", "## Measured", "## Limits", "## Licenses"):
        assert heading in card


def test_pixels_are_exactly_those_of_pretraining():
    image = picture().resize((300, 210))
    pixels = AutoImageProcessor.from_pretrained(BUNDLED_PATH)(image, return_tensors="pt")["pixel_values"]
    assert torch.equal(pixels, preprocess([image], 256))


def test_the_processor_puts_64_image_tokens_before_the_prompt():
    processor = AutoProcessor.from_pretrained(BUNDLED_PATH)
    parts = [{"type": "text", "text": "Where?"}, {"type": "image", "image": picture()}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": parts}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    image_id = processor.tokenizer.convert_tokens_to_ids("<image>")
    ids = inputs["input_ids"][0]
    assert (ids == image_id).nonzero().flatten().tolist() == list(range(1, 65))
    assert processor.decode(ids[65:]) == "Where?<|assistant|>"
    assert inputs["pixel_values"].shape == (1, 3, 256, 256)


def test_options_are_written_with_the_same_tokens_wherever_they_stand(bundled):
    ids = bundled.tokenizer(question_prompt("Where?", ("left third", "right third")))["input_ids"]
    for option in ("left third", "right third"):
        wanted = bundled.tokenizer(option)["input_ids"]
        assert any(ids[at : at + len(wanted)] == wanted for at in range(len(ids)))


def test_places_of_drawn_objects_are_named_far_above_chance(bundled):
    """Two questions on each of 40 scenes that no training saw; chance is 1/3."""
    right = []
    for number in range(SCENES):
        rng, scene = np.random.default_rng(number), plan_scene(HELD_OUT_SEED + number)
        asked = [question for ask in (ask_across, ask_down) if (question := ask(rng, scene, False))]
        if not asked:
            continue
        seen = bundled.encode([draw_scene(scene)])
        prefix = prefill(bundled, [question_prompt(q.text, q.options) for q in asked], [seen] * len(asked))
        scores = option_log_probabilities(bundled, prefix, [q.options for q in asked])
        right += [q.options[int(np.argmax(s))] == q.answer for q, s in zip(asked, scores, strict=True)]
    assert len(right) >= SCENES
    assert np.mean(right) > 0.5


def test_generation_with_the_cache_equals_generation_without():
    model = AutoModelForImageTextToText.from_pretrained(BUNDLED_PATH).eval()
    processor = AutoProcessor.from_pretrained(BUNDLED_PATH)
    parts = [{"type": "image", "image": picture(3)}, {"type": "text", "text": CAPTION_PROMPT}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": parts}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    texts = []
    for cached in (True, False):
        ids = model.generate(**inputs, max_new_tokens=40, do_sample=False, use_cache=cached)
        texts.append(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    assert texts[0] == texts[1]
    assert len(texts[0].split()) > 3


def test_an_answer_ends(bundled):
    """The model was taught to stop: a short answer must come with its end token."""
    model, processor = bundled.model, bundled.processor
    text = f"<|user|><image>{question_prompt('What color is the background?', ('red', 'blue', 'white'))}<|assistant|>"
    inputs = processor(images=picture(2), text=text, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0]
    assert ids[-1] == bundled.chat.end_id


def test_nothing_in_the_folder_runs_code():
    assert not list(Path(BUNDLED_PATH).glob("*.py"))
    assert {path.suffix for path in BUNDLED_PATH.iterdir()} <= {".json", ".jinja", ".safetensors", ".md"}
