"""An OpenAI-shaped HTTP endpoint: where it is, what may be sent, and what every call is bounded by.

    Endpoint.read("openai:http://127.0.0.1:8000/v1#my-model").post("chat/completions", {...}) -> Reply

Every call has one deadline, which counts its retries, and a bound on the bytes of its reply. The key is read from the
environment at each call; it is in no attribute, record, log line or error.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from anygen.errors import AnyGenError

if TYPE_CHECKING:
    import httpx

TRUSTED_ENV = "ANYGEN_REMOTE_URLS"
"""The environment variable with the addresses, comma-separated, that saved models may talk to beside this machine."""
DIALECTS = ("openai", "anygen")
"""What a source begins with that names an endpoint: OpenAI's own fields, as vLLM, vLLM-Omni and SGLang have them, or
those of `anygen serve`, which groups the parameters of generators and makes sounds that are no speech."""
WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)
BACKOFF_SECONDS = 0.5
"""Before the second try; doubled before each further one, and a little by chance."""
MAX_SHOWN = 300
"""Characters of the other side's own words in an error."""
STEP_SECONDS = 0.1
"""How often a pause looks whether anybody still waits."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A successful answer, whole."""

    content: bytes
    content_type: str

    def json(self) -> dict[str, Any]:
        """The JSON object that it is. Raises `remote_bad_reply`."""
        try:
            found = json.loads(self.content)
        except ValueError as error:
            raise AnyGenError("remote_bad_reply", f"found {self.content[:MAX_SHOWN]!r}; expected JSON") from error
        if not isinstance(found, dict):
            raise AnyGenError("remote_bad_reply", f"found {type(found).__name__}; expected a JSON object")
        return found


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One model at one address."""

    base_url: str
    """Up to and with the version, e.g. "http://127.0.0.1:8000/v1"; http or https, without a name and password in it."""
    model: str
    """What the other side calls the model."""
    dialect: str = "openai"
    """One of `DIALECTS`."""
    api_key_env: str | None = None
    """The environment variable that holds the key; None sends none. The variable's name is saved, its value never."""
    deadline_seconds: float = 300.0
    """For one call, its retries and their pauses included."""
    max_tries: int = 3
    """Tries of one call: again where there is no connection, or the other side is busy or broken."""
    max_reply_bytes: int = 256 * 2**20
    """More than this of one reply is not read."""
    key_over_http: str = "refused"
    """"refused": a key goes over https, or to this machine. "allowed": over any network that the caller trusts."""

    def __post_init__(self):
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise _invalid(f"base_url: found {_bare(self.base_url)!r}; expected http://host:port/v1 or https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise _invalid(
                "base_url: found a user, a query or a fragment in it; expected an address alone (api_key_env)"
            )
        if self.dialect not in DIALECTS:
            raise _invalid(f"dialect: found {self.dialect!r}; expected one of {', '.join(DIALECTS)}")
        if not self.model:
            raise _invalid(
                "model: found none; expected what the endpoint calls its model, e.g. openai:http://host/v1#model"
            )
        if self.deadline_seconds <= 0 or self.max_tries < 1 or self.max_reply_bytes < 1:
            raise _invalid("deadline_seconds, max_tries and max_reply_bytes: expected numbers above 0")
        if self.key_over_http not in ("refused", "allowed"):
            raise _invalid(f"key_over_http: found {self.key_over_http!r}; expected refused or allowed")
        if (
            self.api_key_env
            and self.key_over_http == "refused"
            and parts.scheme == "http"
            and not _is_here(parts.hostname)
        ):
            raise _invalid(
                f"api_key_env: a key would go to {parts.hostname} unencrypted; use https, or key_over_http='allowed'"
            )

    @classmethod
    def read(cls, source: str, **settings: Any) -> Endpoint:
        """`openai:BASE_URL#MODEL` or `anygen:BASE_URL#MODEL`, as on a command line. Raises `invalid_parameter`."""
        if not is_remote(source):
            raise _invalid(f"found {_bare(str(source))!r}; expected openai:http://host:port/v1#model")
        dialect, _, rest = source.partition(":")
        base_url, _, model = rest.partition("#")
        return cls(base_url=base_url.rstrip("/"), model=model, dialect=dialect, **settings)

    @property
    def source(self) -> str:
        """As `read` takes it."""
        return f"{self.dialect}:{self.base_url}#{self.model}"

    def check_trusted(self, *, where: str) -> None:
        """For an endpoint that a saved model names, not the caller: raise `model_load_error` unless it is on this
        machine, or the user has named it in `ANYGEN_REMOTE_URLS`. Else a downloaded model could send prompts, and keys
        of the environment, wherever it likes."""
        trusted = [url.strip().rstrip("/") for url in os.environ.get(TRUSTED_ENV, "").split(",")]
        if not _is_here(urlsplit(self.base_url).hostname) and self.base_url not in trusted:
            advice = f"if you trust that, set {TRUSTED_ENV}={self.base_url}"
            raise AnyGenError("model_load_error", f"{where}: this model talks to {self.base_url}; {advice}")

    def post(self, path: str, body: dict[str, Any], *, check: Callable[[], None] | None = None) -> Reply:
        """Send JSON and read the reply whole; `check` is called now and then, and may raise to give up.

        Raises:
            AnyGenError: `remote_unavailable` (no connection, or busy at every try), `deadline_exceeded`,
                `remote_refused` (a status that trying again won't change), `remote_bad_reply` (too large, or not what
                it says).
        """
        return self._call("POST", path, body, check=check)

    def get(self, path: str, *, check: Callable[[], None] | None = None) -> Reply:
        """Read an address below `base_url`; raises as `post` does."""
        return self._call("GET", path, None, check=check)

    def lines(self, path: str, body: dict[str, Any], *, check: Callable[[], None] | None = None) -> Iterator[str]:
        """Send JSON and read a reply line by line as it comes; raises as `post` does. Only what comes before the first
        line is tried again."""
        ends_at = time.monotonic() + self.deadline_seconds
        with self._opened("POST", path, body, ends_at=ends_at, check=check) as response:
            rest = b""
            for chunk in self._chunks(response, ends_at=ends_at, check=check):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", errors="replace").rstrip("\r")
            if rest:
                yield rest.decode("utf-8", errors="replace")

    def _call(self, method: str, path: str, body: dict[str, Any] | None, *, check: Callable[[], None] | None) -> Reply:
        ends_at = time.monotonic() + self.deadline_seconds
        with self._opened(method, path, body, ends_at=ends_at, check=check) as response:
            content = b"".join(self._chunks(response, ends_at=ends_at, check=check))
            return Reply(content=content, content_type=response.headers.get("content-type", ""))

    @contextmanager
    def _opened(
        self, method: str, path: str, body: Any, *, ends_at: float, check: Callable[[], None] | None
    ) -> Iterator[httpx.Response]:
        """The first successful response among the tries, its body still to be read."""
        import httpx

        key = self._key()
        headers = {"Accept-Encoding": "identity", "User-Agent": "anygen"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        fresh = httpx.Limits(max_keepalive_connections=0)  # a busy server may have closed what was kept alive
        with httpx.Client(trust_env=False, follow_redirects=False, headers=headers, limits=fresh) as client:
            for attempt in range(1, self.max_tries + 1):
                if check:
                    check()
                request = client.build_request(
                    method, f"{self.base_url}/{path}", json=body, timeout=self._left(ends_at)
                )
                try:
                    response = client.send(request, stream=True)
                except httpx.TimeoutException as error:
                    raise self._late() from error
                except httpx.TransportError as error:
                    fault = AnyGenError(
                        "remote_unavailable", f"{self.base_url}: {type(error).__name__}; is it served there?"
                    )
                    pause = BACKOFF_SECONDS * 2 ** (attempt - 1)
                else:
                    if response.is_success:
                        try:
                            yield response
                        finally:
                            response.close()
                        return
                    fault, pause = self._refusal(response, key), _pause(response, attempt)
                    response.close()
                    if response.status_code not in WORTH_RETRYING:
                        raise fault
                if attempt == self.max_tries:
                    raise fault
                self._wait(pause * random.uniform(1.0, 1.1), ends_at=ends_at, check=check)

    def _chunks(self, response: httpx.Response, *, ends_at: float, check: Callable[[], None] | None) -> Iterator[bytes]:
        """The body within its bounds of size and time."""
        import httpx

        size, claimed = 0, response.headers.get("content-length", "")
        if claimed.isdecimal() and int(claimed) > self.max_reply_bytes:
            raise AnyGenError(
                "remote_bad_reply", f"found a reply of {claimed} bytes; at most {self.max_reply_bytes} are read"
            )
        try:
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > self.max_reply_bytes:
                    raise AnyGenError(
                        "remote_bad_reply",
                        f"the reply goes on after {self.max_reply_bytes} bytes, the most that is read",
                    )
                self._left(ends_at)
                if check:
                    check()
                yield chunk
        except httpx.TimeoutException as error:
            raise self._late() from error
        except httpx.TransportError as error:
            raise AnyGenError(
                "remote_bad_reply", f"{self.base_url}: the reply broke off ({type(error).__name__})"
            ) from error

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return None
        if not (key := os.environ.get(self.api_key_env)):
            raise _invalid(
                f"api_key_env: the environment variable {self.api_key_env} is not set; expected the key in it"
            )
        return key

    def _refusal(self, response: httpx.Response, key: str | None) -> AnyGenError:
        """A status as an error, with what the other side says about it, the key left out."""
        import httpx

        said = b""
        try:
            for chunk in response.iter_raw():
                said += chunk
                if len(said) > 2**16:
                    break
        except httpx.HTTPError:
            said += b"..."
        words = said.decode("utf-8", errors="replace")
        words = words.replace(key, "***") if key else words
        code = "remote_unavailable" if response.status_code in WORTH_RETRYING else "remote_refused"
        detail = f"{self.base_url}: status {response.status_code}: {words[:MAX_SHOWN]}"
        return AnyGenError(code, detail, status=response.status_code)

    def _left(self, ends_at: float) -> float:
        """Seconds until the deadline. Raises `deadline_exceeded`."""
        if (left := ends_at - time.monotonic()) <= 0:
            raise self._late()
        return left

    def _late(self) -> AnyGenError:
        detail = f"{self.base_url}: no whole reply within {self.deadline_seconds:g} s (deadline_seconds)"
        return AnyGenError("deadline_exceeded", detail, limit=self.deadline_seconds)

    def _wait(self, seconds: float, *, ends_at: float, check: Callable[[], None] | None) -> None:
        until = time.monotonic() + seconds
        if until >= ends_at:
            raise self._late()
        while (left := until - time.monotonic()) > 0:
            if check:
                check()
            time.sleep(min(STEP_SECONDS, left))


def endpoint_of(where: str | Endpoint, *, model: str, **settings: Any) -> Endpoint:
    """An endpoint from what the remote parts are given: one that is made, a source as on a command line, or an address
    and a model. Raises `invalid_parameter`, also for settings that would be dropped."""
    if isinstance(where, Endpoint) or is_remote(where):
        if model or (settings and isinstance(where, Endpoint)):
            found = ", ".join(["model"] * bool(model) + list(settings))
            raise _invalid(
                f"found {found} beside {where if isinstance(where, str) else 'an Endpoint'}, which says so itself"
            )
        return where if isinstance(where, Endpoint) else Endpoint.read(where, **settings)
    return Endpoint(base_url=where.rstrip("/"), model=model, **settings)


def is_remote(source: Any) -> bool:
    """Whether a source names an endpoint."""
    return isinstance(source, str) and source.startswith(tuple(f"{dialect}:http" for dialect in DIALECTS))


def _pause(response: httpx.Response, attempt: int) -> float:
    """Seconds before the next try: what the other side asks for, or twice the last pause."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else BACKOFF_SECONDS * 2 ** (attempt - 1)


def _has_port(parts: SplitResult) -> bool:
    """Whether the port, where there is one, is a number that ports have."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bare(url: str) -> str:
    """An address without what may be a password in it, for an error."""
    scheme, mark, rest = url.rpartition("@")
    return f"***@{rest}" if mark else url


def _invalid(detail: str) -> AnyGenError:
    return AnyGenError("invalid_parameter", detail)
