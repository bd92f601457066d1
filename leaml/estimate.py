"""How much memory and time the runs of a model would take, before any of its weights is loaded or downloaded.

`python -m leaml.estimate` answers with the facts: it builds the model without memory for its weights, from its
configuration alone. `estimate` makes figures of them without torch. They are rough, as people need them before a
first run: not the peak to the megabyte, and no promise of a time.
"""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leaml.apart import Values, answer_apart, call_apart
from leaml.config import BUNDLED_MODEL, GeneratorConfig, Precision, TrainConfig
from leaml.data.video import FRAMES, is_video
from leaml.errors import ModelError
from leaml.prompts import longest_answers, pair_target
from leaml.records import ImageRow, QuestionType
from leaml.training.buckets import SAVING, TOKENS_AT_ONCE, rows_at_once
from leaml.training.passes import for_passes, generator_sides

if TYPE_CHECKING:
    import torch

FACTS_TIMEOUT_S = 600.0
"""A busy machine takes minutes to load torch; a slow line, to fetch a configuration."""
FLOAT_BYTES = 4
LIBRARIES_BYTES = 1100 * 2**20
"""What Python, torch and the buffers that they keep take beside a model; from a round of the bundled model on a CPU,
whose peak was 1.55 GiB."""
ANSWERING_BITS = (32, 16, 8, 4)
"""Of the weights of a model that is only to answer."""
WEIGHT_BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2}
PLACE_BYTES = 2
"""Of a selected entry: its column."""
HIDDEN_KEPT = 24
"""Numbers that a decoder layer keeps for its backward pass, for each token and hidden unit."""
SCORES_KEPT = 3
"""Numbers for each word of the vocabulary and token of an answer: its score, its probability, its gradient."""
BLOCK_BYTES = 34
"""What one decoder layer works with, for each token and hidden unit (Korthikanti et al. 2022)."""
READ_AT_ONCE = 128
"""Questions whose options are scored together, at most."""
TEXT_TOKENS = 64
"""Of a question with its answer, or of a caption, at least."""
BYTES_A_TOKEN = 3
"""Of text, rather too few: plain English has four, names of diseases and other languages fewer."""
USABLE = 0.9
"""Share of the memory that a run may count on."""
SPEED = 0.25
"""Share of a processor's speed in large products that training reaches."""
USUAL_IMAGE_TOKENS = 256
Size = tuple[int, int]
"""Width and height, pixels."""
MEASURED_PRODUCTS = 5
FORWARD_FLOPS, TRAINING_FLOPS = 2, 6
"""Operations for each weight and token: reading; reading and learning."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model is and where it would run.

    Attributes:
        parameters: All of its weights.
        decoder: Weights of the language decoder, which training may move.
        layers: Of the decoder.
        hidden: Units of the decoder's hidden states.
        key_width: Units of a layer's keys, and of its values.
        vocabulary: Words that it knows.
        image_tokens: That the project's largest image takes; a usual number where there is none yet.
        here: Whether its weights are on this computer already.
        device: `cpu`, or the name of the accelerator.
        memory_bytes: Of the accelerator, what is free; of this computer for a CPU.
        flops: Operations a second in large products, measured.
        text_tokens: That a question takes with its options and its answer.
    """

    parameters: int
    decoder: int
    layers: int
    hidden: int
    key_width: int
    vocabulary: int
    image_tokens: int
    here: bool
    device: str
    memory_bytes: int
    flops: float
    text_tokens: int = TEXT_TOKENS


@dataclass(frozen=True)
class Estimate:
    """What one round of the generator would take.

    Attributes:
        memory_bytes: Largest at any time.
        saving_bytes: The same where training saves memory.
        least_bytes: The same where the weights have 16 bits, too.
        available_bytes: What a run may count on.
        seconds: Training and sampling, captions not included.
        largest: Weights of the largest model of this shape that would fit with all that.
    """

    memory_bytes: int
    saving_bytes: int
    least_bytes: int
    available_bytes: int
    seconds: float
    largest: int

    @property
    def fits(self) -> bool:
        """Whether the memory is enough."""
        return self.memory_bytes <= self.available_bytes

    @property
    def fits_when_saving(self) -> bool:
        """Whether it is where training saves memory."""
        return self.saving_bytes <= self.available_bytes

    @property
    def fits_at_last(self) -> bool:
        """Whether it is where the weights have 16 bits, too."""
        return self.least_bytes <= self.available_bytes


def model_facts(model: str, largest: Size | None = None) -> ModelFacts:
    """Return the facts of a model, found in a process of its own; `largest` is that of the images that it is shown.

    Raises:
        ModelError: As `facts_here` does.
    """
    request = {"model": model, "largest": largest}
    return ModelFacts(**call_apart("leaml.estimate", request, timeout_s=FACTS_TIMEOUT_S))


def largest_of(images: Iterable[ImageRow]) -> Size | None:
    """Return the size of the image with the most pixels; None where there is none."""
    sizes = [(image.width, image.height) for image in images]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def estimate(facts: ModelFacts, config: GeneratorConfig, *, images: int, saves_memory: bool) -> Estimate:
    """Return what a round of the generator takes.

    Args:
        facts: Of the model.
        config: How it is trained and sampled.
        images: Those without a label.
        saves_memory: Whether samples are read one at a time and activations computed twice.
    """
    plain, saving = _round_bytes(facts, config, saves=False), _round_bytes(facts, config, saves=True)
    least = _round_bytes(facts, replace(config, precision="bfloat16"), saves=True)
    available = int(USABLE * facts.memory_bytes)
    room = max(0, available - LIBRARIES_BYTES) / max(1, least - LIBRARIES_BYTES)
    captions = images if config.caption_weight else 0
    train = for_passes(config.train, generator_sides(config.train, questions=0, captions=captions))
    seconds = sum(_training_s(facts, part) for part in (train, config.judge)) * (4 / 3 if saves_memory else 1)
    texts = images * config.sampling.pairs_per_image
    read = images * _tokens(facts) + texts * max(config.sampling.max_new_tokens, facts.text_tokens)
    seconds += FORWARD_FLOPS * facts.decoder * read / (SPEED * facts.flops)
    return Estimate(
        memory_bytes=saving if saves_memory else plain,
        saving_bytes=saving,
        least_bytes=least,
        available_bytes=available,
        seconds=seconds,
        largest=int(facts.parameters * room),
    )


def check_room(model: str, *, bits: int | None = None) -> None:
    """Find out whether a model that is only to answer fits into the memory here, before its weights are read.

    Args:
        model: Its name or path.
        bits: Of its weights; None where they are whole.

    Raises:
        ModelError: If it does not fit, with what would; or as `facts_here` does.
    """
    facts = facts_here(model)
    available, needed = int(USABLE * facts.memory_bytes), reading_bytes(facts, bits=bits)
    if needed <= available:
        return
    raise ModelError(
        f"The model {model!r} needs about {needed / 2**30:.1f} GB of memory to answer, and a run may use "
        f"{available / 2**30:.1f} GB here. {_smaller(facts, bits or ANSWERING_BITS[0], available)}"
    )


def _smaller(facts: ModelFacts, bits: int, available: int) -> str:
    """Return what to do about a model whose weights of `bits` do not fit: take the largest smaller ones that do."""
    for count in ANSWERING_BITS:
        needed = reading_bytes(facts, bits=count)
        if count < bits and needed <= available:
            way = f"--teacher-bits {count}, or on the Project screen"
            return f"With weights of {count} bits ({way}) it needs about {needed / 2**30:.1f} GB."
    return "Run it on a larger computer, or serve it there and name the server's address."


def reading_bytes(facts: ModelFacts, *, bits: int | None = None) -> int:
    """Return the memory that a model takes to answer: its weights of 32 bits, or of so many each."""
    return LIBRARIES_BYTES + facts.parameters * (8 * FLOAT_BYTES if bits is None else bits) // 8


def _round_bytes(facts: ModelFacts, config: GeneratorConfig, *, saves: bool) -> int:
    """Return what the largest stage takes: one that learns, or one that writes and scores."""
    weights = LIBRARIES_BYTES + WEIGHT_BYTES[config.precision] * facts.parameters
    samples, layers = (1, 1) if saves else (config.train.batch_size, facts.layers)
    learning = int(_moving_bytes(facts, config) * facts.decoder) + _activations(facts, samples, layers)
    return weights + max(learning, _reading(facts, config, TOKENS_AT_ONCE // SAVING if saves else TOKENS_AT_ONCE))


def _reading(facts: ModelFacts, config: GeneratorConfig, tokens: int) -> int:
    """Return what sampling and scoring take beside the weights, where so many tokens are read at once.

    Keys and values are of the weights' type. The values that the second opinion has changed are kept as they were.
    """
    row = facts.image_tokens + max(config.sampling.max_new_tokens, facts.text_tokens)
    read = row * max(config.sampling.pairs_per_image, rows_at_once(row, READ_AT_ONCE, tokens))
    bytes_each = WEIGHT_BYTES[config.precision]
    cached = 2 * facts.layers * facts.key_width * bytes_each
    return read * (cached + BLOCK_BYTES * facts.hidden) + bytes_each * facts.decoder


def _moving_bytes(facts: ModelFacts, config: GeneratorConfig) -> float:
    """Return what a decoder weight takes beside itself, on average, in the stage where that is most.

    A weight that moves has a gradient and Adam's two moments, a float32 copy unless it is one itself, and at the end
    its trained value that is written.
    """
    written = WEIGHT_BYTES[config.precision]
    whole = 3 * FLOAT_BYTES + written + (0 if config.precision == "float32" else FLOAT_BYTES)
    judge = whole if config.judge_update == "full" else written
    if config.selection is None:
        return max(whole, judge)
    budget = config.selection.row_budget
    share = budget if isinstance(budget, float) else min(1.0, budget / facts.hidden)
    bound = config.selection.score_memory_mb
    scores = FLOAT_BYTES if bound is None else min(FLOAT_BYTES, bound * 2**20 / facts.decoder)
    return max(scores, share * (4 * FLOAT_BYTES + PLACE_BYTES + written), judge)


def with_clips(facts: ModelFacts, files: Iterable[str]) -> ModelFacts:
    """Return the facts for these files: where one is a clip, an item may be as many images as it has frames."""
    frames = FRAMES if any(is_video(Path(file)) for file in files) else 1
    return replace(facts, image_tokens=frames * facts.image_tokens)


def with_pairs(facts: ModelFacts, types: Iterable[QuestionType]) -> ModelFacts:
    """Return the facts for these question types: a pair may have more tokens than usual, as with many long options."""
    pairs = (
        pair_target(kind.question, kind.options, answer)
        for kind in types
        for answer in longest_answers(kind.question, kind.options)
    )
    longest = max((len(pair.encode()) for pair in pairs), default=0)
    return replace(facts, text_tokens=max(facts.text_tokens, longest // BYTES_A_TOKEN))


def _tokens(facts: ModelFacts) -> int:
    return facts.image_tokens + facts.text_tokens


def _activations(facts: ModelFacts, samples: int, layers: int) -> int:
    """Return the bytes that a backward pass needs; `layers` are those whose activations are there at once."""
    kept = HIDDEN_KEPT * layers + facts.layers  # with activations computed twice, each layer's input stays
    scores = SCORES_KEPT * facts.text_tokens * facts.vocabulary
    return FLOAT_BYTES * samples * (_tokens(facts) * facts.hidden * kept + scores)


def _training_s(facts: ModelFacts, train: TrainConfig) -> float:
    read = train.steps * train.batch_size * _tokens(facts)
    return TRAINING_FLOPS * facts.decoder * read / (SPEED * facts.flops)


def facts_here(name: str, largest: Size | None = None) -> ModelFacts:
    """Return the facts of a model, found in this process, which loads torch.

    Args:
        name: Its name or path.
        largest: Of the images that it is shown; None where no image is known.

    Raises:
        ModelError: If there is no such model, it does not answer questions about images, or does not take this one.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from leaml.models.backbone import model_path
    from leaml.models.loading import runs_own_code
    from leaml.models.processors import load_processor, tokens_of

    shown = None
    try:
        allowed = runs_own_code(name)
        config = AutoConfig.from_pretrained(model_path(name), trust_remote_code=allowed)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config, trust_remote_code=allowed)
        if largest is not None:
            shown = tokens_of(load_processor(model_path(name), config, trust_remote_code=allowed), largest)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"Cannot use the model {name!r}. {_reason(name, error)}") from None
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    decoder = model.get_decoder()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    return ModelFacts(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        decoder=sum(parameter.numel() for parameter in decoder.parameters()),
        layers=int(text.num_hidden_layers),
        hidden=int(text.hidden_size),
        key_width=int(heads * head_width),
        vocabulary=int(text.vocab_size),
        image_tokens=shown or int(getattr(config, "image_seq_length", USUAL_IMAGE_TOKENS)),
        here=name == BUNDLED_MODEL or _has_weights(name),
        device=torch.cuda.get_device_name() if cuda else "cpu",
        memory_bytes=_memory_bytes(device),
        flops=_measured_flops(device),
    )


def _reason(name: str, error: Exception) -> str:
    """Return why a model cannot be used, and what to do next."""
    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").exists():
        return "That folder holds no config.json. Choose the folder that `leaml merge` or save_pretrained wrote."
    if "Unrecognized configuration class" in str(error):
        return "It does not answer questions about images. Choose an image-text-to-text model."
    # Not by 401 alone: Hugging Face says that of a name that it does not know, too.
    if re.search(r"gated repo|Access to model \S+ is restricted", str(error)):
        return (
            "It is gated: accept its licence on its page at Hugging Face first, then sign in on this computer with "
            "`hf auth login`."
        )
    if isinstance(error, OSError):
        return "There is no such folder, and no model of this name could be read. Check the name and the connection."
    return f"{' '.join(str(error).split())[:300].rstrip('.')}. Choose another model."


def _has_weights(name: str) -> bool:
    """Return whether a model's weights are on this computer.

    Raises:
        ModelError: If it is a folder without any.
    """
    from huggingface_hub import try_to_load_from_cache

    if Path(name).is_dir():
        if not any(Path(name).glob("*.safetensors")) and not any(Path(name).glob("*.bin")):
            raise ModelError(
                f"Cannot use the model {name!r}. Its folder holds no weights (*.safetensors). Copy them there."
            )
        return True
    files = ("model.safetensors", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(name, file), str) for file in files)


def _memory_bytes(device: "torch.device") -> int:
    """Return an accelerator's memory that nobody uses; for a CPU this computer's."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _measured_flops(device: "torch.device") -> float:
    """Return operations a second of a large product in the precision that training uses, the best of a few."""
    import torch

    from leaml.models.precision import autocast

    side = 4096 if device.type == "cuda" else 1024
    matrix = torch.ones(side, side, device=device)
    best = float("inf")
    with autocast(device):
        for _ in range(MEASURED_PRODUCTS):
            began = time.perf_counter()
            (matrix @ matrix).sum().item()
            best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def _answer(request: Values) -> Values:
    width_height = request["largest"]
    return asdict(facts_here(str(request["model"]), tuple(width_height) if width_height else None))


if __name__ == "__main__":
    answer_apart(_answer)
