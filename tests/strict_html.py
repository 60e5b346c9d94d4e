"""A strict reader of HTML, and a name that would break out of a careless page."""

from __future__ import annotations

import html.parser

HOSTILE = "<img src=x onerror=pwned()>|`*_[a](http://x)\"'&"
VOID = {"meta", "img", "br", "input"}


class Strict(html.parser.HTMLParser):
    """Every element closes in order; what loads, runs or leads elsewhere is kept."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]
