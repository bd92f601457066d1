"""Where a project saves memory, every stage does: scoring too, and what is read without learning."""

import pytest
import torch

import leaml.evaluate
import leaml.models.decoding
import leaml.pairs.generate
import leaml.training.updates
from leaml.choices import Choices, generator_of
from leaml.config import FinetuneConfig, GeneratorConfig, SamplingConfig, SelectionConfig, TrainConfig, generator_run
from leaml.evaluate import predict
from leaml.models.decoding import option_probabilities
from leaml.pairs.generate import sample_texts
from leaml.pipeline import choose_neurons
from leaml.records import ImageRow
from leaml.selective import Selection
from leaml.snapshot import SnapshotTables, write_snapshot
from leaml.stage_context import StageContext
from leaml.teacher.book import read_lines
from leaml.training.updates import scored_at_once
from tests.backbones.test_chain import Silent
from tests.conftest import place_question


@pytest.fixture
def scored(pictures, tmp_path, monkeypatch):
    """Have the neurons chosen for a generator; return the selection and, of each pass, its samples and activations."""
    labels = [place_question(name, number) for number, name in enumerate(pictures)]
    rows = [ImageRow(name, path.name, path.name, name, "pool", 64, 64) for name, path in pictures.items()]
    write_snapshot(SnapshotTables(rows, labels, (), (), (), (), ()), tmp_path / "data", workspace=tmp_path)
    made, collate = [], leaml.training.updates.collate

    def collated(backbone, features, samples):
        made.append((len(samples), backbone.decoder.training and backbone.model.is_activation_checkpointing))
        return collate(backbone, features, samples)

    monkeypatch.setattr(leaml.training.updates, "collate", collated)

    def run(config, name):
        (tmp_path / name).mkdir()
        run_config = generator_run(config, until="importance")
        folders = {"output": tmp_path / name, "checkpoints": tmp_path / name, "cache": tmp_path / "cache"}
        choose_neurons(StageContext(run_config, tmp_path / "data", **folders, report=Silent()))
        seen, made[:] = list(made), []
        return Selection.load(tmp_path / name / "selection.safetensors"), seen

    return run


def test_scoring_saves_memory_where_the_project_does_and_chooses_the_same_neurons(scored):
    config = GeneratorConfig(selection=SelectionConfig(0.1))
    plain, seen = scored(config, "plain")
    assert seen == [(6, False)]
    saved, seen = scored(generator_of(Choices(saves_memory=True), config), "saved")
    assert seen == [(1, True)] * 6
    for name, entries in plain.entries.items():
        one, other = entries.mask(), saved.entries[name].mask()
        assert (one & other).sum() > 0.97 * one.sum(), name  # another order of sums rounds otherwise


@pytest.mark.parametrize(("parts", "size"), [(1, 16), (2, 8), (3, 6), (16, 1)])
def test_as_many_samples_are_scored_at_once_as_are_trained(parts, size):
    assert scored_at_once(TrainConfig(steps=9, batch_size=16, accumulation=parts)) == size
    assert scored_at_once(FinetuneConfig("lora").train) == 16


def test_fewer_tokens_at_once_give_the_same_answers_in_smaller_batches(backbone, features, monkeypatch):
    questions = [place_question(f"picture{number}", number) for number in range(6)]
    rows, prefill = [], leaml.models.decoding.prefill

    def prefilled(backbone, prompts, shown):
        rows.append(len(prompts))
        return prefill(backbone, prompts, shown)

    for module in (leaml.models.decoding, leaml.evaluate, leaml.pairs.generate):
        monkeypatch.setattr(module, "prefill", prefilled)
    (longest,) = {max(features.lengths([item.image_id], [item.question])) for item in questions}
    found = {}
    for tokens in (10_000, 2 * (longest + 40)):
        found[tokens] = [option_probabilities(backbone, features, questions, lambda *_: None, tokens=tokens)]
        found[tokens].append(predict(backbone, features, questions, lambda *_: None, tokens=tokens))
    assert rows == [6, 6, 2, 2, 2, 2, 2, 2]
    (one, answers), (other, again) = found.values()
    assert [row.answer for row in answers] == [row.answer for row in again]
    torch.testing.assert_close(torch.tensor(one), torch.tensor(other), atol=1e-4, rtol=0)


def test_texts_are_written_about_fewer_images_at_once_where_these_are_large(backbone, features, tmp_path, monkeypatch):
    config, rows, prefill = SamplingConfig(pairs_per_image=2, max_new_tokens=6), [], leaml.pairs.generate.prefill
    monkeypatch.setattr(
        leaml.pairs.generate,
        "prefill",
        lambda b, prompts, shown: rows.append(len(prompts)) or prefill(b, prompts, shown),
    )
    kept = tmp_path / "kept.jsonl"
    for tokens in (100_000, 400, 1):
        texts = sample_texts(backbone, features, features.ids(), config, lambda *_: None, kept=kept, tokens=tokens)
        assert len(texts) == 12, "what was kept of other batches is not taken for these"
    assert rows == [6, 2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert [len(row["texts"]) for row in read_lines(kept)] == [12, 4, 4, 4, *[2] * 6]
