"""From sampled texts to candidate pairs: what counts as valid, and which of several answers is kept."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from leaml.pairs.decided import Decided
from leaml.prompts import ParsedPair, match_answer, normalise_answer, parse_pair, takes_several
from leaml.records import AnsweredQuestion, Candidate, ImageId, QuestionType, Rejection


@dataclass(frozen=True)
class SampledText:
    """One text that a generator wrote about an image, with its log-probability (nats a token)."""

    image_id: ImageId
    text: str
    log_probability: float


@dataclass(frozen=True)
class ValidPair:
    """A sampled pair that can be asked and answered; `votes` samples of this image wrote it."""

    image_id: ImageId
    pair: ParsedPair
    type_id: str | None
    log_probability: float
    votes: int = 1


class PairChecker:
    """Decides whether a sampled text is a usable pair.

    A question that the experts ask must have their options; any other list of options must have two or more, no two of
    them alike. Where the experts only ask questions from the project's list, a question outside that list is none of
    this domain and is turned down. So is what people decided before.
    """

    def __init__(
        self,
        question_types: Sequence[QuestionType],
        answered: Sequence[AnsweredQuestion],
        rejected: Sequence[Rejection] = (),
        labels: Sequence[AnsweredQuestion] | None = None,
    ) -> None:
        """Learn which questions are asked, and what is decided about them.

        Args:
            question_types: The project's.
            answered: Labels, and pairs that were accepted or edited.
            rejected: Pairs that were rejected.
            labels: Of `answered`, the labels: they alone show whether experts ask free questions. A pair whose words
                were edited is one without a type, too. None: all of them.
        """
        self._types = {normalise_answer(kind.question): kind for kind in question_types}
        self._free_questions = any(pair.type_id is None for pair in (answered if labels is None else labels))
        self._decided = Decided(answered, rejected)

    def check(self, sample: SampledText) -> ValidPair | str:
        """Return the pair, or the reason for turning it down."""
        pair = parse_pair(sample.text)
        if pair is None:
            return "no complete pair"
        kind = self._types.get(normalise_answer(pair.question))
        if kind is None and not self._free_questions:
            return "question that nobody asked"
        if kind is not None:
            if {*map(normalise_answer, kind.options)} != {*map(normalise_answer, pair.options)}:
                return "other options than the question has"
            pair = ParsedPair(kind.question, kind.options, pair.answer)
        elif pair.options and not _is_a_choice(pair.options):
            return "no list of different options"
        if pair.options:
            option = match_answer(pair.answer, pair.options, several=takes_several(pair.question))
            if option is None:
                return "answer outside its options"
            pair = replace(pair, answer=option)
        type_id = kind.id if kind else None
        objection = self._decided.objection(sample.image_id, pair.question, pair.answer, type_id)
        return objection or ValidPair(sample.image_id, pair, type_id, sample.log_probability)

    def accepts(self, row: Candidate) -> bool:
        """Tell whether nothing that people decided speaks against a pair, whoever has answered it."""
        return self._decided.objection(row.image_id, row.question, row.answer, row.type_id) is None


def _is_a_choice(options: Sequence[str]) -> bool:
    """Tell whether there are two options or more, no two of them alike."""
    return len(options) > 1 and len({*map(normalise_answer, options)}) == len(options)


def choose_pairs(checker: PairChecker, samples: Iterable[SampledText]) -> tuple[list[ValidPair], Counter[str]]:
    """Return one answer for each image and question, and how many samples were turned down by reason.

    Where the samples of an image answer one question differently, the answer written most often is kept, and the
    more probable one where that is a tie: two contradicting targets would teach nothing.
    """
    refused: Counter[str] = Counter()
    answers: dict[tuple[ImageId, str], list[ValidPair]] = defaultdict(list)
    for sample in samples:
        result = checker.check(sample)
        if isinstance(result, str):
            refused[result] += 1
        else:
            answers[result.image_id, normalise_answer(result.pair.question)].append(result)
    return [_elect(found) for found in answers.values()], refused


def _elect(found: list[ValidPair]) -> ValidPair:
    votes = Counter(normalise_answer(pair.pair.answer) for pair in found)
    winner = max(found, key=lambda pair: (votes[normalise_answer(pair.pair.answer)], pair.log_probability))
    return replace(winner, votes=votes[normalise_answer(winner.pair.answer)])
