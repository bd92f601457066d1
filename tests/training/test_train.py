"""The loop on the bundled model: resume, cancel, broken losses, and what moves."""

import math
from dataclasses import replace

import pytest
import torch

from leaml.config import BUNDLED_MODEL, TrainConfig
from leaml.errors import ModelError, TrainingError
from leaml.models.backbone import load, load_adapted
from leaml.report import Cancelled
from leaml.selective import Entries, SelectedAdamW, linear_weights, score_weights, select
from leaml.training.checkpoint import load_checkpoint, save_checkpoint
from leaml.training.objectives import (
    IGNORED,
    answer_sample,
    collate,
    cycle_indices,
    generation_sample,
    sequence_losses,
    split,
)
from leaml.training.train import DenseAdamW, learning_rate, shares_of, train
from leaml.training.updates import selective_update
from tests.conftest import place_question

CONFIG = TrainConfig(steps=6, batch_size=3, learning_rate=1e-3, warmup_steps=1, checkpoint_every=2)


class Listener:
    """Records the steps, and asks to stop after one of them."""

    def __init__(self, stop_after=math.inf):
        self.steps, self.losses, self.stop_after = [], [], stop_after

    def progress(self, stage, step, total, **figures):
        self.steps.append(step)
        self.losses.append(figures.get("loss"))

    def cancelled(self):
        return self.steps[-1] >= self.stop_after


def labels():
    return [place_question(f"picture{n}", n) for n in range(6)]


def selected(backbone, features, budget=0.1):
    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    batch = [generation_sample(label) for label in labels()]
    scores = score_weights(
        weights, lambda: [(batch, 6)], lambda b: sequence_losses(backbone, collate(backbone, features, b))[0].mean()
    )
    return weights, select(scores, budget).entries


def run(backbone, features, optimizer, folder, listener, config=CONFIG):
    samples = [generation_sample(label) for label in labels()]

    def losses(share, shares):
        for part in split(share, config.accumulation):
            loss = sequence_losses(backbone, collate(backbone, features, part))[0].sum() / config.batch_size
            yield loss, {"loss": loss.item() * config.accumulation * shares}

    def losses_of_step(step):
        chosen = [samples[i] for i in cycle_indices(6, config.batch_size, seed=config.seed, step=step)]
        shares = shares_of(config, torch.device("cpu"))
        return [losses(share, shares) for share in split(chosen, shares)]

    return train(
        "test", optimizer, losses_of_step, config, checkpoints=folder, report=listener, device=torch.device("cpu")
    )


@pytest.mark.parametrize("kind", ["selected", "dense"])
def test_cancelled_and_resumed_ends_like_an_uninterrupted_run(kind, features, backbone, tmp_path):
    def optimizer_for(model):
        if kind == "dense":
            return DenseAdamW(model.decoder_weights())
        return SelectedAdamW(*selected(model, features))

    whole = Listener()
    run(backbone, features, optimizer_for(backbone), tmp_path / "whole", whole)
    halves = load(BUNDLED_MODEL, device="cpu")
    first, second = Listener(stop_after=3), Listener()
    with pytest.raises(Cancelled):
        run(halves, features, optimizer_for(halves), tmp_path / "halves", first)
    resumed = load(BUNDLED_MODEL, device="cpu")
    run(resumed, features, optimizer_for(resumed), tmp_path / "halves", second)
    assert second.steps == [4, 5, 6]
    assert first.losses + second.losses == whole.losses
    state, expected = resumed.model.state_dict(), backbone.model.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_only_selected_entries_of_decoder_linears_move(backbone, features, tmp_path):
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    weights, entries = selected(backbone, features)
    run(backbone, features, SelectedAdamW(weights, entries, weight_decay=0.1), tmp_path, Listener())
    moved = 0
    for name, value in backbone.model.state_dict().items():
        frozen = ~entries[name].mask() if name in entries else torch.ones_like(value, dtype=torch.bool)
        assert torch.equal(value[frozen], before[name][frozen]), name
        moved += int((value != before[name]).sum())
    assert moved > 0.9 * sum(own.count for own in entries.values())


@pytest.mark.parametrize("change", [{"accumulation": 3}, {"checkpoint_activations": True}, {"compile_blocks": True}])
def test_other_ways_to_compute_give_the_same_training(backbone, features, tmp_path, change, monkeypatch):
    monkeypatch.setattr(
        "leaml.models.precision.multiplies_bfloat16", lambda _: False
    )  # its rounding would hide a difference
    plain, thrifty = Listener(), Listener()
    run(backbone, features, SelectedAdamW(*selected(backbone, features)), tmp_path / "plain", plain)
    other = load(BUNDLED_MODEL, device="cpu")
    config = replace(CONFIG, **change)
    if config.checkpoint_activations:
        other.checkpoint_activations()
    if config.compile_blocks:
        other.compile_blocks()
    run(other, features, SelectedAdamW(*selected(other, features)), tmp_path / "thrifty", thrifty, config)
    assert thrifty.losses == pytest.approx(plain.losses, rel=1e-4)


def test_shares_that_are_computed_at_once_add_up_to_the_batch(features, tmp_path, monkeypatch):
    monkeypatch.setattr("leaml.models.precision.multiplies_bfloat16", lambda _: False)
    cores, losses = torch.get_num_threads(), {}
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert shares_of(CONFIG, torch.device("cpu")) == count
            losses[count] = Listener()
            model = load(BUNDLED_MODEL, device="cpu")
            run(model, features, SelectedAdamW(*selected(model, features)), tmp_path / str(count), losses[count])
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(cores)
    assert losses[2].losses == pytest.approx(losses[1].losses, rel=1e-4)


def test_a_batch_is_computed_in_one_share_where_memory_is_short_or_blocks_are_compiled():
    thrifty = ({"accumulation": 3}, {"checkpoint_activations": True}, {"compile_blocks": True}, {"batch_size": 1})
    for change in thrifty:
        assert shares_of(replace(CONFIG, **change), torch.device("cpu")) == 1
    assert shares_of(CONFIG, torch.device("cuda")) == 1


def test_neurons_that_were_selected_on_other_weights_are_refused(backbone, features):
    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    chosen = select([{name: torch.ones(weight.shape) for name, weight in weights.items()}], 1, base_hash="0" * 64)
    with pytest.raises(TrainingError, match=r"selected on other weights.*Start a new run"):
        selective_update(backbone, chosen, weight_decay=0.0)


def test_a_delta_that_names_no_model_is_refused(backbone, tmp_path):
    backbone.resident.capture({}).save(tmp_path / "delta.safetensors")
    with pytest.raises(ModelError, match="does not name its pretrained model"):
        load_adapted(tmp_path / "delta.safetensors")


def test_training_lowers_the_loss(backbone, features, tmp_path):
    listener = Listener()
    config = replace(CONFIG, steps=12, batch_size=6)
    run(backbone, features, DenseAdamW(backbone.decoder_weights()), tmp_path, listener, config)
    assert listener.losses[-1] < 0.7 * listener.losses[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", ["selected", "dense"])
def test_a_gradient_that_is_not_finite_stops_and_keeps_the_last_checkpoint(kind, bad, tmp_path):
    weight = torch.nn.Parameter(torch.ones(3, 4))
    if kind == "dense":
        optimizer = DenseAdamW({"head.weight": weight})
    else:
        optimizer = SelectedAdamW({"head.weight": weight}, {"head.weight": Entries((3, 4))})

    def losses_of_step(step):
        return [iter([((weight * (bad if step == 3 else 1.0)).sum(), {})])]

    with pytest.raises(TrainingError, match=r"step 4: loss (nan|inf).*in head\.weight.*step 2 is kept.*Lower the"):
        train(
            "test", optimizer, losses_of_step, CONFIG, checkpoints=tmp_path, report=Listener(),
            device=torch.device("cpu"),
        )  # fmt: skip
    step, state = load_checkpoint(tmp_path / "test")
    kept = state["optimizer"]["weights"][0] if kind == "dense" else state["optimizer"]["master"]
    assert step == 2 and torch.isfinite(kept).all()
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_only_the_weights_that_broke_are_named(bad, tmp_path):
    weights = {name: torch.nn.Parameter(torch.ones(2, 2)) for name in ("first", "second", "third")}
    optimizer = DenseAdamW(weights)

    def losses_of_step(step):
        return [iter([(weights["first"].sum() + weights["third"].sum() + (weights["second"] * bad).sum(), {})])]

    with pytest.raises(TrainingError, match=r"gradient norm (nan|inf) in second\. Lower"):
        train(
            "test", optimizer, losses_of_step, CONFIG, checkpoints=tmp_path, report=Listener(),
            device=torch.device("cpu"),
        )  # fmt: skip


def test_the_gradient_is_scaled_to_the_norm():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = DenseAdamW({"head.weight": weight, "unused": torch.nn.Parameter(torch.zeros(2))})
    (weight * torch.tensor([3.0, 4.0])).sum().backward()
    assert optimizer.clip(1.0) == pytest.approx(5.0)
    assert weight.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)
    assert optimizer.clip(2.0) == pytest.approx(1.0) and weight.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)


DAMAGE = {"cut": lambda content: content[: len(content) // 2], "empty": lambda _: b"", "zeros": lambda c: bytes(len(c))}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_left_for_the_one_before(damage, tmp_path, capsys):
    for step in (2, 4):
        save_checkpoint(tmp_path, step, {"figures": {"loss": float(step)}})
    newest = tmp_path / "step_000004/state.pt"
    newest.write_bytes(DAMAGE[damage](newest.read_bytes()))
    assert load_checkpoint(tmp_path) == (2, {"figures": {"loss": 2.0}})
    said = capsys.readouterr().err
    assert "Cannot read that of step 4 (" in said and said.endswith("Going on from step 2.\n")
    save_checkpoint(tmp_path, 3, {"figures": {"loss": 3.0}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_000002", "step_000003"]
    for path in tmp_path.glob("*/state.pt"):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(TrainingError, match=r"that of step 3 \(.+\), that of step 2 \(.+\)\. Start a new run") as told:
        load_checkpoint(tmp_path)
    assert ": ." not in str(told.value) and "()" not in str(told.value) and ".." not in str(told.value)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        "leaml.training.checkpoint.sync", lambda path: synced.append((path, (tmp_path / "step_000002").exists()))
    )
    save_checkpoint(tmp_path, 2, {})
    aside = tmp_path / ".step_000002.partial"
    assert synced == [(aside / "state.pt", False), (aside, False), (tmp_path, True)]


def test_a_full_disk_is_said_and_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 2, {"figures": {"loss": 1.0}})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"checkpoint of step 4: .*No space left.*then resume"):
        save_checkpoint(tmp_path, 4, {})
    monkeypatch.undo()
    assert load_checkpoint(tmp_path) == (2, {"figures": {"loss": 1.0}})
    assert [path.name for path in tmp_path.iterdir()] == ["step_000002"]


def test_labels_cover_the_target_and_its_end_only(backbone, features):
    sample = answer_sample(place_question("picture1", 1))
    batch = collate(backbone, features, [sample, generation_sample(place_question("picture2", 2))])
    learned = batch.labels[0][batch.labels[0] != IGNORED].tolist()
    assert learned == list(backbone.chat.target_ids("center")) and learned[-1] == backbone.chat.end_id


def test_padding_does_not_change_a_loss(backbone, features):
    short, long = answer_sample(place_question("picture1", 1)), generation_sample(place_question("picture2", 2))
    with torch.no_grad():
        alone = sequence_losses(backbone, collate(backbone, features, [short]))[0]
        beside = sequence_losses(backbone, collate(backbone, features, [short, long]))[0][:1]
    torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-4)


def test_each_pass_reads_every_sample_once_in_a_new_order():
    read = [i for step in range(14) for i in cycle_indices(7, 3, seed=5, step=step)]
    passes = [read[start : start + 7] for start in range(0, 42, 7)]
    assert all(sorted(order) == list(range(7)) for order in passes)
    assert len({tuple(order) for order in passes}) > 3


def test_the_learning_rate_warms_up_and_falls_to_nearly_nothing():
    config = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] < 0.01
