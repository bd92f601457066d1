"""Batches by length, and by image."""

from dataclasses import replace
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from leaml.config import TrainConfig
from leaml.training.buckets import TOKENS_AT_ONCE, by_image, by_length, tokens_at_once


@given(lengths=st.lists(st.integers(0, 9), max_size=40), size=st.integers(1, 9))
def test_each_place_comes_once_in_full_batches_of_falling_length(lengths, size):
    batches = list(by_length(lengths, size))
    places = [place for batch in batches for place in batch]
    assert sorted(places) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1]) and all(0 < len(batch) <= size for batch in batches)
    assert [lengths[place] for place in places] == sorted(lengths, reverse=True)


@given(texts=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40), size=st.integers(1, 9))
def test_an_image_has_its_texts_side_by_side(texts, size):
    images, lengths = [image for image, _ in texts], [length for _, length in texts]
    batches = list(by_image(images, lengths, size))
    places = [place for batch in batches for place in batch]
    assert sorted(places) == list(range(len(texts)))
    assert all(len(batch) == size for batch in batches[:-1]) and all(0 < len(batch) <= size for batch in batches)
    order = [image for image, _ in groupby(images[place] for place in places)]
    assert len(order) == len(set(images))
    longest = [max(length for own, length in texts if own == image) for image in order]
    assert longest == sorted(longest, reverse=True)


@given(lengths=st.lists(st.integers(0, 900), max_size=40), size=st.integers(1, 9), tokens=st.integers(1, 2000))
def test_a_batch_holds_no_more_tokens_than_it_may(lengths, size, tokens):
    images = [str(length) for length in lengths]
    for batches in (
        list(by_length(lengths, size, tokens=tokens)),
        list(by_image(images, lengths, size, tokens=tokens)),
    ):
        assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
        assert all(len(batch) <= size for batch in batches)
        for batch in batches:
            assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= tokens


def test_the_bundled_models_batches_are_as_large_as_they_may_be():
    lengths = [TOKENS_AT_ONCE // 128] * 300  # 256 tokens; its questions have some 60 beside the image's 64
    assert [len(batch) for batch in by_length(lengths, 128)] == [128, 128, 44]


def test_training_that_saves_memory_leaves_room_for_fewer_tokens():
    plain = TrainConfig(steps=9)
    assert tokens_at_once(plain) == TOKENS_AT_ONCE > 4 * tokens_at_once(replace(plain, checkpoint_activations=True))
