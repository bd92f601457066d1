"""The decoder's English: held-out glosses of WordNet, read without an image as in pretraining.

The words are those that pretraining leaves out (`assets/pretraining/texts/english.py`). Bits a byte compare models
whose tokenizers differ.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from assets.pretraining.texts.english import read_glosses
from benchmarks.mini.place import Place
from benchmarks.mini.rows import Row, ratio_interval
from leaml.models.backbone import Backbone

PART = "language"
BATCH = 32


def measure(place: Place) -> list[Row]:
    """Return the loss of held-out glosses in nats a token and in bits a byte."""
    if place.wordnet is None:
        print("language: skipped; give --wordnet FOLDER (Debian's wordnet-base) or set LEAML_WORDNET.", flush=True)
        return []
    backbone = place.backbone()
    pairs = read_glosses(place.wordnet, held_out=True)
    order = np.random.default_rng(0).permutation(len(pairs))[: place.amounts.glosses]
    chosen = [pairs[int(i)] for i in order]
    losses, tokens = gloss_losses(backbone, chosen)
    size = [len(gloss.encode()) for _, gloss in chosen]
    nats = ratio_interval(losses, tokens)
    bits = ratio_interval([loss / math.log(2) for loss in losses], size)
    subject = "held-out glosses"
    return [
        Row(PART, subject, "loss", "nats/token", nats.value, len(chosen), nats.low, nats.high),
        Row(PART, subject, "loss, tokenizer apart", "bits/byte", bits.value, len(chosen), bits.low, bits.high),
    ]


@torch.inference_mode()
def gloss_losses(backbone: Backbone, pairs: list[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """Return each gloss's loss given its word `[N]` (nats, end token included) and its tokens `[N]`."""
    losses, counts = [], []
    for start in range(0, len(pairs), BATCH):
        rows, asked = [], []
        for word, gloss in pairs[start : start + BATCH]:
            message = {"role": "user", "content": f"Define {word}."}
            text = backbone.tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
            prompt = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
            rows.append((*prompt, *backbone.chat.target_ids(gloss)))
            asked.append(len(prompt))
        encoded = backbone.pad(rows, left=False)
        hidden = backbone.decoder(
            input_ids=encoded.input_ids,
            attention_mask=encoded.attention_mask,
            position_ids=encoded.position_ids,
            use_cache=False,
        ).last_hidden_state
        for row, (ids, first) in enumerate(zip(rows, asked, strict=True)):
            logits = backbone.logits(hidden[row, first - 1 : len(ids) - 1])
            targets = encoded.input_ids[row, first : len(ids)]
            losses.append(float(functional.cross_entropy(logits, targets, reduction="sum")))
            counts.append(float(len(ids) - first))
    return losses, counts
