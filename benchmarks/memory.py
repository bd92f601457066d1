"""How much memory each stage needs with a model: `python -m benchmarks.memory` prints the table of docs/backbones.md.

Computed, not measured, in bytes, from published sizes, for a project that saves memory: samples are trained and scored
one at a time, and at most T tokens are read at once. W weights of w bytes in all, of which the decoder has D and its
linear layers L; l layers of width h, keys and values of width k; V words; a sample of S tokens, A of them an answer; a
share r of L is trained:

    weights     w W                                     w: 4 (float32), or 2 (bfloat16, `--precision bfloat16`)
    sample      weights + w L + (2 w l k + 34 h) T      what the second opinion changed; keys, values, one block
    score       weights + 4 L + activations             a float32 score for each linear weight
    selective   weights + 18 r L + activations          master copy, two moments, gradient (4 each) and place (2)
    full        weights + 12 D + activations            gradient and two moments; in bfloat16 16 D, with a master copy
    activations = (2 l + 34) S h + 12 A V               recomputed (`checkpoint_activations`), and 34 for one block:
                                                        Korthikanti et al. 2022, without the attention's own square;
                                                        scores of the vocabulary, probabilities and gradients
"""

from dataclasses import dataclass

from leaml.training.buckets import SAVING, TOKENS_AT_ONCE

TOKENS, ANSWER_TOKENS, SHARE = 512, 64, 0.1
READ_TOKENS = TOKENS_AT_ONCE // SAVING
STAGES = ("sample", "score", "selective", "full")


@dataclass(frozen=True)
class Model:
    """A published model.

    Attributes:
        family: As docs/backbones.md calls it.
        name: On the hub.
        licence: Of its weights, as its card says; read the card.
        weights: In all.
        tower: Of vision tower and projector.
        vocabulary: Rows of the embedding.
        width: Of the decoder.
        tied: Whether the head is the embedding.
        layers: Of the decoder.
        key_width: Of a layer's keys: heads times their width.
    """

    family: str
    name: str
    licence: str
    weights: float
    tower: float
    vocabulary: int
    width: int
    tied: bool
    layers: int
    key_width: int

    @property
    def decoder(self) -> float:
        """Weights of the decoder, embeddings included."""
        return self.weights - self.tower

    @property
    def linear(self) -> float:
        """Weights of the decoder's linear layers, without embedding and head."""
        return self.decoder - self.vocabulary * self.width * (1 if self.tied else 2)


MODELS = (
    Model("FastVLM", "leaml-mini (bundled)", "Apache-2.0", 11.3e6, 5.1e6, 4096, 256, True, 6, 256),
    Model("Qwen2-VL", "Qwen2-VL-2B-Instruct", "Apache-2.0", 2.21e9, 0.665e9, 151936, 1536, True, 28, 256),
    Model("Qwen2.5-VL", "Qwen2.5-VL-7B-Instruct", "Apache-2.0", 8.29e9, 0.677e9, 152064, 3584, False, 28, 512),
    Model("Qwen3-VL", "Qwen3-VL-2B-Instruct", "Apache-2.0", 2.13e9, 0.407e9, 151936, 2048, True, 28, 1024),
    Model("SmolVLM", "SmolVLM-Instruct", "Apache-2.0", 2.25e9, 0.43e9, 49155, 2048, False, 24, 2048),
    Model(
        "Idefics3", "Idefics3-8B-Llama3", "Apache-2.0, decoder Llama 3", 8.46e9, 0.43e9, 128259, 4096, False, 32, 1024
    ),
    Model("LLaVA", "llava-1.5-7b-hf", "Llama 2", 7.06e9, 0.325e9, 32064, 4096, False, 32, 4096),
    Model(
        "LLaVA-OneVision", "llava-onevision-qwen2-0.5b-ov-hf", "Apache-2.0", 0.894e9, 0.4e9, 152000, 896, True, 24, 128
    ),
    Model("InternVL", "InternVL3-2B-hf", "MIT, decoder Apache-2.0", 2.09e9, 0.317e9, 151674, 1536, False, 28, 256),
    Model("PaliGemma", "paligemma-3b-mix-224", "Gemma terms", 2.92e9, 0.415e9, 257216, 2048, True, 18, 256),
    Model("PaliGemma2", "paligemma2-3b-mix-224", "Gemma terms", 3.03e9, 0.415e9, 257216, 2304, True, 26, 1024),
    Model("Gemma 3", "gemma-3-4b-it", "Gemma terms", 4.3e9, 0.42e9, 262208, 2560, True, 34, 1024),
)


def stage_bytes(model: Model, stage: str, weight_bytes: int = 4) -> float:
    """Return the memory that a stage of STAGES needs with weights of so many bytes."""
    weights = weight_bytes * model.weights
    activations = (2 * model.layers + 34) * TOKENS * model.width + 12 * ANSWER_TOKENS * model.vocabulary
    read = (2 * weight_bytes * model.layers * model.key_width + 34 * model.width) * READ_TOKENS
    beside = {
        "sample": weight_bytes * model.linear + read,
        "score": 4 * model.linear + activations,
        "selective": 18 * SHARE * model.linear + activations,
        "full": (12 if weight_bytes == 4 else 16) * model.decoder + activations,
    }
    return weights + beside[stage]


def table() -> str:
    """Return the table in Markdown, in GB."""
    lines = [
        "| Family | For example | Licence of the weights | Sample | Score | Train 10% | Train all | Tested |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        cells = " | ".join(f"{gigabytes(model, stage, 4)} ({gigabytes(model, stage, 2)})" for stage in STAGES)
        tested = "these weights" if "bundled" in model.name else "tiny random weights"
        lines.append(f"| {model.family} | {model.name} | {model.licence} | {cells} | {tested} |")
    return "\n".join(lines)


def gigabytes(model: Model, stage: str, weight_bytes: int) -> str:
    """Return a stage's memory as it stands in the table."""
    value = stage_bytes(model, stage, weight_bytes) / 1e9
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


if __name__ == "__main__":
    print(table())
