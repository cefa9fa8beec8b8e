"""Jobs from a web server: any that serves files, among them SHA256SUMS, which lists the others as `sha256sum` writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from dtree.store import Option, Revision, Snapshot, Store, StoreError, StoreFileMissing, StoreUnreachable, Text


class HttpStore(Store):
    """Jobs from a web server."""

    store_api = 1
    summary = "Jobs from a web server"
    options = (
        Option("http-url", help="Address of the folder with SHA256SUMS.", required=True),
        Option("http-token", help="Bearer token.", secret=True),
    )

    def snapshot(self) -> HttpSnapshot:
        return HttpSnapshot(self.settings["http_url"].rstrip("/"), self.settings["http_token"] or "")


class HttpSnapshot(Snapshot):
    """The files as the list named them when it was read. One that is another by now is refused: two states never mix."""

    def __init__(self, url: str, token: str) -> None:
        if not (re.fullmatch(r"https?://[\w.:/~%[\]-]+", url, re.ASCII) and re.fullmatch(r"[!-~]*", token)):
            raise StoreError("--http-url is not like https://host/folder, or --http-token is no token", hint="check them")
        self._url, self._token, self._texts = url, token, dict[str, Text]()
        data, tag = self._get("SHA256SUMS")
        if not re.fullmatch(rb"([0-9a-f]{64}  (?![./]|.*/\.\.?/).+\n)+", data):  # no ./, no ../, nothing that begins with a slash
            raise StoreError(f"{url}/SHA256SUMS has lines unlike `DIGEST  jobs/api.nomad`", hint="write it with `sha256sum`")
        self._digests = {path: digest for digest, path in re.findall(r"(.{64})  (.+)\n", data.decode(errors="replace"))}
        self._revision = Revision(tag or f"sha256:{sha256(data).hexdigest()}")

    def depfile(self) -> Text:
        return self.read("dependency.json")

    def list_jobs(self) -> Sequence[str]:
        return sorted(path.removeprefix("jobs/") for path in self._digests if path.startswith("jobs/"))

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        return {path: self.read(f"jobs/{path}") for path in paths}

    def read(self, path: str) -> Text:
        if path not in self._digests:
            raise StoreFileMissing(f"{self._url}/SHA256SUMS names no file {path}", hint="add it there")
        if path not in self._texts:
            data, _ = self._get(path)
            if sha256(data).hexdigest() != self._digests[path]:
                raise StoreError(f"{self._url}/{path} is not what SHA256SUMS says", hint="write SHA256SUMS anew after each change")
            self._texts[path] = Text(f"{self._url}/{path}", data)
        return self._texts[path]

    @property
    def revision(self) -> Revision:
        return self._revision

    def _get(self, path: str) -> tuple[bytes, str | None]:
        """Return a file and its ETag."""
        request = Request(f"{self._url}/{quote(path)}")
        if self._token:  # which a redirect does not take to another server
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.read(), answer.headers["ETag"]
        except HTTPError as error:
            error.close()
            kind = StoreFileMissing if error.code == 404 else StoreError
            raise kind(f"the server answers {error.code} to {request.full_url}", hint="check --http-url and --http-token") from error
        except (OSError, HTTPException, UnicodeError) as error:
            raise StoreUnreachable(f"no contact with {self._url}: {getattr(error, 'reason', error)}", hint="check --http-url") from error
