"""Settings of the stages: frozen dataclasses that check themselves. Their JSON in a run's directory is the record.

The app and the command line build the same classes. `from_json` refuses unknown keys, so that a misspelt
setting is never silently the default.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from leaml.json_config import JsonConfig, require
from leaml.records import METHODS
from leaml.teacher.config import TeacherConfig

BUNDLED_MODEL = "leaml-mini"

GENERATOR_STAGES = ("captions", "importance", "generator", "judge", "sample")
"""From labels and images to pseudo question-answer pairs, in order."""
MODEL_STAGES = ("finetune", "evaluate")
STAGES = GENERATOR_STAGES + MODEL_STAGES

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
"""Of a model's weights. In bfloat16 they take half the memory; whatever is trained keeps a float32 copy beside them."""

Flips = Literal["none", "horizontal", "both"]
FLIPS: tuple[Flips, ...] = ("none", "horizontal", "both")
"""How pictures may be mirrored in training: not at all, left to right, or top to bottom too."""


@dataclass(frozen=True)
class TrainConfig(JsonConfig):
    """One training run of AdamW with cosine decay.

    Attributes:
        steps: Optimizer updates; more where `passes` take more.
        batch_size: Samples an update.
        learning_rate: At the end of warm-up.
        weight_decay: Decoupled; acts on the entries that are trained only.
        warmup_steps: Updates of linear warm-up.
        clip_norm: Largest L2 norm of the gradient over the trained entries.
        checkpoint_every: Updates between checkpoints.
        seed: Of the data order and of everything random in training.
        accumulation: Parts that a batch is computed in, one after the other: less memory, the same update.
        checkpoint_activations: Compute activations again in the backward pass: less memory, about a third more time.
        compile_blocks: Compile each block of the decoder: faster steps after a slow first one, for long trainings.
        flips: Show each picture mirrored, too, by chance, and exchange the sides in its text. Of answers and captions:
            questions are asked in the project's words.
        passes: How often each sample is read at least: the updates grow with the data. None leaves them at `steps`.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 1e-5
    weight_decay: float = 0.0
    warmup_steps: int = 5
    clip_norm: float = 1.0
    checkpoint_every: int = 50
    seed: int = 0
    accumulation: int = 1
    checkpoint_activations: bool = False
    compile_blocks: bool = False
    flips: Flips = "none"
    passes: float | None = None

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.steps >= 1, "steps", self.steps, "at least 1")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.warmup_steps <= self.steps, "warmup_steps", self.warmup_steps, f"0 to {self.steps} (steps)")
        require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")
        require(self.checkpoint_every >= 1, "checkpoint_every", self.checkpoint_every, "at least 1")
        parts = f"1 to {self.batch_size} (batch_size)"
        require(1 <= self.accumulation <= self.batch_size, "accumulation", self.accumulation, parts)
        require(self.flips in FLIPS, "flips", self.flips, "one of " + ", ".join(FLIPS))
        require(self.passes is None or self.passes > 0, "passes", self.passes, "above 0, or nothing")

    def with_steps(self, steps: int) -> "TrainConfig":
        """Return the settings for just so many steps; a shorter training has no longer warm-up than itself."""
        return replace(self, steps=steps, passes=None, warmup_steps=min(self.warmup_steps, max(steps, 0)))


@dataclass(frozen=True)
class SelectionConfig(JsonConfig):
    """Which weights may move: the top-K of each output row (LEAML, Eq. 6).

    Attributes:
        row_budget: Entries a row (int >= 1) or share of a row (float in (0, 1]).
        rule: How gradients become scores: `mean_gradient` is Eq. 5; `mean_absolute` and `fisher` do not let samples
            cancel, and read them one by one.
        score_memory_mb: Largest memory of the scores at once; the labels are read once for each such part of the
            model. None takes 4 bytes a weight.
    """

    row_budget: int | float = 0.1
    rule: Literal["mean_gradient", "mean_absolute", "fisher"] = "mean_gradient"
    score_memory_mb: int | None = None

    def __post_init__(self) -> None:
        """Check each value."""
        rules = ("mean_gradient", "mean_absolute", "fisher")
        require(self.rule in rules, "rule", self.rule, "one of " + ", ".join(rules))
        memory = self.score_memory_mb
        require(memory is None or memory >= 1, "score_memory_mb", memory, "at least 1, or nothing")
        whole = isinstance(self.row_budget, int) and self.row_budget >= 1
        share = isinstance(self.row_budget, float) and 0 < self.row_budget <= 1
        require(whole or share, "row_budget", self.row_budget, "a whole number from 1, or a share above 0 up to 1.0")


@dataclass(frozen=True)
class SamplingConfig(JsonConfig):
    """How pseudo pairs are drawn from the generator: nucleus sampling over the unlabelled images.

    Attributes:
        pairs_per_image: Texts that are drawn for each image.
        top_p: Share of the probability that is drawn from.
        temperature: Of the probabilities; 1 leaves them alone.
        max_new_tokens: Of one text, at most; more where pairs like the labels would not fit.
        batch_size: Texts that are written at once on this computer.
        seed: Of all that is drawn.
        server: An OpenAI-compatible server that has the generator, as `leaml merge` writes it; None samples here.
            Only how it is reached is used; its `prompt` and `max_tokens` are ignored.
        one_by_one: Ask that server for each text by itself: not every server knows `n`.
    """

    pairs_per_image: int = 4
    top_p: float = 0.9
    temperature: float = 1.0
    max_new_tokens: int = 72
    batch_size: int = 64
    seed: int = 0
    server: TeacherConfig | None = None
    one_by_one: bool = False

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.pairs_per_image >= 1, "pairs_per_image", self.pairs_per_image, "at least 1")
        require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        require(self.temperature > 0, "temperature", self.temperature, "above 0")
        require(self.max_new_tokens >= 1, "max_new_tokens", self.max_new_tokens, "at least 1")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        asked = self.server is None or self.server.source == "server"
        require(asked, "server", self.server, "a teacher's settings whose source is 'server'")


Start = Literal["pretrained", "generator"]
"""Which weights a training starts from: the pretrained model's, or those that the question generator has learnt."""
STARTS: tuple[Start, ...] = ("pretrained", "generator")


@dataclass(frozen=True)
class GeneratorConfig(JsonConfig):
    """Stage 1: a question generator trained on labels and teacher captions, then sampled.

    Attributes:
        model: Name or path of the pretrained model.
        precision: Of its weights.
        teacher: Where captions come from.
        train: The generator's training; half of each batch are labels, half captions.
        judge: Training of the VQA model on people's answers alone that scores agreement.
        judge_update: Which weights of that model move: all, or those of a LoRA adapter, which takes less memory.
        judge_starts_from: `generator` goes on from the trained generator's weights, as in `FinetuneConfig`.
        generator_reads: The generator is shown the teacher's caption beside the image, in training and in sampling, and
            every tenth training image is blank: AdaMLLM's synthesizer. Labelled images need captions for it.
        answered_by: Whose answer a pair gets: the generator's own, or that which the judge believes in most.
        selection: Which weights move; None trains every decoder weight.
        caption_weight: lambda of L_G = L_QA + lambda * L_C.
        contrast: Weight, within L_C, of captions being likelier beside their image than another; 0 is the paper's L_C.
        sampling: How pairs are drawn.
        round: Which the loop's next round was when the run was asked for; its pairs get theirs when they are taken
            over.
    """

    model: str = BUNDLED_MODEL
    precision: Precision = "float32"
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=90, learning_rate=1e-2))
    judge: TrainConfig = field(default_factory=lambda: TrainConfig(steps=40, learning_rate=5e-4))
    judge_update: Literal["full", "lora"] = "full"
    judge_starts_from: Start = "pretrained"
    generator_reads: bool = False
    answered_by: Literal["generator", "judge"] = "generator"
    selection: SelectionConfig | None = field(default_factory=SelectionConfig)
    caption_weight: float = 0.3
    contrast: float = 0.0
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    round: int = 1

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        require(self.judge_update in ("full", "lora"), "judge_update", self.judge_update, "full or lora")
        require(
            self.judge_starts_from in STARTS, "judge_starts_from", self.judge_starts_from, "one of " + ", ".join(STARTS)
        )
        require(self.caption_weight >= 0, "caption_weight", self.caption_weight, "0 or more")
        size = self.train.batch_size
        halves = self.caption_weight == 0 or size >= 2
        require(halves, "batch_size", size, "at least 2 where caption_weight is above 0: half of a batch are labels")
        require(self.contrast >= 0, "contrast", self.contrast, "0 or more")
        here = self.sampling.server is None
        require(
            not self.generator_reads or here, "generator_reads", True, "off where pairs are sampled through a server"
        )
        answering = ("generator", "judge")
        require(self.answered_by in answering, "answered_by", self.answered_by, "generator or judge")
        require(self.round >= 1, "round", self.round, "at least 1")


@dataclass(frozen=True)
class LoraConfig(JsonConfig):
    """The LoRA baseline (Hu et al. 2021), on every linear layer of the decoder."""

    rank: int = 16
    alpha: int = 32

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.rank >= 1, "rank", self.rank, "at least 1")
        require(self.alpha >= 1, "alpha", self.alpha, "at least 1")


@dataclass(frozen=True)
class ShiraConfig(JsonConfig):
    """The SHiRA baseline (Bhardwaj et al. 2024): a random sparse mask of rank * (in + out) entries a linear layer."""

    rank: int = 32

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.rank >= 1, "rank", self.rank, "at least 1")


UPDATES = ("full", "selective", "lora", "shira")
"""Which weights of the decoder move: all, the selected neurons, or those of an adapter."""


@dataclass(frozen=True)
class MixtureConfig(JsonConfig):
    """How pseudo pairs that nobody has decided about are read beside labels and reviewed pairs, and captions as well.

    Attributes:
        pseudo_share: Of each batch, captions included, rounded to at least one sample of either side; None reads all in
            turn, however many there are of each, as the paper does.
        least_agreement: Pairs that the judge believes in less are left out.
        weighting: `agreement` lets a pair's loss count as much as that model believes in it; `acceptance` as much as
            people's decisions so far make its acceptance probable, and where they are too few, by agreement.
        captions: The teacher's captions of unlabelled images are read among the pseudo pairs, to be written, by every
            method that trains, whether it has pseudo pairs or not: the single-stage mix of AdaMLLM.
    """

    pseudo_share: float | None = None
    least_agreement: float = 0.0
    weighting: Literal["equal", "agreement", "acceptance"] = "equal"
    captions: bool = False

    def __post_init__(self) -> None:
        """Check each value."""
        share = self.pseudo_share
        require(share is None or 0 < share < 1, "pseudo_share", share, "above 0 and below 1, or nothing")
        require(0 <= self.least_agreement <= 1, "least_agreement", self.least_agreement, "0 to 1")
        weightings = ("equal", "agreement", "acceptance")
        require(self.weighting in weightings, "weighting", self.weighting, "one of " + ", ".join(weightings))


@dataclass(frozen=True)
class FinetuneConfig(JsonConfig):
    """Stage 2: the VQA model, trained from pretrained weights or the generator's, evaluated on the test questions.

    Attributes:
        method: `zero_shot` trains nothing; `full_finetune` and `lora` see the labels only; `leaml` adds every
            valid pseudo pair that nobody rejected; `leaml_reviewed` adds only pairs that a person accepted or edited.
            Each but the first sees captions, too, where the mixture asks for them.
        model: Name or path of the pretrained model.
        precision: Of its weights.
        mixture: How unreviewed pairs and captions are read beside the others; of no effect where there are neither.
        update: Which weights move; None is what the method is named for.
        starts_from: `generator` goes on from the question generator's weights, which know the domain by the teacher's
            captions.
        selection: Used by the update `selective`.
        lora: Used by the update `lora`.
        shira: Used by the update `shira`.
    """

    method: Literal["zero_shot", "full_finetune", "lora", "leaml", "leaml_reviewed"]
    model: str = BUNDLED_MODEL
    precision: Precision = "float32"
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=60, learning_rate=5e-4))
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    update: Literal["full", "selective", "lora", "shira"] | None = None
    starts_from: Start = "pretrained"
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    shira: ShiraConfig = field(default_factory=ShiraConfig)

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        require(self.method in METHODS, "method", self.method, "one of " + ", ".join(METHODS))
        size = self.train.batch_size
        require(
            self.mixture.pseudo_share is None or size >= 2,
            "batch_size",
            size,
            "at least 2 where pseudo_share is set: each batch has samples of both sides",
        )
        require(self.update in (None, *UPDATES), "update", self.update, "one of " + ", ".join(UPDATES))
        require(self.starts_from in STARTS, "starts_from", self.starts_from, "one of " + ", ".join(STARTS))
        fixed = {"full_finetune": "full", "lora": "lora"}.get(self.method, self.update)
        require(self.update in (None, fixed), "update", self.update, f"{fixed}, which {self.method} is named for")

    @property
    def moves(self) -> str:
        """The weights that move, one of UPDATES."""
        return self.update or ("lora" if self.method == "lora" else "full")


@dataclass(frozen=True)
class RunConfig(JsonConfig):
    """What one background run does: its stages in order, with the settings of its kind.

    Attributes:
        stages: A leading part of GENERATOR_STAGES, or MODEL_STAGES.
        generator: For runs that make pseudo pairs.
        finetune: For runs that make and evaluate a model.
    """

    stages: tuple[str, ...]
    generator: GeneratorConfig | None = None
    finetune: FinetuneConfig | None = None

    def __post_init__(self) -> None:
        """Check that the stages are a chain, and that their settings are there."""
        chain = GENERATOR_STAGES if self.generator else MODEL_STAGES
        require(
            (self.generator is None) != (self.finetune is None),
            "stages",
            self.stages,
            "given with the settings of either a generator or a model",
        )
        require(
            len(self.stages) > 0 and self.stages == chain[: len(self.stages)],
            "stages",
            self.stages,
            "a leading part of " + ", ".join(chain),
        )


def generator_run(config: GeneratorConfig, *, until: str = GENERATOR_STAGES[-1]) -> RunConfig:
    """Return a run that makes pseudo pairs, or stops after an earlier stage."""
    require(until in GENERATOR_STAGES, "stage", until, "one of " + ", ".join(GENERATOR_STAGES))
    return RunConfig(stages=GENERATOR_STAGES[: GENERATOR_STAGES.index(until) + 1], generator=config)


def model_run(config: FinetuneConfig, *, until: str = MODEL_STAGES[-1]) -> RunConfig:
    """Return a run that trains one VQA model and evaluates it on the test questions."""
    require(until in MODEL_STAGES, "stage", until, "one of " + ", ".join(MODEL_STAGES))
    return RunConfig(stages=MODEL_STAGES[: MODEL_STAGES.index(until) + 1], finetune=config)
