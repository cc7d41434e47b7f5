"""HTML as a browser would see it, near enough for a test."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

VOID = {"meta", "img"}


class Seen(HTMLParser):
    """Tags and texts of a page whose every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if text.strip():
            self.texts.append(text.strip())

    def count(self, tag):
        return sum(found == tag for found, _ in self.tags)


@pytest.fixture
def see():
    return Seen


@pytest.fixture
def svg():
    """Reads a drawing; it must be XML."""

    def read(text):
        start, end = text.index("<svg"), text.index("</svg>") + len("</svg>")
        return ElementTree.fromstring(text[start:end])

    return read
