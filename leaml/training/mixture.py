"""What a fine-tuning reads: labels and reviewed pairs are trusted, pseudo pairs that nobody looked at count less.

In the paper all pairs are alike. With few labels and a small model that made things worse
(docs/decisions/label-efficiency.md): several hundred noisy pairs drown a few dozen right ones. So a batch can be given
a set share of pseudo pairs, and a pseudo pair can count as much as the judge believes in it, or as people's decisions
make its acceptance probable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from leaml.config import MixtureConfig, TrainConfig
from leaml.records import AnsweredQuestion, Candidate, Caption
from leaml.training.objectives import Sample, answer_sample, caption_sample, cycle_indices
from leaml.training.passes import Side

CAPTION_WEIGHT = 0.05
"""Of a caption's loss, which is summed over some sixty tokens where an answer has two or three."""

UNKNOWN: Mapping[str, float] = MappingProxyType({})
"""Nobody has decided enough to tell how probable a pair's acceptance is."""

Weighted = tuple[Sample, float]
"""A sample and how much its loss counts."""


@dataclass(frozen=True)
class Mixture:
    """The samples of one fine-tuning.

    Attributes:
        trusted: Labels and reviewed pairs.
        pseudo: Pairs that nobody has decided about.
        pseudo_share: Of each batch; None reads all samples in turn, however many there are of each.
    """

    trusted: Sequence[Weighted]
    pseudo: Sequence[Weighted]
    pseudo_share: float | None

    @property
    def samples(self) -> list[Sample]:
        """All samples, trusted ones first."""
        return [sample for sample, _ in [*self.trusted, *self.pseudo]]

    def batch(self, config: TrainConfig, step: int) -> list[Weighted]:
        """Return the samples of a step: a function of the step alone, as `cycle_indices` is."""
        if self.pseudo_share is None or not self.pseudo:
            every = [*self.trusted, *self.pseudo]
            return [every[i] for i in cycle_indices(len(every), config.batch_size, seed=config.seed, step=step)]
        noisy = _noisy(self.pseudo_share, config.batch_size)
        first = cycle_indices(len(self.trusted), config.batch_size - noisy, seed=config.seed, step=step)
        second = cycle_indices(len(self.pseudo), noisy, seed=config.seed + 1, step=step)
        return [*(self.trusted[i] for i in first), *(self.pseudo[i] for i in second)]

    def sides(self, config: TrainConfig) -> list[Side]:
        """Return how many samples of each kind there are, and how many of them a batch holds."""
        if self.pseudo_share is None or not self.pseudo:
            return [Side("answers", len(self.trusted) + len(self.pseudo), config.batch_size)]
        noisy = _noisy(self.pseudo_share, config.batch_size)
        return [
            Side("answers", len(self.trusted), config.batch_size - noisy),
            Side("pairs that nobody reviewed", len(self.pseudo), noisy),
        ]


def mix(
    trusted: Sequence[AnsweredQuestion],
    pseudo: Sequence[Candidate],
    config: MixtureConfig,
    captions: Sequence[Caption] = (),
    acceptance: Mapping[str, float] = UNKNOWN,
) -> Mixture:
    """Return what is read of trusted and of pseudo pairs, and of captions where the settings ask for them.

    A pair without options has no agreement and counts fully. `acceptance` is that of `Snapshot`.
    """
    told = [(caption_sample(row), CAPTION_WEIGHT) for row in captions] if config.captions else []
    kept = [pair for pair in pseudo if pair.is_believed(config.least_agreement)]
    return Mixture(
        [(answer_sample(pair), 1.0) for pair in trusted],
        [*((answer_sample(pair), _weight(pair, config, acceptance)) for pair in kept), *told],
        config.pseudo_share,
    )


def _noisy(share: float, batch_size: int) -> int:
    """Return how many pseudo pairs a batch holds: never all or nothing, without labels it would learn from noise."""
    return min(max(1, round(share * batch_size)), batch_size - 1)


def _weight(pair: Candidate, config: MixtureConfig, acceptance: Mapping[str, float]) -> float:
    believed = 1.0 if pair.agreement is None else pair.agreement
    if config.weighting == "acceptance":
        return acceptance.get(pair.id, believed)
    return 1.0 if config.weighting == "equal" else believed
