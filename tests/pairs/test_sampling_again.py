"""A generator's sampling that was stopped goes on after the texts that are written, as if it had not been."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leaml.config import SamplingConfig
from leaml.models.backbone import Backbone
from leaml.models.features import ImageFeatures
from leaml.pairs import generate
from leaml.pairs.generate import sample_texts
from leaml.report import Cancelled

CONFIG = SamplingConfig(pairs_per_image=2, batch_size=4, max_new_tokens=6)


def test_no_text_is_written_twice(
    backbone: Backbone, features: ImageFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sampled(kept: Path | None, tell: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
        texts = sample_texts(backbone, features, features.ids(), CONFIG, tell, kept=kept)
        return [str(text) for text in texts]

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise Cancelled

    whole, kept, drawn, nucleus = sampled(None), tmp_path / "sampled.jsonl", [], generate.nucleus
    with pytest.raises(Cancelled):
        sampled(kept, stop)
    monkeypatch.setattr(generate, "nucleus", lambda *a, **b: drawn.append(1) or nucleus(*a, **b))
    assert sampled(kept) == whole and len(whole) == 12 and len(drawn) == 1, "two batches of three were there"
    assert sampled(kept) == whole and len(drawn) == 1
