"""How one question and its answer are written for a model: its own chat template, images in place, and the end.

What people and teachers write is plain words, whatever they write: the text of a special token is broken up in it.
"""

import re
from functools import lru_cache
from typing import Any

from transformers import AddedToken

from leaml.errors import ModelError

WITHOUT_TEMPLATE = ("paligemma",)
"""Families that were trained without turns: images, `<bos>`, the prompt and a line break, then the answer."""
PROBE = "leaml"


class Chat:
    """One user turn and one answer, in tokens.

    Attributes:
        end_id: The token that an answer is taught to end with.
        end_ids: The tokens that end a generated answer.
        pad_id: The token that fills up a batch.
    """

    def __init__(self, model: Any, processor: Any, placeholder: str) -> None:
        """Read the template of a processor.

        Args:
            model: Says which tokens end its text.
            processor: Has the tokenizer and, unless its family goes without, a chat template.
            placeholder: The text of one image in the template.

        Raises:
            ModelError: If there is no chat template.
        """
        self.tokenizer, self._processor, self._placeholder = processor.tokenizer, processor, placeholder
        self._special = _special_tokens(processor, placeholder)
        self._plain = model.config.model_type in WITHOUT_TEMPLATE
        if not self._plain and not (processor.chat_template or self.tokenizer.chat_template):
            raise ModelError("The model has no chat template. Choose one that was tuned to follow instructions.")
        self._lead, self.end_id = self._answer_form()
        ends = getattr(model.generation_config, "eos_token_id", None)
        self.end_ids = frozenset({self.end_id, *([ends] if isinstance(ends, int) else ends or [])})
        pad_id = self.tokenizer.pad_token_id
        self.pad_id = self.end_id if pad_id is None else int(pad_id)

    @lru_cache(maxsize=4096)  # noqa: B019 - a backbone lives as long as its process
    def prompt_ids(self, prompt: str, places: tuple[str, ...]) -> tuple[int, ...]:
        """Return the token ids of one user turn up to the start of the answer.

        Args:
            prompt: What is asked, in words.
            places: The text in each image's place; the images come before the prompt.

        Raises:
            ModelError: If the template has not as many places as there are images.
        """
        pieces = self._prompt_text(self._words(prompt), len(places)).split(self._placeholder)
        if len(pieces) != len(places) + 1:
            raise ModelError(
                f"The model's chat template has {len(pieces) - 1} image places for {len(places)} images. "
                "Choose a model with an image-and-text chat template."
            )
        text = pieces[0] + "".join(place + piece for place, piece in zip(places, pieces[1:], strict=True))
        return self._tokens(text)

    @lru_cache(maxsize=65536)  # noqa: B019 - as above
    def target_ids(self, text: str) -> tuple[int, ...]:
        """Return the token ids of an answer, with the end token."""
        words = self._lead + self._words(text)
        return (*self.tokenizer(words, add_special_tokens=False)["input_ids"], self.end_id)

    def text(self, ids: list[int]) -> str:
        """Return the text of generated token ids, up to the end token."""
        end = next((place for place, token in enumerate(ids) if token in self.end_ids), len(ids))
        decoded: str = self.tokenizer.decode(ids[:end], skip_special_tokens=True)
        return decoded.strip()

    def _words(self, text: str) -> str:
        """Return a text that no tokenizer reads special tokens in: there is a blank in each that it spells."""
        return self._special.sub(r"\g<0> ", text)

    def _prompt_text(self, prompt: str, images: int) -> str:
        if self._plain:
            return f"{self._placeholder * images}{self.tokenizer.bos_token}{prompt}\n"
        return self._render([_turn("user", prompt, images)], add_generation_prompt=True)

    def _answer_form(self) -> tuple[str, int]:
        """Return what the template writes before an answer (a blank, or nothing), and the token after it."""
        end_id = int(self.tokenizer.eos_token_id)
        if self._plain:
            return "", end_id
        asked = [_turn("user", PROBE, 1)]
        start = self._render(asked, add_generation_prompt=True)
        lead, found, rest = self._render([*asked, _turn("assistant", PROBE, 0)]).removeprefix(start).partition(PROBE)
        if not found or lead.strip():  # a template that writes turns of the assistant in another way than it asks
            return "", end_id
        after = self.tokenizer(rest, add_special_tokens=False)["input_ids"][:1]
        special = self.tokenizer.added_tokens_decoder
        return lead, int(after[0]) if after and after[0] in special else end_id

    def _render(self, turns: list[dict[str, Any]], **settings: Any) -> str:
        text: str = self._processor.apply_chat_template(turns, tokenize=False, **settings)
        return text

    def _tokens(self, text: str) -> tuple[int, ...]:
        # As the model's own processor does it: a template that writes the first token itself must not get a second one.
        bos = self.tokenizer.bos_token
        written = self._plain or (bos is not None and text.startswith(bos))
        return tuple(self.tokenizer(text, add_special_tokens=not written)["input_ids"])


def _special_tokens(processor: Any, placeholder: str) -> re.Pattern[str]:
    """Return what matches the first character of a special token's text, so that tokens that overlap are all found."""
    known = processor.tokenizer.added_tokens_decoder.values()
    # Some checkpoints do not say of their image tokens that they are special.
    own = [str(v) for name, v in vars(processor).items() if name.endswith("_token") and isinstance(v, str | AddedToken)]
    texts = {placeholder, *own, *(token.content for token in known if token.special)}
    # A single character cannot be broken up, and in a tokenizer that calls one special it is a word as well.
    spelt = "|".join(re.escape(text) for text in sorted(texts) if len(text) > 1)
    return re.compile(f"(?=(?:{spelt})).", re.DOTALL)


def _turn(role: str, text: str, images: int) -> dict[str, Any]:
    return {"role": role, "content": [*([{"type": "image"}] * images), {"type": "text", "text": text}]}
