"""What is learned from each image: its segments, drawn afresh for every exposure, and its stored features."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assets.pretraining.features import SHARD, shard_path
from assets.pretraining.model.packing import PREFIX, Encoder, Segment
from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.captions import write_caption
from assets.pretraining.texts.lists import list_question, repeat_request
from assets.pretraining.texts.questions import Question, easy_vqa_question
from assets.pretraining.texts.skills import draw_question
from assets.pretraining.texts.wording import fill, pick
from leaml.prompts import (
    CAPTION_PROMPT,
    GENERATION_PROMPT,
    described,
    normalise_answer,
    pair_target,
    question_prompt,
)

LENGTH = 448
"""Tokens of a packed sequence; segments are added until it is full."""
DEFINITIONS = 2
"""Glosses read beside each image: with fewer, specialist captions cost 8.7 nats a token before any training."""
READING_DRAWS = 5
DEFINE = ("Define {w}.", "What is {w}?", "Explain the word {w}.")


class EasyVqa:
    """The questions of easy-vqa's training images, by image."""

    def __init__(self) -> None:
        """Read them from the package."""
        import easy_vqa

        self.answers = easy_vqa.get_answers()
        self.by_image: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for text, answer, image in zip(*easy_vqa.get_train_questions(), strict=True):
            self.by_image[image].append((text, answer))

    def caption(self, rng: Rng, image: int) -> str:
        """Return a sentence made of the image's two facts."""
        pairs = self.by_image[image]
        shape = next((a for _, a in pairs if a in ("circle", "rectangle", "triangle")), "shape")
        color = next((a for q, a in pairs if a in self.answers and "color" in q), "")
        words = f"{color} {shape}".strip()
        return fill(rng, ("The image shows a {k}.", "There is a {k}.", "A {k} is seen on a pale background."), k=words)

    def question(self, rng: Rng, image: int) -> Question:
        """Return one of the image's questions, with options."""
        pairs = self.by_image[image]
        return easy_vqa_question(rng, *pairs[int(rng.integers(len(pairs)))], self.answers)


def question_segment(encoder: Encoder, question: Question) -> Segment:
    """Return the segment in which the question is answered."""
    return encoder.segment(question_prompt(question.text, question.options), question.answer)


def reading_segment(rng: Rng, encoder: Encoder, caption: str, ask: Callable[[], Question]) -> Segment:
    """Return a question beside the image's caption, every other time without the image: read, do not look.

    Of a few drawn questions it is the first whose answer stands in the caption, if there is one.
    """
    drawn = [ask() for _ in range(READING_DRAWS)]
    told = f" {normalise_answer(caption)} "
    question = next((q for q in drawn if f" {normalise_answer(q.answer)} " in told), drawn[-1])
    prompt = described(caption, question_prompt(question.text, question.options))
    return encoder.segment(prompt, question.answer, sees_image=bool(rng.random() < 0.5))


def lesson(
    rng: Rng, encoder: Encoder, source: Scene | tuple[EasyVqa, int], glosses: list[tuple[str, str]]
) -> list[Segment]:
    """Return segments for one exposure of an image, up to `LENGTH` tokens with the image."""

    def ask() -> Question:
        return draw_question(rng, source) if isinstance(source, Scene) else source[0].question(rng, source[1])

    caption = write_caption(rng, source) if isinstance(source, Scene) else source[0].caption(rng, source[1])
    segments = [encoder.segment(CAPTION_PROMPT, caption)]
    if rng.random() < 0.35:
        asked = ask()
        prompt = described(caption, GENERATION_PROMPT) if rng.random() < 0.3 else GENERATION_PROMPT
        segments.append(encoder.segment(prompt, pair_target(asked.text, asked.options, asked.answer)))
    for _ in range(DEFINITIONS if glosses else 0):
        word, gloss = glosses[int(rng.integers(len(glosses)))]
        segments.append(encoder.segment(fill(rng, DEFINE, w=word), gloss, sees_image=False))
    segments += [question_segment(encoder, make(rng, glosses)) for make in (list_question, repeat_request)]
    segments.append(reading_segment(rng, encoder, caption, ask))
    used = PREFIX + sum(len(s.tokens) for s in segments)
    misses = 0
    while misses < 2:
        segment = question_segment(encoder, ask())
        if used + len(segment.tokens) > LENGTH:
            misses += 1
            continue
        segments.append(segment)
        used += len(segment.tokens)
    return segments


def tokenizer_texts(glosses: list[tuple[str, str]], *, scenes: int = 6000) -> list[str]:
    """Return the texts that the tokenizer is trained on."""
    rng = np.random.default_rng(5)
    easy = EasyVqa()
    texts = [f"{word} {gloss}" for word, gloss in glosses[::3]]
    for seed in range(scenes):
        scene = plan_scene(seed)
        asked = draw_question(rng, scene)
        texts += [write_caption(rng, scene), pair_target(asked.text, asked.options, asked.answer)]
        asked = easy.question(rng, seed % 4000)
        texts += [question_prompt(asked.text, asked.options), pick(rng, (CAPTION_PROMPT, GENERATION_PROMPT))]
    return texts


class FeatureStore:
    """The feature shards present so far, memory-mapped."""

    def __init__(self, work: Path) -> None:
        """Look for shards in the folder."""
        self.work = work
        self.shards: list[tuple[str, int, NDArray[np.float16]]] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were written since."""
        known = {(split, number) for split, number, _ in self.shards}
        for split in ("scenes", "easyvqa"):
            for path in sorted(self.work.glob(f"{split}_*.npy")):
                number = int(path.stem.rsplit("_", 1)[1])
                if (split, number) not in known:
                    self.shards.append((split, number, np.load(path, mmap_mode="r")))

    def __len__(self) -> int:
        """Return the number of images."""
        return SHARD * len(self.shards)

    def draw(self, rng: Rng, *, scene: bool = False) -> tuple[str, int, NDArray[np.float16]]:
        """Return (split, row number, features `[tokens, C]`) of a random image; with `scene`, not one of easy-vqa."""
        shards = [shard for shard in self.shards if shard[0] == "scenes"] if scene else self.shards
        split, number, features = shards[int(rng.integers(len(shards)))]
        row = int(rng.integers(len(features)))
        return split, number * SHARD + row, features[row]

    def held_out(self) -> NDArray[np.float16]:
        """Return the features of the held-out scenes, in seed order."""
        array: NDArray[np.float16] = np.load(shard_path(self.work, "heldout", 0), mmap_mode="r")
        return array
