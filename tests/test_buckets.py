"""Batches by length, and by image."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from leaml.buckets import by_image, by_length


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
