"""What Google Cloud Storage answers, from objects in memory.

Spoken is what `gcs_file_system.cc` of TensorFlow 2.20 asks for: some of the
JSON API (https://cloud.google.com/storage/docs/json_api/v1), and the XML API's
reading of an object. Any other request is answered with 501.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

# Most names in one answer: few, so that a list takes several, as long ones do.
PAGE = 5


class Stored(NamedTuple):
    """An object: its bytes, and a number that every writing counts up."""

    content: bytes
    generation: int


class MissingError(Exception):
    """There is no such bucket or object."""


class Store:
    """Objects by bucket and name."""

    def __init__(self, *buckets: str):
        self._buckets: dict[str, dict[str, Stored]] = {b: {} for b in buckets}
        self._generations = count(1)

    def bucket(self, bucket: str) -> dict[str, Stored]:
        """A bucket's objects by name."""
        if bucket not in self._buckets:
            raise MissingError
        return self._buckets[bucket]

    def read(self, bucket: str, name: str) -> Stored:
        objects = self.bucket(bucket)
        if name not in objects:
            raise MissingError
        return objects[name]

    def remove(self, bucket: str, name: str) -> None:
        self.read(bucket, name)
        del self._buckets[bucket][name]

    def write(self, bucket: str, name: str, content: bytes) -> Stored:
        stored = Stored(content, next(self._generations))
        self.bucket(bucket)[name] = stored
        return stored

    def entries(
        self, bucket: str, prefix: str, delimiter: str = ""
    ) -> list[tuple[str, bool]]:
        """What names begin with, in order, and whether that is a folder.

        Names are cut off behind the first delimiter that follows the prefix.
        """

        def entry(name: str) -> tuple[str, bool]:
            end = name.find(delimiter, len(prefix)) + 1 if delimiter else 0
            return (name[:end], True) if end else (name, False)

        names = list(self.bucket(bucket))
        return sorted({entry(n) for n in names if n.startswith(prefix)})


@dataclass(frozen=True)
class Request:
    """A request; its path is still quoted, as names hold slashes."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def path_and_query(self) -> str:
        """What the request is about, for people."""
        asked = "&".join(f"{k}={v}" for k, v in self.query.items())
        return f"{unquote(self.path)}?{asked}"

    def half(self) -> Request:
        """The request as it comes where the connection ends midway."""
        return replace(self, body=self.body[: len(self.body) // 2])


@dataclass
class Upload:
    """An object of which not all has come."""

    name: str
    content: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Answer:
    """What comes back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def _json(content: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Answer(200, json.dumps(content).encode(), headers)


def _metadata(name: str, stored: Stored) -> dict[str, str]:
    return {
        "name": name,
        "size": str(len(stored.content)),
        "generation": str(stored.generation),
        "updated": "2020-01-01T00:00:00.000Z",
    }


class Api:
    """Answers requests from a store."""

    def __init__(self, store: Store):
        self._store = store
        self._uploads: dict[str, Upload] = {}
        self._numbers = count()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """Calls the method for a request with the parts of its path."""
        for method, path, action in self.ROUTES:
            found = re.fullmatch(path, request.path)
            if found and method == request.method:
                parts = {k: unquote(v) for k, v in found.groupdict().items()}
                try:
                    with self._lock:
                        return action(self, request, **parts)
                except MissingError:
                    return Answer(404)
        return Answer(501)

    def bucket(self, request: Request, bucket: str) -> Answer:
        self._store.bucket(bucket)
        return _json({"name": bucket, "location": "US"})

    def list(self, request: Request, bucket: str) -> Answer:
        asked = request.query
        after = asked.get("pageToken", "")
        most = min(PAGE, int(asked.get("maxResults", PAGE)))
        left = [
            entry
            for entry in self._store.entries(
                bucket, asked.get("prefix", ""), asked.get("delimiter", "")
            )
            if entry[0] > after
        ]
        objects = self._store.bucket(bucket)
        content: dict[str, Any] = {
            "items": [
                _metadata(name, objects[name])
                for name, folder in left[:most]
                if not folder
            ],
            "prefixes": [name for name, folder in left[:most] if folder],
        }
        if len(left) > most:
            content["nextPageToken"] = left[most - 1][0]
        return _json(content)

    def metadata(self, request: Request, bucket: str, name: str) -> Answer:
        return _json(_metadata(name, self._store.read(bucket, name)))

    def delete(self, request: Request, bucket: str, name: str) -> Answer:
        self._store.remove(bucket, name)
        return Answer(204)

    def rewrite(
        self, request: Request, bucket: str, name: str, to_bucket: str, to: str
    ) -> Answer:
        content = self._store.read(bucket, name).content
        stored = self._store.write(to_bucket, to, content)
        return _json({"done": True, "resource": _metadata(to, stored)})

    def upload(self, request: Request, bucket: str) -> Answer:
        """Takes an object at once, or says where it is to be put."""
        name = request.query["name"]
        new = request.query.get("ifGenerationMatch") == "0"
        if new and name in self._store.bucket(bucket):
            return Answer(412)
        if request.query["uploadType"] == "media":
            stored = self._store.write(bucket, name, request.body)
            return _json(_metadata(name, stored))
        number = str(next(self._numbers))
        self._uploads[number] = Upload(name)
        # Google's says no name; here it lets a test choose by it.
        asked = f"upload_id={number}&name={quote(name, safe='')}"
        where = f"https://{request.host}{request.path}?{asked}"
        return Answer(headers={"Location": where})

    def put(self, request: Request, bucket: str) -> Answer:
        """Takes an object, all of it or what a broken upload left.

        TensorFlow asks after an error how much has come, by a request that
        has no body, and sends the rest.
        """
        upload = self._uploads[request.query["upload_id"]]
        # It names no range of an empty object.
        found = re.fullmatch(
            r"bytes (?:(\d+)-\d+|(\*))/(\d+)",
            request.headers.get("Content-Range", "bytes */0"),
        )
        if found is None:
            return Answer(501)
        if found[1]:
            del upload.content[int(found[1]) :]
            upload.content += request.body
        if len(upload.content) == int(found[3]):
            stored = self._store.write(
                bucket, upload.name, bytes(upload.content)
            )
            return _json(_metadata(upload.name, stored))
        last = len(upload.content) - 1
        return Answer(
            308, headers={"Range": f"bytes=0-{last}"} if last >= 0 else {}
        )

    def content(self, request: Request, bucket: str, name: str) -> Answer:
        content = self._store.read(bucket, name).content
        asked = re.fullmatch(
            r"bytes=(\d+)-(\d+)", request.headers.get("Range", "")
        )
        if asked is None:
            return Answer(200, content)
        part = content[int(asked[1]) : int(asked[2]) + 1]
        return Answer(206, part) if part else Answer(416)

    _BUCKET = r"/storage/v1/b/(?P<bucket>[^/]+)"
    _OBJECT = rf"{_BUCKET}/o/(?P<name>[^/]+)"
    _UPLOAD = r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o"
    _TO = r"/b/(?P<to_bucket>[^/]+)/o/(?P<to>[^/]+)"
    ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
        ("GET", _BUCKET, bucket),
        ("GET", rf"{_BUCKET}/o", list),
        ("GET", _OBJECT, metadata),
        ("DELETE", _OBJECT, delete),
        ("POST", rf"{_OBJECT}/rewriteTo{_TO}", rewrite),
        ("POST", _UPLOAD, upload),
        ("PUT", _UPLOAD, put),
        ("GET", r"/(?P<bucket>[^/]+)/(?P<name>[^/]+)", content),
    )
