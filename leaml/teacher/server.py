"""Captions from any OpenAI-compatible server: vLLM, transformers serve, a company's.

httpx and not the `openai` package: one request in one shape is all that is asked for, httpx comes with Gradio, and the
retries, the waiting and what an error may say have to be our own anyway.
"""

import os
import queue
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx

from leaml.errors import ConfigError, ImportDataError
from leaml.records import ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.described import Described, Keep
from leaml.teacher.key import read_key, without_key
from leaml.teacher.pictures import data_urls
from leaml.teacher.retry import NoCaption, is_silence, wished_pause, with_retries

CONNECT_TIMEOUT_S = 10.0
POLL_S = 0.2
LONGEST_QUOTE = 500
"""Characters of a server's own words that are kept."""


T = TypeVar("T")


class NotTrusted(NoCaption):
    """A server's certificate does not hold. The message says what to do about it."""


def describe_by_server(
    config: TeacherConfig, images: Mapping[ImageId, Path], *, keep: Keep, cancelled: Callable[[], bool]
) -> Generator[Described, None, None]:
    """Yield what came of each image, in the order of the answers.

    Answers that arrive after the caller has stopped listening are kept too. Ends early when `cancelled`.

    Raises:
        ConfigError: If the key is not where the settings say, or SSL_CERT_FILE cannot be read.
    """

    def ask(server: "Server", image_id: ImageId, path: Path) -> Described:
        try:
            found = Described(image_id, server.caption(path))
            keep(found)
            return found
        except Exception as failure:  # one image must not end the others; above the set share the run stops
            return Described(image_id, error=server.words_of(failure), silent=is_silence(failure))

    return ask_about_each(config, images, ask, cancelled=cancelled)


def ask_about_each(
    config: TeacherConfig,
    images: Mapping[ImageId, Path],
    ask: Callable[["Server", ImageId, Path], T],
    *,
    cancelled: Callable[[], bool],
) -> Generator[T, None, None]:
    """Yield what `ask` returns for each image, in the order of the answers. Ends early when `cancelled`.

    Args:
        config: Of the server; `concurrency` questions are under way at once.
        images: Their files.
        ask: Asks about one image; it never raises.
        cancelled: Looked at while nothing arrives.

    Raises:
        ConfigError: If the key is not where the settings say, or SSL_CERT_FILE cannot be read.
    """
    stop = threading.Event()
    answers: queue.SimpleQueue[T] = queue.SimpleQueue()
    with Server(config, stop) as server, ThreadPoolExecutor(config.concurrency) as pool:

        def answer(image_id: ImageId, path: Path) -> None:
            answers.put(ask(server, image_id, path))

        try:
            for image_id, path in images.items():
                pool.submit(answer, image_id, path)
            left = len(images)
            while left:
                try:
                    found = answers.get(timeout=POLL_S)
                except queue.Empty:
                    if cancelled():
                        return
                    continue
                left -= 1
                yield found
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


class Server:
    """An OpenAI-compatible server that writes about images. Safe to share by threads."""

    def __init__(self, config: TeacherConfig, stop: threading.Event) -> None:
        """Get ready to ask; nothing is sent yet. `stop` ends all waiting.

        Raises:
            ConfigError: If the key is not where the settings say, or SSL_CERT_FILE cannot be read.
        """
        self._config, self._stop = config, stop
        self._key = read_key(config)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(config.timeout_s, connect=min(CONNECT_TIMEOUT_S, config.timeout_s)),
            limits=httpx.Limits(max_connections=config.concurrency),
            follow_redirects=False,  # images go to the host that the person was told, and nowhere else
            trust_env=not config.local_host,  # nor through a proxy to reach this very computer
            verify=_trusted(),
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def caption(self, path: Path) -> str:
        """Return the caption of one picture; asks again where that may help.

        Raises:
            NoCaption: With the server's own words.
            ImportDataError: If the picture cannot be read.
        """
        (text, *_) = self.completions(path, self._config.prompt, temperature=0)
        if not text:
            raise NoCaption(f"{self._config.host} answered with an empty caption")
        return text

    def completions(self, path: Path, prompt: str, **settings: object) -> list[str]:
        """Return what the model writes about one picture; asks again where that may help.

        Args:
            path: The picture's file.
            prompt: What is asked about it.
            **settings: Others of the request, such as `n`, how many texts there are: one unless given.

        Raises:
            NoCaption: With the server's own words.
            ImportDataError: If the picture cannot be read.
        """
        body = self._body(path, prompt) | settings
        return with_retries(lambda: self._ask(body), retries=self._config.retries, wait=self._stop.wait)

    def models(self) -> list[str]:
        """Return the names of the models that the server lists; none where it lists nothing."""
        return [str(row["id"]) for row in self._listed() if "id" in row]

    def software(self) -> str:
        """Return what the server is, such as `vLLM 0.32.0`; empty where it does not say."""
        if not any(row.get("owned_by") == "vllm" for row in self._listed()):
            return ""
        found = self._get(self._base.removesuffix("/v1") + "/version")
        version = found.get("version", "") if isinstance(found, dict) else ""
        return f"vLLM {version}".strip()

    def words_of(self, failure: Exception) -> str:
        """Return what went wrong with one image, without the server's key."""
        known = isinstance(failure, NoCaption | ImportDataError)
        return str(failure) if known else self.without_key(f"{type(failure).__name__}: {failure}")

    def without_key(self, text: str) -> str:
        """Return a text without the server's key."""
        return without_key(text, self._key)

    @property
    def _base(self) -> str:
        return self._config.url.rstrip("/")

    def _listed(self) -> list[dict[str, Any]]:
        found = self._get(self._base + "/models")
        rows = found.get("data") if isinstance(found, dict) else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _get(self, url: str) -> Any:
        """Return the JSON at an address; None where there is none, or no answer soon."""
        try:
            return self._client.get(url, timeout=min(CONNECT_TIMEOUT_S, self._config.timeout_s)).json()
        except (httpx.RequestError, ValueError):
            return None

    def _body(self, path: Path, prompt: str) -> dict[str, Any]:
        config = self._config
        urls = data_urls(path, longest_side_px=config.longest_side_px, image_format=config.image_format)
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        content = [*shown, {"type": "text", "text": prompt}]
        messages = [{"role": "user", "content": content}]
        return {"model": config.model, "messages": messages, "max_tokens": config.max_tokens}

    def _ask(self, body: dict[str, Any]) -> list[str]:
        try:
            response = self._client.post(self._base + "/chat/completions", json=body)
        except httpx.ReadTimeout:
            raise NoCaption(
                f"{self._config.host} gave no answer within {self._config.timeout_s:g} s", again=True
            ) from None
        except httpx.TransportError as error:
            if fault := _certificate_fault(error):
                raise NotTrusted(
                    f"{self._config.host} has a certificate that is not trusted here: {fault}. If a CA of your own "
                    "signed it, start with SSL_CERT_FILE=/path/ca.pem in the environment: see docs/deployment.md"
                ) from None
            message = f"{self._config.host} cannot be reached: {error or type(error).__name__}"
            raise NoCaption(self.without_key(message), again=True) from None
        except httpx.DecodingError as error:  # no TransportError: something arrived
            message = f"{self._config.host} answered something that cannot be unpacked: {error}"
            raise NoCaption(self.without_key(message), again=True) from None
        if response.status_code != httpx.codes.OK:
            raise NoCaption(
                f"{self._config.host} answered {response.status_code}: {self._quote(_words(response))}",
                again=response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error,
                wish_s=wished_pause(response.headers.get("Retry-After")),
                status=response.status_code,
            )
        try:
            texts = [choice["message"]["content"].strip() for choice in response.json()["choices"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            texts = []
        if not texts:
            quote = self._quote(response.text)
            raise NoCaption(f"{self._config.host} answered something that is no chat completion: {quote}")
        return [self.without_key(text) for text in texts]

    def _quote(self, words: str) -> str:
        """Return a server's words as one short line without the key."""
        return self.without_key(" ".join(words.split()))[:LONGEST_QUOTE] or "(nothing)"


def _trusted() -> ssl.SSLContext:
    """Return whom https trusts, on any host: the system's store, and SSL_CERT_FILE or else the public CAs.

    Raises:
        ConfigError: If SSL_CERT_FILE cannot be read.
    """
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        file = os.environ.get("SSL_CERT_FILE")
        raise ConfigError(f"Cannot read SSL_CERT_FILE={file}: {reason}. Name a file of certificates (PEM).") from None
    context.load_default_certs()
    return context


def _certificate_fault(error: BaseException | None) -> str:
    """Return what is wrong with a server's certificate; empty where that did not end the connection."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error.verify_message.rstrip(".") if error else ""


def _words(response: httpx.Response) -> str:
    """Return what a server says about an error: OpenAI, vLLM and FastAPI each have a place for it."""
    try:
        found = response.json()
    except ValueError:
        return response.text
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return found if isinstance(found, str) else response.text
