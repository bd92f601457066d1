"""Batches by length."""

from hypothesis import given
from hypothesis import strategies as st

from leaml.buckets import by_length


@given(lengths=st.lists(st.integers(0, 9), max_size=40), size=st.integers(1, 9))
def test_each_place_comes_once_in_full_batches_of_falling_length(lengths, size):
    batches = list(by_length(lengths, size))
    places = [place for batch in batches for place in batch]
    assert sorted(places) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1]) and all(0 < len(batch) <= size for batch in batches)
    assert [lengths[place] for place in places] == sorted(lengths, reverse=True)
