"""The typed rows that the parts of the project exchange. Plain values: nothing here reads or writes.

Times are UTC `datetime`s. An image is named by the SHA-256 of its file's bytes, so that the same picture
imported twice is one image.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

ImageId = NewType("ImageId", str)
RunId = NewType("RunId", str)

Split = Literal["pool", "test"]
"""`pool`: may be labelled, captioned and trained on. `test`: only ever evaluated on."""

ReviewAction = Literal["accept", "edit", "reject", "skip", "undo"]
RejectReason = Literal["wrong answer", "not visible", "unclear question", "wrong options", "duplicate", "not useful"]
REJECT_REASONS: tuple[RejectReason, ...] = (
    "wrong answer",
    "not visible",
    "unclear question",
    "wrong options",
    "duplicate",
    "not useful",
)
Half = Literal["informative", "audit"]
Drawn = Literal["informative", "audit", "second", "adjudication", "batch"]
"""Why a pair came to its reader: one of the queue's halves, a second independent read, two readers who differ, or a
batch that nobody looked at one by one."""

Role = Literal["expert", "reviewer", "admin"]
ROLES: tuple[Role, ...] = ("expert", "reviewer", "admin")
"""An expert labels and reviews, a reviewer reviews, an admin may do everything."""

Method = Literal["zero_shot", "full_finetune", "lora", "leaml", "leaml_reviewed"]
METHODS: tuple[Method, ...] = ("zero_shot", "full_finetune", "lora", "leaml", "leaml_reviewed")
"""The models of one comparison, in the order in which they are shown."""


@dataclass(frozen=True)
class QuestionType:
    """A question that is asked of many images.

    Attributes:
        id: Its name in tables and files.
        question: As it is asked.
        options: The fixed list of answers; empty for an open question.
        definition: How its answers are told apart. People read it beside the question, models never do.
    """

    id: str
    question: str
    options: tuple[str, ...] = ()
    definition: str = ""


@dataclass(frozen=True)
class Project:
    """What a workspace is about."""

    name: str
    description: str
    question_types: tuple[QuestionType, ...] = ()


@dataclass(frozen=True)
class ImageRow:
    """One image.

    Attributes:
        id: SHA-256 of the file's bytes, hexadecimal.
        name: The file's name as it was brought in.
        path: Where the copy lies, relative to the workspace.
        group: Images of one group (a patient, a procedure, near-duplicate frames) share one split.
        split: Fixed at import.
        width: Pixels.
        height: Pixels.
    """

    id: ImageId
    name: str
    path: str
    group: str
    split: Split
    width: int
    height: int


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with the answer that counts as right: a label, a reference answer, or a reviewed pair.

    Its options are empty where it is open, and `type_id` is None where it is none of the project's.
    """

    image_id: ImageId
    question: str
    options: tuple[str, ...]
    answer: str
    type_id: str | None = None


@dataclass(frozen=True)
class Label:
    """A current label, as it stands after edits and undos.

    Attributes:
        event_id: The event that last set it; undo names this.
        seconds: How long the question was on the screen.
    """

    event_id: int
    pair: AnsweredQuestion
    author: str
    seconds: float
    at: datetime


@dataclass(frozen=True)
class Suggestion:
    """What a model answered to a question before it was labelled.

    Attributes:
        model: The run that made it.
        answer: Its most probable option, or its words.
        probabilities: Of each option, in their order; empty for an open question and where several may be right.
        shown: Whether the person saw it.
    """

    model: str
    answer: str
    probabilities: tuple[float, ...]
    shown: bool


@dataclass(frozen=True)
class Caption:
    """A teacher's description of one image. `at` is when it was asked for; None where it came with the project."""

    image_id: ImageId
    text: str
    teacher: str
    prompt: str
    at: datetime | None = None


@dataclass(frozen=True)
class Candidate:
    """A pseudo question-answer pair written by a generator, before anyone has looked at it.

    Attributes:
        id: Unique and reproducible: the run's id, and the pair's number among those that the run found valid.
        log_probability: Of the whole text that the generator wrote, `<q>Q<q><a>A<a>` and its end, given the image;
            nats, the mean of its tokens (<= 0). Not of the answer alone, nor of one that the judge gave instead.
        agreement: Probability in [0, 1] that the model trained on people's answers alone gives to the answer among
            the options; None where the question has no options.
        option_probabilities: That model's probability of each option, in the options' order; may be empty.
        round: Number of the loop's round that wrote it, from 1.
    """

    id: str
    image_id: ImageId
    question: str
    options: tuple[str, ...]
    answer: str
    type_id: str | None
    log_probability: float
    agreement: float | None
    option_probabilities: tuple[float, ...]
    run_id: RunId
    round: int

    @property
    def margin(self) -> float:
        """By how much that model's first choice is more probable than its second; 0 without options."""
        first, second, *_ = [*sorted(self.option_probabilities, reverse=True), 0.0, 0.0]
        return first - second if len(self.option_probabilities) > 1 else 0.0

    def is_believed(self, least_agreement: float) -> bool:
        """Tell whether that model believes in the answer so much; a pair without options is taken as it is."""
        return self.agreement is None or self.agreement >= least_agreement


@dataclass(frozen=True)
class Acceptance:
    """How probable it is that people would accept a pseudo pair unchanged, as their decisions so far teach it."""

    candidate_id: str
    probability: float


@dataclass(frozen=True)
class Slice:
    """Some of the candidates.

    Attributes:
        type_id: Of one question type; None: of all.
        at_least: Least agreement; above 0, pairs without an agreement are left out.
        at_most: Highest agreement; below 1, pairs without an agreement are left out.
        captioned: Of images with a caption, or without; None: both.
    """

    type_id: str | None = None
    at_least: float = 0.0
    at_most: float = 1.0
    captioned: bool | None = None


EVERYTHING = Slice()


@dataclass(frozen=True)
class Review:
    """One decision about a candidate. For an edit, `pair` is the new value; for the rest it is as shown.

    Attributes:
        drawn: Why the reader was given it; None: for the half of the queue that it is in.
        within: What the reader had narrowed the queue to.
        shown: The pair, its figures and the caption as they were on the screen, as JSON; None where nobody saw it.
    """

    candidate_id: str
    action: ReviewAction
    pair: AnsweredQuestion
    reason: RejectReason | None
    author: str
    seconds: float
    drawn: Drawn | None = None
    within: Slice = EVERYTHING
    shown: str | None = None


@dataclass(frozen=True)
class Reading:
    """What one of two readers who differ decided; question and answer as that reader left them."""

    action: ReviewAction
    question: str
    answer: str
    reason: RejectReason | None


@dataclass(frozen=True)
class Rejection:
    """A pair that a person rejected: the answer as it was shown, and why."""

    image_id: ImageId
    question: str
    answer: str
    reason: RejectReason | None


@dataclass(frozen=True)
class Offer:
    """A candidate for one person's screen, and why it is theirs."""

    candidate: Candidate
    drawn: Drawn


@dataclass(frozen=True)
class Reader:
    """Who reviews.

    Attributes:
        name: Their decisions' author.
        adjudicates: May decide where they are one of the two readers who differ.
        second_share: Share of decided pairs that another person reads again; 0 where there is one person only.
    """

    name: str
    adjudicates: bool = False
    second_share: float = 0.0


@dataclass(frozen=True)
class ReviewCounts:
    """How far the review of the current candidates is."""

    open: int
    accepted: int
    edited: int
    rejected: int
    skipped: int
    median_seconds: float | None


@dataclass(frozen=True)
class User:
    """Somebody who may sign in."""

    name: str
    role: Role


@dataclass(frozen=True)
class Prediction:
    """One model's answer to one test question.

    Attributes:
        correct: Exact match of the normalised option text; an answer outside the list is wrong.
        option_probabilities: In the options' order; may be empty.
    """

    image_id: ImageId
    type_id: str
    question: str
    options: tuple[str, ...]
    reference: str
    answer: str
    correct: bool
    option_probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """An estimate in [0, 1] with its 95% interval."""

    value: float
    low: float
    high: float
