"""Prompt and target formats: what the models read and write, and how their text is read back.

The target of the question generator is `<q>Q<q><a>A<a>` (LEAML, Eq. 1): plain text rather than new tokens,
because frozen embeddings could not learn those. A multiple-choice question carries its options inside Q.
Chat templates are not handled here: they belong to a backbone's tokenizer.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

CAPTION_PROMPT = "Describe the image."
"""What the generator is asked when a caption is wanted; recorded captions are taken as answers to it."""

TEACHER_PROMPT = (
    "Describe this image for a specialist in two to four sentences: what is shown, where, how many, and its color, "
    "shape, size and texture. Say only what can be seen, and do not guess."
)
"""What a teacher of one's own is asked unless its settings say otherwise."""

GENERATION_PROMPT = "Ask a question about the image and answer it."
"""What the generator is asked when a question-answer pair is wanted."""

OPTIONS_LEAD = "Choose one of the following options:"

_PAIR = re.compile(r"<q>(?P<question>.+?)</?q>\s*<a>(?P<answer>.*?)</?a>", re.DOTALL)


@dataclass(frozen=True)
class ParsedPair:
    """A question-answer pair read back from a generator's text.

    Attributes:
        question: The question without its option list.
        options: The options in the order in which they were written; empty for an open question.
        answer: The answer as written.
    """

    question: str
    options: tuple[str, ...]
    answer: str


def question_prompt(question: str, options: Sequence[str] = ()) -> str:
    """Return the text that the VQA model is asked: `Q Choose one of the following options: a|b|c|`."""
    if not options:
        return question.strip()
    return f"{question.strip()} {OPTIONS_LEAD} {'|'.join(option.strip() for option in options)}|"


def pair_target(question: str, options: Sequence[str], answer: str) -> str:
    """Return the generator's target text for one pair (LEAML, Eq. 1)."""
    return f"<q>{question_prompt(question, options)}<q><a>{answer.strip()}<a>"


def parse_pair(text: str) -> ParsedPair | None:
    """Return the first pair in a generator's text, or None where the text has no complete pair.

    Both `<q>` and `</q>` close a question, and likewise for the answer.
    """
    match = _PAIR.search(text)
    if match is None:
        return None
    question, options = split_options(match["question"])
    answer = match["answer"].strip()
    if not question or not answer:
        return None
    return ParsedPair(question=question, options=options, answer=answer)


def split_options(prompt: str) -> tuple[str, tuple[str, ...]]:
    """Return the question and its options from the text that `question_prompt` writes."""
    question, lead, tail = prompt.partition(OPTIONS_LEAD)
    if not lead:
        return prompt.strip(), ()
    options = tuple(option.strip() for option in tail.split("|") if option.strip())
    return question.strip(), options


def normalise_answer(text: str) -> str:
    """Return an answer as it is compared: Unicode-folded, lower case, single spaces, no end punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`|")


def match_option(answer: str, options: Sequence[str]) -> str | None:
    """Return the option that the answer names, or None. Only the whole option text counts as naming it."""
    wanted = normalise_answer(answer)
    return next((option for option in options if normalise_answer(option) == wanted), None)
