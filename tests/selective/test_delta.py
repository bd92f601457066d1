"""Deltas come and go bit for bit, and only on their own base model."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from leaml.errors import ModelError
from leaml.selective import Delta, Entries, ResidentModel, SelectedAdamW, linear_weights, weights_hash
from tests.selective.tiny import loss, random_entries, tiny_llama, tokens


def trained_delta(budget, seed, dtype=torch.float32):
    """Train a fresh base model a little; return what changed, and the whole trained state."""
    model = tiny_llama(dtype=dtype)
    resident = ResidentModel(model)
    weights, entries = random_entries(model, budget, seed)
    optimizer = SelectedAdamW(weights, entries, weight_decay=0.1)
    for step in range(2):
        loss(model, tokens(seed + step)).backward()
        optimizer.step(1e-2)
    return resident.capture(entries, seed=seed), {name: value.clone() for name, value in model.state_dict().items()}


def same(state, other):
    return all(value.equal(other[name]) for name, value in state.items())


@given(
    budgets=st.lists(st.floats(0.02, 1.0), min_size=1, max_size=3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    order=st.lists(st.integers(-1, 2), min_size=1, max_size=6),
)
@settings(max_examples=15, deadline=None)
def test_any_order_of_swaps_is_exact_to_the_bit(budgets, dtype, order):
    made = [trained_delta(budget, seed, dtype) for seed, budget in enumerate(budgets)]
    resident = ResidentModel(tiny_llama(dtype=dtype))
    base = tiny_llama(dtype=dtype).state_dict()
    for choice in order:
        if choice < 0:
            resident.restore()
            assert resident.active is None and same(base, resident.model.state_dict())
        else:
            delta, state = made[choice % len(made)]
            resident.apply(delta)
            assert resident.active is delta and same(state, resident.model.state_dict())
    resident.restore()
    assert weights_hash(resident.model) == resident.base_hash


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("budget", [1, 0.3, 1.0])
def test_a_file_keeps_every_bit_and_is_compact(tmp_path, budget, dtype):
    delta, state = trained_delta(budget, 0, dtype)
    path = tmp_path / "delta.safetensors"
    delta.save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    places = sum(0 if (packed := own.pack()) is None else packed.nbytes for own in delta.entries.values())
    assert path.stat().st_size <= delta.count * (4 if dtype == torch.float32 else 2) + places + 6_000
    again = Delta.load(path)
    assert (again.about, again.base_hash, again.base_dtype) == ({"seed": 0}, delta.base_hash, delta.base_dtype)
    resident = ResidentModel(tiny_llama(dtype=dtype))
    resident.apply(again)
    assert same(state, resident.model.state_dict())


def test_another_base_model_is_refused_and_left_as_it_was():
    delta, _ = trained_delta(0.2, 0)
    for other in (tiny_llama(seed=5), tiny_llama(dtype=torch.bfloat16), tiny_llama(tied=False)):
        resident = ResidentModel(other)
        before = weights_hash(other)
        with pytest.raises(ModelError, match=r"belongs to another base model \(weights .* in float32\) than the one"):
            resident.apply(delta)
        assert resident.active is None and weights_hash(other) == before


def test_a_refused_delta_leaves_the_active_one_in_place():
    delta, state = trained_delta(0.2, 0)
    resident = ResidentModel(tiny_llama())
    resident.apply(delta)
    with pytest.raises(ModelError, match="another base model"):
        resident.apply(Delta(delta.entries, delta.values, "0" * 64, "float32"))
    assert resident.active is delta and same(state, resident.model.state_dict())


def test_training_in_place_can_be_undone_and_does_not_mix_with_a_delta():
    delta, _ = trained_delta(0.2, 0)
    model = tiny_llama()
    resident = ResidentModel(model)
    weights, entries = random_entries(model, 0.1)
    resident.train(entries)
    optimizer = SelectedAdamW(weights, entries)
    loss(model, tokens(0)).backward()
    optimizer.step(1e-2)
    learnt = resident.capture(entries)
    assert weights_hash(model) != resident.base_hash
    resident.restore()
    assert weights_hash(model) == resident.base_hash
    resident.apply(learnt)
    with pytest.raises(ModelError, match="active already"):
        resident.train(delta.entries)


def test_whole_tensors_of_any_kind_can_be_in_a_delta(tmp_path):
    model = tiny_llama()
    resident = ResidentModel(model)
    everything = {name: Entries(tuple(p.shape)) for name, p in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    resident.capture(everything).save(tmp_path / "full.safetensors")
    fresh = ResidentModel(tiny_llama())
    fresh.apply(Delta.load(tmp_path / "full.safetensors"))
    assert same(model.state_dict(), fresh.model.state_dict())


def test_a_merged_model_is_an_ordinary_one_with_the_same_logits(tmp_path):
    delta, state = trained_delta(0.3, 0)
    resident = ResidentModel(tiny_llama())
    resident.merge(delta, tmp_path / "merged")
    (tmp_path / "merged" / "merges.txt").write_text("of an earlier model")
    (tmp_path / "merged" / "chat_templates").mkdir()
    (tmp_path / "merged" / "chat_templates" / "rag.jinja").write_text("of an earlier model")
    resident.merge(delta, tmp_path / "merged")
    assert weights_hash(resident.model) == resident.base_hash
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    assert same(state, merged.state_dict()) and not (tmp_path / "merged" / "merges.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["merged"]
    resident.apply(delta)
    with torch.no_grad():
        logits = [model(input_ids=tokens(9)).logits for model in (merged, resident.model)]
    assert logits[0].equal(logits[1])


def test_a_merge_that_fails_leaves_the_earlier_directory_and_the_base_model(tmp_path, monkeypatch):
    delta, _ = trained_delta(0.3, 0)
    resident = ResidentModel(tiny_llama())
    resident.merge(delta, tmp_path / "merged")
    before = sorted(file.name for file in (tmp_path / "merged").iterdir())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resident.model, "save_pretrained", full)
    with pytest.raises(ModelError, match=r"Cannot write .*merged: .*No space left.*Free some disk space"):
        resident.merge(delta, tmp_path / "merged")
    assert sorted(file.name for file in (tmp_path / "merged").iterdir()) == before
    assert [file.name for file in tmp_path.iterdir()] == ["merged"]
    assert weights_hash(resident.model) == resident.base_hash


def test_a_merge_that_cannot_be_put_in_place_leaves_the_earlier_directory(tmp_path, monkeypatch):
    delta, _ = trained_delta(0.3, 0)
    resident = ResidentModel(tiny_llama())
    resident.merge(delta, tmp_path / "merged")
    (tmp_path / "merged" / "merges.txt").write_text("of an earlier model")
    rename = Path.rename

    def refuse(path, target):
        if path.name.endswith(".partial"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ModelError, match=r"Cannot write .*merged: .*Input/output error"):
        resident.merge(delta, tmp_path / "merged")
    assert [file.name for file in tmp_path.iterdir()] == ["merged"]
    assert (tmp_path / "merged" / "merges.txt").exists() and (tmp_path / "merged" / "model.safetensors").exists()


MODEL = '{"model_type": "llama"}'


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"thesis.txt": "years of work"}, "holds files that are not a model"),
        ({"config.json": '{"port": 80}', "model.safetensors": "?"}, "holds files that are not a model"),
        ({"config.json": "port = 80"}, "holds files that are not a model"),
        ({"config.json": '["model_type"]'}, "holds files that are not a model"),
        ({"config.json": MODEL, "thesis.txt": "years of work"}, "holds thesis.txt, which no saved model has"),
        ({"config.json": MODEL, "results/r1.json": "{}"}, "holds results, which no saved model has"),
        ({"config.json": MODEL, "chat_templates/thesis.txt": "!"}, r"holds chat_templates/thesis\.txt, which"),
    ],
)
def test_a_folder_with_other_things_is_never_replaced(tmp_path, files, sentence):
    delta, _ = trained_delta(0.3, 0)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=rf"{sentence}.* Name a new folder"):
        ResidentModel(tiny_llama()).merge(delta, tmp_path)
    assert {name: (tmp_path / name).read_text() for name in files} == files


def test_a_link_to_an_earlier_model_leads_to_the_new_one(tmp_path):
    delta, state = trained_delta(0.3, 0)
    resident = ResidentModel(tiny_llama())
    (tmp_path / "disk" / "merged").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "merged")
    resident.merge(delta, tmp_path / "link")
    assert same(state, AutoModelForCausalLM.from_pretrained(tmp_path / "link", dtype=torch.float32).state_dict())
    assert [file.name for file in (tmp_path / "disk").iterdir()] == ["merged"]


def test_damaged_files_and_full_disks_are_said(tmp_path, monkeypatch):
    delta, _ = trained_delta(0.3, 0)
    path = tmp_path / "delta.safetensors"
    delta.save(path)
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[:40], b""):
        path.write_bytes(broken)
        with pytest.raises(ModelError, match=r"Cannot read .*delta\.safetensors.*Make it again"):
            Delta.load(path)
    name = next(iter(delta.values))
    Delta(delta.entries, delta.values | {name: delta.values[name][:-1]}, delta.base_hash, "float32").save(path)
    with pytest.raises(ModelError, match=f"values of {name} in .* do not fit"):
        Delta.load(path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leaml.selective.files.save_file", full)
    with pytest.raises(ModelError, match=r"Cannot write .*No space left"):
        delta.save(tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


def test_the_hash_knows_every_bit_and_nothing_else():
    model, twin = tiny_llama(), tiny_llama()
    assert weights_hash(model) == weights_hash(twin)
    weight = linear_weights(twin).weights["model.layers.1.mlp.up_proj.weight"]
    with torch.no_grad():
        weight[3, 4] = torch.nextafter(weight[3, 4], torch.tensor(9.0))
    assert weights_hash(model) != weights_hash(twin)
