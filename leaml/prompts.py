"""Prompt and target formats: what the models read and write, and how their text is read back.

The target of the question generator is `<q>Q<q><a>A<a>` (LEAML, Eq. 1): plain text rather than new tokens,
because frozen embeddings could not learn those. A multiple-choice question carries its options inside Q.
Chat templates are not handled here: they belong to a backbone's tokenizer.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from leaml.records import AnsweredQuestion, Prediction

CAPTION_PROMPT = "Describe the image."
"""What the generator is asked when a caption is wanted; recorded captions are taken as answers to it."""

TEACHER_PROMPT = (
    "Describe this image for a specialist in two to four sentences: what is shown, where, how many, and its color, "
    "shape, size and texture. Say only what can be seen, and do not guess."
)
"""What a teacher of one's own is asked unless its settings say otherwise."""

GENERATION_PROMPT = "Ask a question about the image and answer it."
"""What the generator is asked when a question-answer pair is wanted."""

DESCRIPTION_LEAD = "Description:"
"""What a caption begins with where it stands in a prompt, to be read beside the image."""

OPTIONS_LEAD = "Choose one of the following options:"

SEVERAL = "Choose all that apply."
"""A question that ends with this takes several of its answers at once. It is part of the question's text, so that
people, models and programs elsewhere all read the same."""

SEPARATOR = "; "
"""Between several answers to one question."""

_SEVERAL = re.compile(r"\s*choose all that apply\W*$", re.IGNORECASE)
_SEVERAL_LEAD = SEVERAL.replace(".", ":")
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
    """Return the text that the VQA model is asked: `Q Choose one of the following options: a|b|c|`.

    Where several answers may be right it is `Q Choose all that apply: a|b|c|`.
    """
    if not options:
        return question.strip()
    lead = _SEVERAL_LEAD if takes_several(question) else OPTIONS_LEAD
    return f"{without_several(question)} {lead} {'|'.join(option.strip() for option in options)}|"


def described(caption: str, prompt: str) -> str:
    """Return a prompt with a description of the image before it, to be read beside the image; as it is without one."""
    return prompt if not caption else f"{DESCRIPTION_LEAD} {caption.strip()} {prompt}"


def takes_several(question: str) -> bool:
    """Tell whether several of a question's answers may be right at once."""
    return _SEVERAL.search(question) is not None


def without_several(question: str) -> str:
    """Return a question without the sentence that lets it take several answers."""
    return _SEVERAL.sub("", question).strip()


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
    for lead, rest in ((OPTIONS_LEAD, ""), (_SEVERAL_LEAD, f" {SEVERAL}")):
        question, found, tail = prompt.partition(lead)
        if found:
            options = tuple(option.strip() for option in tail.split("|") if option.strip())
            return question.strip() + rest, options
    return prompt.strip(), ()


def normalise_answer(text: str) -> str:
    """Return an answer as it is compared: Unicode-folded, lower case, single spaces, no end punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`|")


def longest_answers(question: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return the answers among which the longest is that a question can have: each option, or all of them together."""
    return (SEPARATOR.join(options),) if takes_several(question) and options else tuple(options)


def match_option(answer: str, options: Sequence[str]) -> str | None:
    """Return the option that the answer names, or None. Only the whole option text counts as naming it.

    An option of just this text comes before one that is alike: `p` and `P` may both be there. What is empty, or nothing
    but punctuation, is alike to no option.
    """
    text, wanted = answer.strip(), normalise_answer(answer)
    if text and text in options:
        return text
    return next((option for option in options if wanted and normalise_answer(option) == wanted), None)


def match_answer(answer: str, options: Sequence[str], *, several: bool) -> str | None:
    """Return the answer as it is kept: the option that it names, or None.

    Where several may be right, it names options with a semicolon between them; they are kept in the options' order. An
    option may have a semicolon of its own.
    """
    if not several or answer.strip() in options:
        return match_option(answer, options)
    named = {match_option(part, options) for part in answer.split(SEPARATOR.strip()) if part.strip()}
    if not named or None in named:
        return match_option(answer, options)
    return SEPARATOR.join(option for option in options if option in named)


def is_correct(answer: str, question: AnsweredQuestion) -> bool:
    """Tell whether an answer's normalised text is the reference's.

    With options it must name one of them; where several may be right, all that the reference names and no other. To an
    open question, nothing but punctuation is never right.
    """
    if question.options:
        several = takes_several(question.question)
        right = match_answer(question.answer, question.options, several=several)
        return match_answer(answer, question.options, several=several) == right is not None
    return normalise_answer(answer) == normalise_answer(question.answer) != ""


def marked(question: AnsweredQuestion, answer: str, option_probabilities: tuple[float, ...] = ()) -> Prediction:
    """Return an answer to a test question with whether it is right, however it was come by."""
    return Prediction(
        image_id=question.image_id,
        type_id=question.type_id or "free",
        question=question.question,
        options=question.options,
        reference=question.answer,
        answer=answer,
        correct=is_correct(answer, question),
        option_probabilities=option_probabilities,
    )
