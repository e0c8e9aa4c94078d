"""How an encoded request reaches an OTLP endpoint, and what the endpoint said to it.

The SDK's exporters take spans, not bytes, and keep the answer to themselves: that a
part was refused or that the request was redirected counts as success there. So a request
goes out here over the same library, a requests.Session, and its answer is read in full.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .._exit import after_fork

if TYPE_CHECKING:
    import requests

    from ._settings import OtlpSettings

__all__ = ["Answer", "HttpSender", "Sender", "Verdict"]

_MAX_ANSWER_BYTES = 64 * 1024
_BUSY = frozenset({408, 429, 502, 503, 504})
_ABOUT_THE_ENDPOINT = frozenset({401, 403, 404, 405, 407})


class Verdict(Enum):
    """What an attempt means for the request that was sent."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # this request is at fault: the same again gets the same answer
    BUSY = "busy"  # the endpoint cannot take anything now
    DOUBTFUL = "doubtful"  # the endpoint or this request is at fault; another request may tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one attempt to send.

    Attributes:
        reason: In words for the log; nothing that the endpoint's body says.
        rejected_spans: Of an accepted request, how many spans, or data points, were refused all the same.
        retry_after_s: How long the endpoint asks to be left alone.
    """

    verdict: Verdict
    reason: str = ""
    rejected_spans: int = 0
    retry_after_s: float | None = None

    @property
    def final(self) -> bool:
        """Whether sending the same again would make no sense."""
        return self.verdict in {Verdict.ACCEPTED, Verdict.REFUSED}


class Sender(Protocol):
    """Sends one encoded request, once."""

    endpoint: str

    def send(self, body: bytes) -> Answer:
        """Send an export request of OTLP; never raises for what the network does."""
        ...

    def close(self) -> None:
        """Give back what the connection holds."""
        ...


class HttpSender:
    """OTLP over HTTP with binary protobuf.

    Args:
        session: A requests.Session with adapters or credentials of its own.
    """

    def __init__(self, settings: OtlpSettings, session: requests.Session | None = None) -> None:
        import requests  # noqa: PLC0415  takes 100 ms, hence only where something is sent

        self.endpoint = settings.endpoint
        self._pack = _PACKERS[settings.compression]
        self._timeout_s = settings.timeout_s
        self._headers = _http_headers(settings)
        self._failure = requests.RequestException
        # Said with each request: a session's own file would yield to REQUESTS_CA_BUNDLE.
        self._certificate_file = settings.certificate_file
        self._client_certificate = settings.client_certificate
        self._session = session or requests.Session()
        # Else requests would put a password of the user's ~/.netrc in the place of a header that was given.
        is_given = "authorization" in settings.headers and session is None
        self._auth = _as_it_is if is_given else None
        # The parent's connections are not the child's. A session of the application's may hold more than those.
        after_fork(self._connect_anew if session is None else self.close)

    def send(self, body: bytes) -> Answer:
        """Send a request, and read at most the first part of a long answer."""
        try:
            response = self._session.post(
                self.endpoint,
                data=self._pack(body),
                headers=self._headers,
                auth=self._auth,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
                verify=self._certificate_file,
                cert=self._client_certificate,
            )
        except (self._failure, OSError, _urllib3_error()) as error:
            return Answer(verdict=Verdict.BUSY, reason=type(error).__name__)
        with closing(response):
            return _read(response.status_code, response.headers, self._content(response))

    def _content(self, response: requests.Response) -> bytes:
        """Read an answer's body, as far as it can be read in time: its status says what became of the request."""
        deadline_s = monotonic() + self._timeout_s
        read = getattr(response.raw, "read1", response.raw.read)  # what there is, if it is new enough for that
        content, left = b"", _MAX_ANSWER_BYTES
        try:
            while left > 0 and monotonic() < deadline_s and (piece := read(left, decode_content=True)):
                content, left = content + piece, left - len(piece)
        except (self._failure, OSError, _urllib3_error()):
            return b""
        return content

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._session.close()

    def _connect_anew(self) -> None:
        self._session = type(self._session)()


def _urllib3_error() -> type[Exception]:
    from urllib3.exceptions import HTTPError  # noqa: PLC0415  loaded with requests

    return HTTPError


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _unpacked(body: bytes) -> bytes:
    return body


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    # Level 6 packs as well as 9 for JSON text, in half the time; no time in the header: same in, same out.
    "gzip": lambda body: gzip.compress(body, compresslevel=6, mtime=0),
    "deflate": zlib.compress,
    "none": _unpacked,
}


def _http_headers(settings: OtlpSettings) -> dict[str, str]:
    headers = {"content-type": "application/x-protobuf", "user-agent": "chainspan"}
    if settings.compression != "none":
        headers["content-encoding"] = settings.compression
    return headers | dict(settings.headers)


def _read(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    reason = f"{status} {_phrase(status)}".strip()
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return read_acceptance(content)
    if status in _BUSY:
        return Answer(verdict=Verdict.BUSY, reason=reason, retry_after_s=_retry_after_s(headers.get("retry-after")))
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _ABOUT_THE_ENDPOINT:
        return Answer(verdict=Verdict.REFUSED, reason=reason)
    return Answer(verdict=Verdict.DOUBTFUL, reason=reason)


def read_acceptance(content: bytes) -> Answer:
    """Read the answer to an accepted request; one that is not protobuf says nothing of a refusal.

    Those of the other signals have the same fields under the same numbers.
    """
    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return Answer(verdict=Verdict.ACCEPTED)
    return Answer(
        verdict=Verdict.ACCEPTED,
        reason="refused in part" if partial.rejected_spans else "",
        rejected_spans=max(0, partial.rejected_spans),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after_s(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value)
    return max(0.0, seconds) if isfinite(seconds) else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
