"""Settings of the teacher, and of any OpenAI-compatible server: where it is, how it is asked, what may leave."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from leaml.errors import ConfigError
from leaml.json_config import JsonConfig, require
from leaml.prompts import TEACHER_PROMPT

TEACHER_SOURCES = ("recorded", "server", "local")
"""Where captions come from: the project's own, an OpenAI-compatible server, or a model on this computer."""


@dataclass(frozen=True)
class TeacherConfig(JsonConfig):
    """Where the captions of unlabelled images come from. Nothing leaves this computer unless `source` is `server`.

    Attributes:
        source: One of TEACHER_SOURCES.
        model: The server's name for it, or the name or path of a local one.
        url: The server's base URL, such as `https://host/v1`.
        prompt: What the teacher is asked; kept with each caption.
        key_env: Name of the environment variable that holds the server's key. The key itself is never a setting.
        key_file: File that holds it instead.
        allow_http: Send images without encryption to another computer too.
        concurrency: Questions that wait for the server at once.
        timeout_s: Longest wait for one answer, seconds.
        retries: How often a question is asked again when the server is busy, broken or out of reach.
        longest_side_px: Larger images are reduced before they are sent, pixels.
        image_format: How images are sent; `png` loses nothing and is larger.
        max_tokens: Of one caption, at most.
        batch_size: Images that a local model describes at once.
        bits: Of a local model's weights: 16, or 4 or 8 of its linear ones, which needs bitsandbytes. None is 32.
        failure_share: The run stops when more than this share of the images fails.
    """

    source: Literal["recorded", "server", "local"] = "recorded"
    model: str = ""
    url: str = ""
    prompt: str = TEACHER_PROMPT
    key_env: str = ""
    key_file: str = ""
    allow_http: bool = False
    concurrency: int = 8
    timeout_s: float = 120.0
    retries: int = 5
    longest_side_px: int = 1024
    image_format: Literal["jpeg", "png"] = "jpeg"
    max_tokens: int = 256
    batch_size: int = 16
    bits: Literal[4, 8, 16] | None = None
    failure_share: float = 0.1

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.source in TEACHER_SOURCES, "source", self.source, "one of " + ", ".join(TEACHER_SOURCES))
        require(
            (self.model != "") == (self.source != "recorded"), "model", self.model, f"named for {self.source!r} only"
        )
        require((self.url != "") == (self.source == "server"), "url", self.url, "given for a server, and only for one")
        if self.url:
            self._check_url()
        require(self.prompt.strip() != "", "prompt", self.prompt, "something to ask")
        self._check_key()
        require(self.concurrency >= 1, "concurrency", self.concurrency, "at least 1")
        require(self.timeout_s > 0, "timeout_s", self.timeout_s, "above 0")
        require(self.retries >= 0, "retries", self.retries, "0 or more")
        require(self.longest_side_px >= 16, "longest_side_px", self.longest_side_px, "at least 16")
        require(self.image_format in ("jpeg", "png"), "image_format", self.image_format, "jpeg or png")
        require(self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        require(self.bits in (None, 4, 8, 16), "bits", self.bits, "4, 8 or 16, or nothing")
        require(self.bits is None or self.source == "local", "bits", self.bits, "given for a local model only")
        require(0 <= self.failure_share <= 1, "failure_share", self.failure_share, "0 to 1")

    @property
    def host(self) -> str:
        """The computer that images are sent to; empty unless the source is a server."""
        return _split_url(self.url).hostname or "" if self.url else ""

    @property
    def local_host(self) -> bool:
        """Whether that is this computer."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def name(self) -> str:
        """What its captions are known by; with the prompt it tells whether an image has its caption already."""
        return f"{self.model} at {self.host or 'this computer'}"

    def _check_url(self) -> None:
        parts = _split_url(self.url)
        if parts.username or parts.password or parts.query or parts.fragment:  # not shown: it may hold a key
            raise ConfigError(
                "url must be the address alone, without user, password, query or fragment. "
                "Put a key into an environment variable or a file, and name that with key_env or key_file."
            )
        wanted = "a server's base URL, such as https://host/v1 or http://localhost:8000/v1"
        require(parts.scheme in ("http", "https") and self.host != "", "url", self.url, wanted)
        require(
            parts.scheme == "https" or self.local_host or self.allow_http,
            "url",
            self.url,
            f"https, because images would travel to {self.host} unencrypted; set allow_http to send them all the same",
        )

    def _check_key(self) -> None:
        if self.key_env and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.key_env):  # not shown: it may be the key
            raise ConfigError(
                "key_env must be the name of an environment variable in capitals, such as TEACHER_KEY, not the key."
            )
        require(not (self.key_env and self.key_file), "key_file", self.key_file, "empty where key_env is given")


def _split_url(url: str) -> SplitResult:
    """Return a URL's parts.

    Raises:
        ConfigError: If it is none.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise ConfigError(f"url cannot be read ({error}). Write it like https://host/v1.") from None
    return parts
