"""The command line for vLLM."""

import shlex

import pytest

from leaml.cli import main
from leaml.cli.serve import serve_command
from leaml.errors import ConfigError


def test_one_accelerator_needs_no_splitting(capsys):
    assert main(["serve-command", "Qwen/Qwen2.5-VL-7B-Instruct"]) == 0
    told = capsys.readouterr()
    words = shlex.split(told.out)
    assert words[:3] == ["vllm", "serve", "Qwen/Qwen2.5-VL-7B-Instruct"]
    assert words[words.index("--host") + 1] == "127.0.0.1" and "--tensor-parallel-size" not in words
    assert words[words.index("--limit-mm-per-prompt") + 1] == '{"image": 1}'
    assert "--teacher-url http://127.0.0.1:8000/v1 --teacher-model Qwen/Qwen2.5-VL-7B-Instruct" in told.err
    assert "--sampling-url" not in told.err and "CUDA_VISIBLE_DEVICES" not in told.out + told.err


def test_gpus_that_were_asked_for_are_named_and_others_are_left_to_training(capsys):
    assert main(["serve-command", "big", "--gpus", "4"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("CUDA_VISIBLE_DEVICES=0,1,2,3 vllm serve big --host")
    assert "Start the app, or `leaml run`, on another GPU: CUDA_VISIBLE_DEVICES=4" in told.err


def test_several_split_the_decoder_and_share_the_images():
    words = serve_command("big", gpus=4, port=9000, images=8, max_model_len=16384)
    line = " ".join(words)
    assert "--tensor-parallel-size 4 --mm-encoder-tp-mode data" in line
    assert "--port 9000" in line and "--max-model-len 16384" in line and words[-1] == '{"image": 8}'


def test_a_merged_folder_is_served_under_its_name(tmp_path, capsys):
    folder = tmp_path / "my model"
    folder.mkdir()
    assert main(["serve-command", str(folder)]) == 1
    assert "leaml merge RUN" in capsys.readouterr().err
    (folder / "config.json").write_text("{}")
    assert main(["serve-command", str(folder)]) == 0
    told = capsys.readouterr()
    words = shlex.split(told.out)
    assert words[2] == str(folder) and words[words.index("--served-model-name") + 1] == "my model"
    assert "--teacher-model 'my model'" in told.err
    assert "run sample --from RUN --sampling-url http://127.0.0.1:8000/v1 --sampling-model 'my model'" in told.err


@pytest.mark.parametrize("values", [{"gpus": 0}, {"port": 0}, {"port": 70000}, {"images": 0}, {"max_model_len": 0}])
def test_values_that_mean_nothing_are_refused(values):
    given = {"gpus": 1, "port": 8000, "images": 1, "max_model_len": 4096} | values
    with pytest.raises(ConfigError, match="but must be"):
        serve_command("m", **given)
