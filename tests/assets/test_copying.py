"""The stage that teaches the decoder to copy."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from assets.pretraining.copying import learn_to_copy, losses_of, random_repeat, text_segment
from assets.pretraining.model.packing import Encoder
from leaml.models.backbone import BUNDLED_PATH

GLOSSES = [("granite", "a hard rock"), ("willow", "a tree near water"), ("ember", "a glowing coal")]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Segments in the bundled tokenizer."""
    return Encoder(PreTrainedTokenizerFast.from_pretrained(BUNDLED_PATH))


@pytest.fixture
def model():
    """The bundled model, to be changed."""
    return AutoModelForImageTextToText.from_pretrained(BUNDLED_PATH, dtype=torch.float32)


@pytest.mark.parametrize("seed", range(5))
def test_random_tokens_are_answered_with_themselves(encoder, seed):
    segment = random_repeat(np.random.default_rng(seed), encoder)
    asked, answered = segment.tokens[1 : -segment.answer_length - 1], segment.tokens[-segment.answer_length : -1]
    assert asked == answered and len(asked) >= 2
    assert not {encoder.pad, encoder.user, encoder.assistant, encoder.end} & set(asked)
    assert segment.tokens[-1] == encoder.end and not segment.sees_image


def test_padding_changes_no_loss(encoder, model):
    rng = np.random.default_rng(1)
    segments = [text_segment(rng, encoder, GLOSSES) for _ in range(6)]
    with torch.no_grad():
        together = losses_of(model, segments, pad=encoder.pad)
        alone = torch.cat([losses_of(model, [segment], pad=encoder.pad) for segment in segments])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_only_the_decoder_learns_and_it_does(encoder, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    segments = [random_repeat(np.random.default_rng(n), encoder) for n in range(16)]
    with torch.no_grad():
        first = losses_of(model, segments, pad=encoder.pad).mean()
    curve = learn_to_copy(model, encoder, GLOSSES, steps=8)
    with torch.no_grad():
        assert losses_of(model, segments, pad=encoder.pad).mean() < first
    assert len(curve) == 1
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed and all("language_model" in name or name == "lm_head.weight" for name in changed)
