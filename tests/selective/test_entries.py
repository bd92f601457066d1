"""Reading, writing and packing the chosen entries, against plain boolean masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaml.errors import ModelError
from leaml.selective import Entries, entries, select_rows

shapes = st.tuples(st.integers(1, 12), st.integers(1, 70))
dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


def chosen(shape, budget, seed):
    return select_rows(torch.rand(shape, generator=torch.Generator().manual_seed(seed)), budget)


@given(shape=shapes, budget=st.one_of(st.integers(1, 80), st.floats(0.01, 1.0)), dtype=dtypes, seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_gather_and_scatter_touch_exactly_the_chosen_entries(shape, budget, dtype, seed):
    own = chosen(shape, budget, seed)
    mask, weight = own.mask(), torch.randn(shape).to(dtype)
    before = weight.clone()
    assert own.gather(weight).equal(weight[mask])
    new = torch.randn(own.count)
    own.scatter_(weight, new)
    assert weight[mask].equal(new.to(dtype)) and weight[~mask].equal(before[~mask])
    own.wide().scatter_(weight, before[mask])
    assert weight.equal(before) and own.wide().gather(weight).equal(before[mask])


@given(shape=shapes, budget=st.one_of(st.integers(1, 80), st.floats(0.01, 1.0)), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_packing_keeps_the_places_and_takes_the_smaller_layout(shape, budget, seed):
    own = chosen(shape, budget, seed)
    packed = own.wide().pack()
    again = Entries.unpack(shape, packed)
    assert again.mask().equal(own.mask())
    if own.count == shape[0] * shape[1]:
        assert (own.layout, packed) == ("dense", None)
    else:
        bitmask_bytes, column_bytes = shape[0] * -(-shape[1] // 8), 2 * own.count
        # Rows of bits are filled up to whole bytes: up to 7 bits a row more than the rule of 1/16 reckons with.
        assert packed.nbytes <= min(bitmask_bytes, column_bytes) + shape[0]


def test_places_are_read_in_chunks_whatever_their_size(monkeypatch):
    own, weight = chosen((11, 20), 0.4, 0), torch.randn(11, 20)
    expected = weight[own.mask()]
    for size in (1, 16, 10**6):
        monkeypatch.setattr(entries, "CHUNK_CPU", size)
        assert own.gather(weight).equal(expected)


def test_a_transposed_gradient_is_read_like_any_other():
    own, weight = chosen((8, 5), 2, 0), torch.randn(5, 8).T
    assert not weight.is_contiguous()
    assert own.gather(weight).equal(weight[own.mask()])


@pytest.mark.parametrize("budget", [1, 5, 7, 8])
def test_the_others_are_all_that_is_not_chosen(budget):
    own = chosen((6, 8), budget, 0)
    others = own.others()
    if budget == 8:
        assert others is None
        return
    assert others.mask().equal(~own.mask()) and others.columns.dtype == torch.int16


def test_more_columns_than_16_bits_can_name():
    own = chosen((2, 2**15 + 8), 3, 0)
    assert own.columns.dtype == torch.int32
    assert chosen((2, 2**15), 3, 0).columns.dtype == torch.int16
    assert Entries.unpack(own.shape, own.pack()).columns.equal(own.columns)


@pytest.mark.parametrize(
    "packed",
    [
        torch.tensor([[255], [1]], dtype=torch.uint8),
        torch.zeros(3, 1, dtype=torch.uint8),
        torch.zeros(2, 1, dtype=torch.uint8),
        torch.tensor([[8], [0]], dtype=torch.int16),
        torch.tensor([[-1], [0]], dtype=torch.int16),
        torch.tensor([[0]], dtype=torch.int16),
    ],
    ids=["uneven rows", "a row too many", "nothing chosen", "beyond the last column", "negative", "a row too few"],
)
def test_damaged_places_are_refused(packed):
    with pytest.raises(ModelError, match=r"of a weight of shape \(2, 8\) (is|are) damaged"):
        Entries.unpack((2, 8), packed)
