"""How unreviewed pairs are read beside labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaml.config import MixtureConfig, TrainConfig
from leaml.errors import ConfigError
from leaml.records import AnsweredQuestion, Candidate, Caption, ImageId, RunId
from leaml.training.mixture import mix
from leaml.training.objectives import answer_sample, caption_sample, cycle_indices


def label(n: int) -> AnsweredQuestion:
    """The n-th label."""
    return AnsweredQuestion(ImageId(f"label {n}"), "?", ("a", "b"), "a")


def pseudo(n: int, agreement: float | None = 0.5) -> Candidate:
    """The n-th pseudo pair."""
    name = f"pseudo {n}"
    return Candidate(name, ImageId(name), "?", ("a", "b"), "b", None, -1.0, agreement, (), RunId("r"), 1)


def test_by_default_all_pairs_are_read_in_turn():
    config, labels, pairs = TrainConfig(steps=9, batch_size=4, seed=5), [label(n) for n in range(3)], [pseudo(0)]
    mixture = mix(labels, pairs, MixtureConfig())
    every = [answer_sample(pair) for pair in [*labels, *pairs]]
    assert mixture.samples == every
    for step in range(9):
        wanted = [(every[i], 1.0) for i in cycle_indices(4, 4, seed=5, step=step)]
        assert mixture.batch(config, step) == wanted


@given(
    share=st.floats(0.05, 0.95),
    size=st.integers(2, 32),
    labels=st.integers(1, 40),
    pairs=st.integers(1, 60),
    step=st.integers(0, 200),
)
def test_each_batch_has_the_share_that_was_asked_for(share, size, labels, pairs, step):
    config = TrainConfig(steps=300, batch_size=size)
    mixture = mix([label(n) for n in range(labels)], [pseudo(n) for n in range(pairs)], MixtureConfig(share))
    batch = mixture.batch(config, step)
    assert len(batch) == size
    found = sum(sample.image_id.startswith("pseudo") for sample, _ in batch)
    assert 1 <= found < size and abs(found - share * size) <= max(0.5, share, 1 - share)


def test_every_pair_is_read_as_often_as_any_other_of_its_kind():
    config = TrainConfig(steps=40, batch_size=8)
    mixture = mix([label(n) for n in range(4)], [pseudo(n) for n in range(16)], MixtureConfig(pseudo_share=0.5))
    read = [sample.image_id for step in range(8) for sample, _ in mixture.batch(config, step)]
    assert {read.count(f"label {n}") for n in range(4)} == {8} and {read.count(f"pseudo {n}") for n in range(16)} == {2}


def test_agreement_filters_and_weighs():
    pairs = [pseudo(0, 0.2), pseudo(1, 0.7), pseudo(2, None)]
    mixture = mix([label(0)], pairs, MixtureConfig(least_agreement=0.5, weighting="agreement"))
    assert [(sample.image_id, weight) for sample, weight in mixture.pseudo] == [("pseudo 1", 0.7), ("pseudo 2", 1.0)]
    assert [weight for _, weight in mixture.trusted] == [1.0]
    nothing = mix([label(0)], pairs[:1], MixtureConfig(pseudo_share=0.5, least_agreement=0.5))
    assert {sample.image_id for sample, _ in nothing.batch(TrainConfig(steps=5), 0)} == {"label 0"}


def test_peoples_decisions_weigh_where_there_are_enough():
    pairs, config = [pseudo(0, 0.2), pseudo(1, None)], MixtureConfig(weighting="acceptance")
    known = mix([label(0)], pairs, config, acceptance={"pseudo 0": 0.9, "pseudo 1": 0.4})
    assert [weight for _, weight in known.pseudo] == [0.9, 0.4]
    assert [weight for _, weight in mix([label(0)], pairs, config).pseudo] == [0.2, 1.0], "by agreement"
    by_agreement = mix([label(0)], pairs, MixtureConfig(weighting="agreement"), acceptance={"pseudo 0": 0.9})
    assert [weight for _, weight in by_agreement.pseudo] == [0.2, 1.0]


@pytest.mark.parametrize("values", [{"pseudo_share": 0.0}, {"pseudo_share": 1.0}, {"least_agreement": 2.0}, {"weighting": "x"}])  # fmt: skip  # noqa: E501
def test_settings_that_mean_nothing_are_refused(values):
    with pytest.raises(ConfigError, match="but must be"):
        MixtureConfig(**values)


def test_captions_are_read_only_where_asked_for_and_count_little():
    told = [Caption(ImageId("x"), "Two lobes.", "teacher", "Describe")]
    assert (
        mix([label(0)], [pseudo(0)], MixtureConfig(), told).samples
        == mix([label(0)], [pseudo(0)], MixtureConfig()).samples
    )
    mixture = mix([label(0)], [pseudo(0)], MixtureConfig(captions=True), told)
    assert mixture.pseudo[-1][0] == caption_sample(told[0]) and 0 < mixture.pseudo[-1][1] < 1
    assert len(mixture.samples) == 3
