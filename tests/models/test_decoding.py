"""Decoding with the shared cache, against transformers' own generation and against full forward passes."""

import pytest
import torch
from PIL import Image

from leaml.models.decoding import ORDERED_FIRST, draw_from_nucleus, greedy, nucleus, option_log_probabilities, prefill
from leaml.training.objectives import Sample, collate, sequence_losses

PROMPTS = ["Where is the disc? Choose one of the following options: left|right|", "Describe the image.", "Colour?"]


@pytest.mark.usefixtures("float32_products")
def test_greedy_equals_transformers_generation(backbone, features, pictures):
    ids = list(pictures)[:3]
    ours = greedy(backbone, prefill(backbone, PROMPTS, features.batch(ids)), max_new_tokens=12)
    for prompt, image_id, text in zip(PROMPTS, ids, ours, strict=True):
        tokens = torch.tensor([backbone.prompt_ids(prompt, features.batch([image_id])[0])])
        pixels = backbone.processor.image_processor(images=[Image.open(pictures[image_id])], return_tensors="pt")
        generated = backbone.model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), **pixels, max_new_tokens=12, do_sample=False
        )
        assert text == backbone.chat.text(generated[0, tokens.shape[1] :].tolist())


@pytest.mark.parametrize(("fast", "nats"), [(False, 1e-3), (True, 0.1)])
def test_option_scores_equal_full_forward_passes_and_leave_the_prefix(
    backbone, features, pictures, monkeypatch, fast, nats
):
    monkeypatch.setattr("leaml.models.precision.multiplies_bfloat16", lambda _: fast)
    ids = list(pictures)[:2]
    options = [["left", "in the very middle", "right"], ["a", "b"]]
    prefix = prefill(backbone, PROMPTS[:2], features.batch(ids))
    before = prefix.logits.clone()
    scores = option_log_probabilities(backbone, prefix, options)
    assert [len(row) for row in scores] == [3, 2]
    for image_id, prompt, names, row in zip(ids, PROMPTS, options, scores, strict=False):
        batch = collate(backbone, features, [Sample(image_id, prompt, name) for name in names])
        with torch.no_grad():
            losses, _ = sequence_losses(backbone, batch)
        torch.testing.assert_close(torch.tensor(row), -losses, rtol=nats / 10, atol=nats)
    again = option_log_probabilities(backbone, prefix, options)
    assert torch.equal(prefix.logits, before)
    torch.testing.assert_close(torch.tensor(again[0]), torch.tensor(scores[0]))


def sampled(backbone, features, pictures, seed, top_p=0.9):
    prefix = prefill(backbone, ["Describe the image."] * 2, features.batch(list(pictures)[:2]))
    prefix.repeat(3)
    generator = torch.Generator().manual_seed(seed)
    return nucleus(backbone, prefix, max_new_tokens=10, top_p=top_p, temperature=1.0, generator=generator)


def test_samples_are_reproducible_differ_by_seed_and_are_greedy_in_the_limit(backbone, features, pictures):
    first = sampled(backbone, features, pictures, 1)
    assert first == sampled(backbone, features, pictures, 1)
    assert first != sampled(backbone, features, pictures, 2)
    assert len(first) == 6 and all(value <= 0 for _, value in first)
    prefix = prefill(backbone, ["Describe the image."] * 2, features.batch(list(pictures)[:2]))
    best = greedy(backbone, prefix, max_new_tokens=10)
    assert [text for text, _ in sampled(backbone, features, pictures, 3, top_p=1e-6)] == [
        t for t in best for _ in range(3)
    ]


@pytest.mark.parametrize("tail", [0.0, 0.5])
def test_a_nucleus_is_the_fewest_tokens_that_reach_its_share_however_flat(tail):
    likely, rare = torch.tensor([0.4, 0.3, 0.2, 0.1]) * (1 - tail), torch.full((4 * ORDERED_FIRST,), tail)
    row = torch.cat([rare / len(rare), likely])
    counts = torch.zeros(len(row))
    drawn = draw_from_nucleus(row.expand(20_000, -1), 0.85, torch.Generator().manual_seed(0))
    counts.scatter_add_(0, drawn, torch.ones(len(drawn)))
    inside = row.sort(descending=True)
    kept = int((inside.values.cumsum(0) < 0.85).sum()) + 1
    assert kept == (3 if tail == 0 else 4 + round(0.7 * len(rare)))
    assert int((counts > 0).sum()) <= kept and set(drawn.tolist()) >= set(range(len(rare), len(rare) + 3))
    expected = likely[:3] / inside.values[:kept].sum()
    torch.testing.assert_close(counts[len(rare) : len(rare) + 3] / len(drawn), expected, rtol=0.05, atol=0.005)
