"""Models that cannot be loaded are refused in a sentence."""

import json
import shutil

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor

from leaml.errors import ModelError
from leaml.estimate import facts_here
from leaml.models.backbone import load, load_adapted, merge
from leaml.models.loading import REMOTE_CODE
from leaml.models.processors import load_processor

OWN_CODE = {"model_type": "somebodys", "auto_map": {"AutoConfig": "code.Config"}}


@pytest.fixture
def copy(checkpoints, tmp_path):
    """A copy of the tiny LLaVA that a test may break."""
    return shutil.copytree(checkpoints["llava"], tmp_path / "copy")


def refused(path, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        load(str(path), device="cpu")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_name_that_is_nowhere():
    refused("nobody/nothing", r"Cannot load the model 'nobody/nothing': .*Check the name or path\.")


def test_an_empty_folder(tmp_path):
    refused(tmp_path, r"Cannot load the model .*Check the name or path\.")


def test_a_configuration_that_is_no_json(copy):
    (copy / "config.json").write_text("{")
    refused(copy, r"Cannot load the model .*Check the name or path\.")


def test_missing_weights(copy):
    (copy / "model.safetensors").unlink()
    refused(copy, r"model\.safetensors.*Complete its weights \(\*\.safetensors\), or fetch it again\.")


def test_damaged_weights(copy):
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(copy, r"Cannot load the model .*fetch it again\.")


def test_weights_with_a_part_left_out_are_not_made_up(copy):
    weights = load_file(copy / "model.safetensors")
    left_out = next(name for name in sorted(weights) if "down_proj" in name)
    save_file({n: w for n, w in weights.items() if n != left_out}, copy / "model.safetensors", {"format": "pt"})
    refused(copy, r"is not complete: .*down_proj\.weight is missing\. Fetch it again\.")


def test_weights_of_another_shape(copy):
    settings = json.loads((copy / "config.json").read_text())
    settings["text_config"]["intermediate_size"] = 56
    (copy / "config.json").write_text(json.dumps(settings))
    refused(copy, r"Cannot load the model .*fetch it again\.")


def test_a_model_that_only_reads_text(tmp_path):
    config = hf.LlamaConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9
    )
    hf.LlamaForCausalLM(config).save_pretrained(tmp_path)
    refused(
        tmp_path, r"of the kind 'llama', which does not answer questions about images\. Choose an image-text-to-text"
    )


def test_a_missing_tokenizer(copy):
    for path in copy.glob("tokenizer*"):
        path.unlink()
    refused(copy, r"Cannot load the model .*tokenizer.* must lie beside its weights\.")


def test_a_model_without_a_chat_template(copy):
    (copy / "chat_template.jinja").unlink()
    refused(copy, r"no chat template\. Choose one that was tuned to follow instructions\.")


def test_a_chat_template_without_images(copy):
    (copy / "chat_template.jinja").write_text("{% for turn in messages %}{{ turn['role'] }}{% endfor %}")
    backbone = load(str(copy), device="cpu")
    with pytest.raises(ModelError, match=r"has 0 image places for 1 images\. Choose a model with an image-and-text"):
        backbone.chat.prompt_ids("What?", ("<image>",))


class Mixed(torch.nn.Module):
    """A model that holds its embedding beside a layer of another kind, without a decoder of its own."""

    def __init__(self, beside):
        super().__init__()
        self.words, self.beside = torch.nn.Embedding(3, 2), beside

    def get_input_embeddings(self):
        return self.words


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        (torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.Linear(2, 2)), "both reads words and sees pictures"),
        (torch.nn.Sequential(torch.nn.Conv3d(3, 2, 1), torch.nn.Linear(2, 2)), "both reads words and sees pictures"),
        (torch.nn.LayerNorm(2), "has no linear layer that could be trained"),
    ],
)
def test_a_model_whose_decoder_is_not_a_part_of_its_own(beside, sentence, checkpoints):
    backbone = load(str(checkpoints["llava"]), device="cpu")
    backbone.model = Mixed(beside)
    with pytest.raises(ModelError, match=rf"In Mixed .*{sentence}\. Choose another model"):
        _ = backbone.decoder


def test_code_that_comes_with_a_model_runs_only_if_the_user_names_it(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps(OWN_CODE))
    (tmp_path / "code.py").write_text("raise ValueError('its code ran')")
    for named in ("", "somebody/else"):
        monkeypatch.setenv(REMOTE_CODE, named)
        refused(tmp_path, rf"does not run unless you say so\. If you trust its authors, .*{REMOTE_CODE}={tmp_path}")
    monkeypatch.setenv(REMOTE_CODE, f"somebody/else,{tmp_path}")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    refused(tmp_path, "its code ran")
    with pytest.raises(ModelError, match="its code ran"):
        facts_here(str(tmp_path))


def test_a_processor_without_a_version_for_pillow_names_its_package(copy):
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    settings["image_processor_type"] = "Llama4ImageProcessor"
    (copy / "preprocessor_config.json").write_text(json.dumps(settings))
    if hf.utils.is_torchvision_available():
        pytest.skip("torchvision is here")
    refused(copy, r"needs the package torchvision, which is not installed\. Install it, or choose")


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "smolvlm", "llava_onevision", "internvl"])
def test_the_video_half_of_a_processor_is_not_loaded(family, checkpoints):
    path = str(checkpoints[family])
    processor = load_processor(path, hf.AutoConfig.from_pretrained(path))
    assert not hasattr(processor, "video_processor")
    assert type(processor.image_processor) is type(AutoImageProcessor.from_pretrained(path))


def test_smolvlms_images_are_written_like_idefics3s():
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    names = {"fake_token_around_image": "<fake_token_around_image>", "image_token": "<image>"}
    tokens = hf.PreTrainedTokenizerFast(tokenizer_object=hf.GPT2Tokenizer().backend_tokenizer, pad_token="<pad>")
    pictures = hf.Idefics3ImageProcessor()
    still = hf.Idefics3Processor(pictures, tokens, image_seq_len=3)
    for rows, columns in ((0, 0), (2, 3)):
        wanted = get_image_prompt_string(rows, columns, 3, global_image_token="<global-img>", **names)
        assert still.replace_image_token({"rows": [[rows]], "cols": [[columns]]}, 0) == wanted


def test_a_merged_folder_keeps_the_video_part_that_was_not_loaded(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints["qwen2_vl"], tmp_path / "base")
    (folder / "video_preprocessor_config.json").write_text('{"video_processor_type": "Qwen2VLVideoProcessor"}')
    backbone = load(str(folder), device="cpu")
    backbone.resident.capture({}, model=str(folder)).save(tmp_path / "delta.safetensors")
    merge(tmp_path / "delta.safetensors", tmp_path / "merged")
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in (tmp_path / "merged").iterdir()} == names
    for name in names - {"config.json", "generation_config.json", "model.safetensors"}:
        assert (tmp_path / "merged" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_delta_is_worn_in_the_dtype_that_it_was_trained_in(checkpoints, tmp_path):
    path = str(checkpoints["llava"])
    backbone = load(path, device="cpu", dtype=torch.bfloat16)
    backbone.resident.capture({}, model=path).save(tmp_path / "delta.safetensors")
    assert load_adapted(tmp_path / "delta.safetensors", device="cpu").model.dtype == torch.bfloat16
