"""`python -m leaml serve-command`: the line that serves a teacher or a merged model with vLLM on this computer."""

import argparse
import json
import shlex
import sys
from pathlib import Path

from leaml.errors import ConfigError
from leaml.json_config import require

HOST = "127.0.0.1"
"""A server without a key listens on this computer alone; for another one, use a tunnel."""
GPUS_IN_SIGHT = "CUDA_VISIBLE_DEVICES"


def add_serve_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser("serve-command", help="print the line that serves a model with vLLM on this computer")
    command.add_argument("model", help="a hub name, such as a teacher's, or a folder that `leaml merge` wrote")
    command.add_argument("--gpus", type=int, help="that share the model; the line names them [1, of those in sight]")
    command.add_argument("--port", type=int, default=8000, help="[8000]")
    command.add_argument("--images", type=int, default=1, help="of one question at most [1]")
    command.add_argument("--max-model-len", type=int, default=4096, help="tokens of image, question and answer [4096]")
    command.set_defaults(command=_print_command)


def serve_command(model: str, *, gpus: int, port: int, images: int, max_model_len: int) -> list[str]:
    """Return the words of vLLM's command line.

    With several accelerators the decoder is split over them, while each encodes whole images of its own: an image
    encoder is too small to be worth splitting. A model's own sampling settings are set aside: some say that the most
    probable token alone is to be drawn, whatever a request leaves open.

    Raises:
        ConfigError: If a value means nothing, or a folder holds no model.
    """
    require(gpus >= 1, "gpus", gpus, "at least 1")
    require(0 < port < 65536, "port", port, "1 to 65535")
    require(images >= 1, "images", images, "at least 1")
    require(max_model_len >= 1, "max-model-len", max_model_len, "at least 1")
    folder = Path(model)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise ConfigError(f"{model} is a folder without a model. Make one with `leaml merge RUN {model}`.")
    words = ["vllm", "serve", model, "--host", HOST, "--port", str(port)]
    if folder.is_dir():
        words += ["--served-model-name", folder.resolve().name]
    if gpus > 1:
        words += ["--tensor-parallel-size", str(gpus), "--mm-encoder-tp-mode", "data"]
    words += ["--max-model-len", str(max_model_len), "--generation-config", "vllm"]
    return [*words, "--limit-mm-per-prompt", json.dumps({"image": images})]


def _print_command(arguments: argparse.Namespace) -> None:
    gpus = arguments.gpus
    words = serve_command(
        arguments.model,
        gpus=1 if gpus is None else gpus,
        port=arguments.port,
        images=arguments.images,
        max_model_len=arguments.max_model_len,
    )
    name = words[words.index("--served-model-name") + 1] if "--served-model-name" in words else arguments.model
    line = shlex.join(words)
    if gpus is None:
        print(line)
    else:
        print(f"{GPUS_IN_SIGHT}={','.join(map(str, range(gpus)))} {line}")
        others = f"{GPUS_IN_SIGHT}={gpus} where there is one more"
        print(f"Start the app, or `leaml run`, on another GPU: {others}.", file=sys.stderr)
    url = f"http://{HOST}:{arguments.port}/v1"
    asked = shlex.join(["--teacher-url", url, "--teacher-model", name])
    print(f"As a teacher it is asked with `leaml run generator {asked}`.", file=sys.stderr)
    if Path(arguments.model).is_dir():
        asked = shlex.join(["--sampling-url", url, "--sampling-model", name])
        print(f"As RUN's generator it writes pairs with `leaml run sample --from RUN {asked}`.", file=sys.stderr)
