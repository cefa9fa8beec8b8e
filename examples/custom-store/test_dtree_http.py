"""Every promise of the interface, and what this store promises beside, on a web server of this machine."""

import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import pytest

pytest.register_assert_rewrite("dtree.testing")

from dtree.store import StoreError, StoreFileMissing, StoreUnreachable
from dtree.testing import FILES, StoreContract
from dtree_http import HttpStore


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.tokens.append(self.headers["Authorization"])
        answer = self.server.answers.get(unquote(self.path), 404)  # bytes, or a status
        data = b"" if isinstance(answer, int) else answer
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("ETag", f'"{sha256(data).hexdigest()}"')
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def running():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def web(running, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running.tokens = []
    put(running, FILES)
    return running


def put(web, files):
    sums = "".join(f"{sha256(data).hexdigest()}  {path}\n" for path, data in files.items())
    web.answers = {f"/shop/{path}": data for path, data in {**files, "SHA256SUMS": sums.encode()}.items()}


def store_of(web, token=None, context=None):
    return HttpStore({"http_url": f"http://127.0.0.1:{web.server_port}/shop/", "http_token": token}, context)


class TestHttpStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _web(self, web):
        self.web = web

    def store(self, files):
        put(self.web, files)
        return store_of(self.web, context=self.context())

    def change(self, store, files):
        put(self.web, files)


def test_the_revision_is_the_etag_of_the_list(web):
    assert store_of(web).snapshot().revision.id == f'"{sha256(web.answers["/shop/SHA256SUMS"]).hexdigest()}"'


def test_a_file_that_is_not_as_listed_is_refused_so_that_two_states_never_mix(web):
    snapshot = store_of(web).snapshot()
    web.answers["/shop/jobs/api.nomad"] = b"newer than the list"
    with pytest.raises(StoreError, match=r"jobs/api\.nomad is not what SHA256SUMS says"):
        snapshot.jobs(["api"])


def test_the_token_is_sent_to_the_server_but_not_to_where_it_redirects(web):
    web.answers |= {"/shop/SHA256SUMS": 302, "/elsewhere": web.answers["/shop/SHA256SUMS"]}
    assert store_of(web, "s3cret").snapshot().list_jobs()
    assert web.tokens == ["Bearer s3cret", None]


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (401, StoreError, "answers 401"),
        (404, StoreFileMissing, "answers 404"),
        (b"<html>", StoreError, "lines unlike"),
        (b"%064d  ../secret\n" % 0, StoreError, "lines unlike"),
        (b"%064d  jobs/../../secret\n" % 0, StoreError, "lines unlike"),
        (500, StoreError, "500"),
    ],
)
def test_a_list_that_cannot_be_had_is_told(web, answer, kind, says):
    web.answers["/shop/SHA256SUMS"] = answer
    with pytest.raises(StoreError, match=says) as caught:
        store_of(web, "s3cret").snapshot()
    assert type(caught.value) is kind
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["file:///etc", "http://me:s3cret@host/", "http://host/?token=s3cret", "host", "http://a..b/", "http://h:x/"]
)
def test_an_address_that_cannot_be_is_told_without_what_may_be_secret(url):
    with pytest.raises(StoreError) as caught:
        HttpStore({"http_url": url, "http_token": None}, None).snapshot()
    assert "s3cret" not in str(caught.value)


def test_a_token_that_no_header_can_hold_is_not_shown():
    with pytest.raises(StoreError) as caught:
        HttpStore({"http_url": "http://127.0.0.1", "http_token": "s3cret\nX-Other: 1"}, None).snapshot()
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(StoreUnreachable, match=r"no contact with http://127\.0\.0\.1:1"):
        HttpStore({"http_url": "http://127.0.0.1:1", "http_token": None}, None).snapshot()
