"""Nomad's HTTP API through the standard library alone.

The tests judge the project by what Nomad itself records, so this client shares no code with the one that they judge.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

__all__ = ["Api", "ApiError", "Tls"]


class ApiError(Exception):
    """Nomad answered with something else than success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for a server, and for clients that have to show a certificate of the same authority."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class Api:
    """One agent's HTTP API. A connection per request: nothing is left open in a test.

    Args:
        address: `http://HOST:PORT` or `https://HOST:PORT`.
        token: secret id of an ACL token, "" for none.
        tls: for https.
        timeout_s: longest wait for one answer.
    """

    def __init__(self, address: str, *, token: str = "", tls: Tls | None = None, timeout_s: float = 10.0) -> None:
        self.token = token
        self._netloc = urlsplit(address).netloc
        self._timeout_s = timeout_s
        self._context = _context(tls) if tls is not None else None

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Read `path` (from `/v1/` on); query parameters by name.

        Raises:
            ApiError: another status than 200.
            OSError: no answer.
        """
        return self.call("GET", path, **query)

    def put(self, path: str, body: Any = None, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Write to `path`; errors as `get`."""
        return self.call("PUT", path, body, **query)

    def delete(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Delete `path`; errors as `get`."""
        return self.call("DELETE", path, **query)

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Send one request and decode the answer; text that is not JSON comes as it is. Errors as `get`."""
        connection = self._connect()
        try:
            target = f"{path}?{urlencode(query)}" if query else path
            payload = None if body is None else json.dumps(body)
            connection.request(method, target, body=payload, headers={"X-Nomad-Token": self.token} if self.token else {})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except HTTPException as error:
            # A server that is about to end closes in the middle of an answer; callers wait for one kind of "no answer".
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise ApiError(answer.status, text.strip())
        return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text

    def _connect(self) -> HTTPConnection:
        if self._context is None:
            return HTTPConnection(self._netloc, timeout=self._timeout_s)
        return HTTPSConnection(self._netloc, timeout=self._timeout_s, context=self._context)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
