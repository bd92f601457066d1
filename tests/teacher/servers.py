"""OpenAI-compatible servers to ask: `transformers serve` with a real model, and a small one of our own.

What a real server cannot be made to do when wanted (be busy, repeat the key, answer garbage), the small one does.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from leaml import apart
from leaml.models.backbone import BUNDLED_PATH
from leaml.teacher.ask import Teacher
from leaml.teacher.config import TeacherConfig

KEY = "sk-secret-0123456789"
ROOT = Path(__file__).parents[2]
START_S = 600
"""Patience: an idle machine starts a server in five seconds."""


class RealServer:
    """`transformers serve` with a model, as a process of its own on a port that stays the same."""

    def __init__(self, folder, model=BUNDLED_PATH):
        self._folder, self._model, self._starts = folder, model, 0
        self._process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        if self._process is not None and self._process.poll() is None:
            return
        self._starts += 1
        place = ("--device", "cpu", "--host", "127.0.0.1", "--port", str(self.port))
        command = (*apart.RUN, "tests.teacher.serve", str(self._pid), "serve", str(self._model), *place)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        deadline = time.monotonic() + START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(self.log.read_text()[-2000:])
            time.sleep(0.2)

    @property
    def log(self):
        return self._folder / f"serve{self._starts}.log"

    @property
    def asked(self):
        """How many captions were asked for since the last start."""
        return self.log.read_text().count("POST /v1/chat/completions")

    @property
    def _pid(self):
        return self._folder / f"serve{self._starts}.pid"

    def kill(self):
        """Kill the server itself, which the warm process may have started: what was started here then ends, too."""
        if self._pid.exists():
            with suppress(ProcessLookupError):
                os.kill(int(self._pid.read_text()), signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def _healthy(self):
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def small_server(answer, get=lambda path: (501, {}, ""), certificate=None):
    """Serve `answer(number of the question, request) -> (status, headers, content)`; yield the URL and the requests.

    What is not a question but a GET or a HEAD is answered with `get(path)`, and not noted. With the file of a
    certificate and its key it speaks https.
    """
    requests = []
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with counting:
                requests.append((self.path, dict(self.headers), body))
                number = len(requests) - 1
            self._send(*answer(number, body))

        def do_GET(self):
            self._send(*get(self.path))

        do_HEAD = do_GET

        def _send(self, status, headers, content):
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(folder, name="IP:127.0.0.1"):
    """Return the file of a new certificate that is its own CA, with its key, for a name as OpenSSL writes it."""
    file = folder / "self_signed.pem"
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", file]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    with file.open("a") as both:
        both.write((folder / "key.pem").read_text())
    return file


def completion(text):
    return 200, {}, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def failing(words, status=500):
    return status, {}, {"error": {"message": words, "code": status}}


def server_config(url, **settings):
    return TeacherConfig("server", "small", url, **{"retries": 0, "concurrency": 1, **settings})


def ask(config, pictures, tmp_path, *, known=(), cancelled=lambda: False, tell=lambda done, total: None):
    output = tmp_path / "output"
    output.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(config, known=known, cache=tmp_path / "cache", output=output)
    return teacher.captions(pictures, tell=tell, cancelled=cancelled)
