"""Captions are asked to be likelier beside their own image than beside another (`GeneratorConfig.contrast`)."""

import math

import pytest
import torch

from benchmarks.mini import grounding
from benchmarks.mini.timed import Lesson, batch_losses
from leaml.config import GeneratorConfig, TrainConfig
from leaml.threads import share_cores
from leaml.training.objectives import MARGIN, Sample, beside_others, contrast_losses
from leaml.training.step_losses import generator_losses
from leaml.training.train import DenseAdamW, backward

TEXTS = ("A red disc.", "A long blue bar.", "Three small dots.", "A green ring.", "Nothing at all.", "A dark square.")
CAPTIONS = [Sample(f"picture{n}", "Describe the image.", text) for n, text in enumerate(TEXTS)]


def test_each_text_meets_the_image_of_its_neighbour():
    assert [(s.image_id, s.target) for s in beside_others(CAPTIONS)[:3]] == [
        ("picture5", TEXTS[0]),
        ("picture0", TEXTS[1]),
        ("picture1", TEXTS[2]),
    ]
    assert beside_others([]) == []


def test_what_misses_the_margin_costs_about_as_much_as_it_misses():
    tokens = torch.tensor([10, 10, 20])
    own = torch.tensor([10.0, 10.0, 20.0])
    other = own + tokens * torch.tensor([0.0, MARGIN + 1, -1.0])  # as likely, likelier by far, less likely
    level, better, worse = contrast_losses(own, other, tokens).tolist()
    assert level == pytest.approx(10 * math.log1p(math.exp(10 * MARGIN)) / 10)
    assert better < 1e-3
    assert worse == pytest.approx(20 * (1 + MARGIN), rel=1e-4)


def test_a_text_beside_the_same_image_twice_teaches_nothing():
    loss = torch.tensor([12.0], requires_grad=True)
    contrast_losses(loss, loss, torch.tensor([6])).sum().backward()
    assert loss.grad is not None and loss.grad.item() == 0


def test_a_step_on_two_cores_is_the_same_to_the_bit(backbone, features):
    asked = [Sample(f"picture{n}", "Ask.", text) for n, text in enumerate(TEXTS)]
    config = GeneratorConfig(contrast=1.0, train=TrainConfig(steps=9, batch_size=8))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    optimizer, found = DenseAdamW(backbone.decoder_weights()), []
    try:
        with share_cores(2) as cores:
            for _ in range(6):
                shares = generator_losses(backbone, features, asked, CAPTIONS, config, 0)
                _, figures = backward(shares, backbone.device, cores)
                found.append({name: weight.grad for name, weight in backbone.decoder_weights().items()})
                for weight in backbone.decoder_weights().values():
                    weight.grad = None
            parts = [len(list(share)) for share in generator_losses(backbone, features, asked, CAPTIONS, config, 0)]
    finally:
        optimizer.close()
        torch.set_num_threads(threads)
    assert parts == [1, 1], "two gradients alone add up to the same in either order"
    assert figures.keys() == {"question_loss", "caption_loss", "wrong_image_loss"}
    assert all(torch.equal(grad, found[0][name]) for again in found[1:] for name, grad in again.items())


def test_descriptions_find_their_images_sooner(backbone, features):
    """The same few updates, with the contrast and without: it is the difference between images that grows."""
    start = {name: weight.detach().clone() for name, weight in backbone.decoder_weights().items()}
    gaps, owns = list[float](), list[float]()
    for contrast in (0.0, 1.0):
        with torch.no_grad():
            for name, weight in backbone.decoder_weights().items():
                weight.copy_(start[name])
        optimizer = DenseAdamW(backbone.decoder_weights())
        for step in range(12):
            for share in batch_losses(backbone, features, CAPTIONS, step, Lesson(contrast=contrast)):
                for loss, _ in share:
                    loss.backward()
            optimizer.step(3e-4)
        optimizer.close()
        found = {row.metric: row.value for row in grounding.caption_rows(backbone, features, CAPTIONS, "pictures")}
        gaps.append(found["wrong minus right"])
        owns.append(found["caption loss"])
    assert gaps[1] > 1.5 * gaps[0]
    assert owns[1] < owns[0] + 0.5  # what is said of the own image stays about as likely
