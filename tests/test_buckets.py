"""Batches by length."""

from hypothesis import given
from hypothesis import strategies as st

from leaml.buckets import by_length


@given(texts=st.lists(st.text(max_size=9), max_size=40), size=st.integers(1, 9))
def test_each_place_comes_once_in_full_batches_of_falling_length(texts, size):
    batches = list(by_length(texts, size))
    places = [place for batch in batches for place in batch]
    assert sorted(places) == list(range(len(texts)))
    assert all(len(batch) == size for batch in batches[:-1]) and all(0 < len(batch) <= size for batch in batches)
    lengths = [len(texts[place]) for place in places]
    assert lengths == sorted(lengths, reverse=True)
