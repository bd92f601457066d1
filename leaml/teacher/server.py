"""Captions from any OpenAI-compatible server: vLLM, transformers serve, a company's.

httpx and not the `openai` package: one request in one shape is all that is asked for, httpx comes with Gradio, and the
retries, the waiting and what an error may say have to be our own anyway.
"""

import queue
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from leaml.config import TeacherConfig
from leaml.errors import ImportDataError
from leaml.records import ImageId
from leaml.teacher.described import Described, Keep
from leaml.teacher.key import read_key, without_key
from leaml.teacher.pictures import data_url
from leaml.teacher.retry import NoCaption, wished_pause, with_retries

CONNECT_TIMEOUT_S = 10.0
POLL_S = 0.2
LONGEST_QUOTE = 500
"""Characters of a server's own words that are kept."""


def describe_by_server(
    config: TeacherConfig, images: Mapping[ImageId, Path], *, keep: Keep, cancelled: Callable[[], bool]
) -> Generator[Described, None, None]:
    """Yield what came of each image, in the order of the answers; `concurrency` questions are under way at once.

    Answers that arrive after the caller has stopped listening are kept too. Ends early when `cancelled`.

    Raises:
        ConfigError: If the key is not where the settings say.
    """
    stop = threading.Event()
    answers: queue.SimpleQueue[Described] = queue.SimpleQueue()
    with Server(config, stop) as server, ThreadPoolExecutor(config.concurrency) as pool:

        def ask(image_id: ImageId, path: Path) -> None:
            answers.put(_described(server, image_id, path, keep))

        try:
            for image_id, path in images.items():
                pool.submit(ask, image_id, path)
            for _ in images:
                while (found := _next(answers)) is None:
                    if cancelled():
                        return
                yield found
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _described(server: "Server", image_id: ImageId, path: Path, keep: Keep) -> Described:
    try:
        found = Described(image_id, server.caption(path))
        keep(found)
        return found
    except (NoCaption, ImportDataError) as failure:
        return Described(image_id, error=str(failure))
    except (
        Exception
    ) as failure:  # one image must not end the others; above the set share the run stops with these words
        return Described(image_id, error=server.without_key(f"{type(failure).__name__}: {failure}"))


def _next(answers: "queue.SimpleQueue[Described]") -> Described | None:
    try:
        return answers.get(timeout=POLL_S)
    except queue.Empty:
        return None


class Server:
    """An OpenAI-compatible server that describes images. Safe to share by threads."""

    def __init__(self, config: TeacherConfig, stop: threading.Event) -> None:
        """Get ready to ask; nothing is sent yet. `stop` ends all waiting.

        Raises:
            ConfigError: If the key is not where the settings say.
        """
        self._config, self._stop = config, stop
        self._key = read_key(config)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(config.timeout_s, connect=min(CONNECT_TIMEOUT_S, config.timeout_s)),
            limits=httpx.Limits(max_connections=config.concurrency),
            follow_redirects=False,  # images go to the host that the person was told, and nowhere else
            trust_env=not config.local_host,  # nor through a proxy to reach this very computer
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
        body = self._body(path)
        return with_retries(lambda: self._ask(body), retries=self._config.retries, wait=self._stop.wait)

    def without_key(self, text: str) -> str:
        """Return a text without the server's key."""
        return without_key(text, self._key)

    def _body(self, path: Path) -> dict[str, Any]:
        config = self._config
        url = data_url(path, longest_side_px=config.longest_side_px, image_format=config.image_format)
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": config.prompt}]
        messages = [{"role": "user", "content": content}]
        return {"model": config.model, "messages": messages, "max_tokens": config.max_tokens, "temperature": 0}

    def _ask(self, body: dict[str, Any]) -> str:
        try:
            response = self._client.post(self._config.url.rstrip("/") + "/chat/completions", json=body)
        except httpx.ReadTimeout:
            raise NoCaption(
                f"{self._config.host} gave no answer within {self._config.timeout_s:g} s", again=True
            ) from None
        except httpx.TransportError as error:
            message = f"{self._config.host} cannot be reached: {error or type(error).__name__}"
            raise NoCaption(self.without_key(message), again=True) from None
        if response.status_code != httpx.codes.OK:
            raise NoCaption(
                f"{self._config.host} answered {response.status_code}: {self._quote(_words(response))}",
                again=response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error,
                wish_s=wished_pause(response.headers.get("Retry-After")),
            )
        try:
            text = response.json()["choices"][0]["message"]["content"].strip()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            quote = self._quote(response.text)
            raise NoCaption(f"{self._config.host} answered something that is no chat completion: {quote}") from None
        if not text:
            raise NoCaption(f"{self._config.host} answered with an empty caption")
        return self.without_key(text)

    def _quote(self, words: str) -> str:
        """Return a server's words as one short line without the key."""
        return self.without_key(" ".join(words.split()))[:LONGEST_QUOTE] or "(nothing)"


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
