"""Google Cloud Storage in memory, on loopback.

TensorFlow's `gs://` asks two hosts over TLS, and no setting names others. But
it goes through the proxy in `https_proxy` and trusts the certificates in
`CURL_CA_BUNDLE`: so a proxy answers here in the hosts' name. TensorFlow reads
these variables as it starts; what is to see the buckets is a process begun with
`LocalGcs.environment`.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trustme
from gcs_api import Answer, Api, Request, Store
from gcs_faults import Fault, Faults

HOSTS = ("www.googleapis.com", "storage.googleapis.com")


class _Server(ThreadingHTTPServer):
    """The proxy's server, and what its handlers answer with."""

    daemon_threads = True

    def __init__(self, api: Api, faults: Faults, tls: ssl.SSLContext):
        super().__init__(("127.0.0.1", 0), _Proxy)
        self.api = api
        self.faults = faults
        self.tls = tls


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Proxy(_Handler):
    """Takes a connection to one of the hosts for itself, and no other."""

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if self.path not in {f"{host}:443" for host in HOSTS}:
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        # A client that ends does not always say so.
        with (
            suppress(OSError),
            self.server.tls.wrap_socket(
                self.connection, server_side=True
            ) as connection,
        ):
            _Endpoint(connection, self.client_address, self.server)


class _Endpoint(_Handler):
    """Speaks HTTP for the API."""

    wbufsize = -1  # an answer leaves in one piece

    def do(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            host=self.headers["Host"],
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=dict(self.headers),
            body=self._body(),
        )
        fault = self.server.faults.meet(request)
        if fault:
            time.sleep(fault.seconds)
        if fault and fault.breaks:
            # Half of it came, and nobody says so.
            self.server.api.answer(request.half())
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(
            Answer(fault.status)
            if fault and fault.status
            else self.server.api.answer(request)
        )

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do

    def _body(self) -> bytes:
        # TensorFlow gives the whole length besides, and means the chunks.
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class LocalGcs:
    """Buckets for processes that are begun with `environment`.

    Attributes:
        environment: What makes TensorFlow find the buckets, over whatever
            there is: no credentials of the machine's are looked for.
    """

    def __init__(self, folder: Path, *buckets: str):
        """Begins to serve; `folder` takes the certificate."""
        self._store = Store(*buckets)
        self._faults = Faults()
        authority = trustme.CA()
        bundle = folder / "certificate.pem"
        authority.cert_pem.write_to_path(str(bundle))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(tls)
        self._server = _Server(Api(self._store), self._faults, tls)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "https_proxy": f"http://127.0.0.1:{self._server.server_port}",
            "no_proxy": "",
            "NO_PROXY": "",
            "CURL_CA_BUNDLE": str(bundle),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "nobody",
            "NO_GCE_CHECK": "true",
            # TensorFlow's own are 10 and a second, which doubles up to 32.
            "GCS_RETRY_CONFIG_MAX_RETRIES": "4",
            "GCS_RETRY_CONFIG_INIT_DELAY_TIME_US": "20000",
            "GCS_RETRY_CONFIG_MAX_DELAY_TIME_US": "100000",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Has requests meet these faults, the first that fits, in a block."""
        self._faults.add(*faults)
        try:
            yield
        finally:
            self._faults.clear()

    def put(self, address: str, content: bytes) -> None:
        """Writes an object."""
        self._store.write(*_parts(address), content)

    def upload(self, folder: Path, address: str) -> None:
        """Writes all files of a folder under an address."""
        for file in filter(Path.is_file, folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            self.put(f"{address}/{name}", file.read_bytes())

    def read(self, address: str) -> bytes:
        """The bytes of an object."""
        return self._store.read(*_parts(address)).content

    def list(self, address: str) -> list[str]:
        """Names below a folder, from there on."""
        bucket, folder = _parts(f"{address}/")
        entries = self._store.entries(bucket, folder)
        return [name.removeprefix(folder) for name, _ in entries]


def _parts(address: str) -> tuple[str, str]:
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return bucket, name
