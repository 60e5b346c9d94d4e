"""Backbone weights: from wherever they are, whole, the ones that their name promises, or a sentence."""

from __future__ import annotations

import hashlib
import io
import socket
import urllib.request

import pytest

from plugins.drivers import backbone
from plugins.drivers.cache import Cache
from plugins.failure import LabError

CONTENT = b"PK\x03\x04 weights"
NAME = f"resnet50-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
ADDRESS = f"https://weights.invalid/models/{NAME}"


@pytest.fixture
def resolve(tmp_path):
    """Resolve an address with a cache of its own; `told` collects what it says."""

    def one(address):
        return backbone.resolve(str(address), cache=Cache(tmp_path / "cache"), tell=one.told.append)

    one.told = []
    return one


@pytest.fixture
def server(monkeypatch):
    """Answers every download with `content`; `asked` counts them."""

    class Server:
        content, length, asked = CONTENT, None, 0

    def answer(address, timeout):
        Server.asked += 1
        reply = io.BytesIO(Server.content)
        reply.headers = {"Content-Length": str(Server.length or len(Server.content))}
        return reply

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return Server


def test_a_local_file_is_used_where_it_is(resolve, tmp_path):
    path = tmp_path / "a folder" / NAME
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert resolve(path) == path
    assert resolve.told == []


def test_a_file_without_digits_in_its_name_is_taken_at_its_word(resolve, tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"\x80\x02 an older format")
    assert resolve(path) == path


def test_a_download_is_announced_and_done_once(resolve, server):
    path = resolve(ADDRESS)
    assert (path.name, path.read_bytes()) == (NAME, CONTENT)
    assert resolve(ADDRESS) == path
    assert server.asked == 1
    assert resolve.told == [f"downloading {ADDRESS}"]


def test_another_file_under_the_name_is_refused_and_not_kept(resolve, server, tmp_path):
    server.content = b"PK\x03\x04 other weights"
    with pytest.raises(LabError, match=rf"{NAME}: its SHA-256 begins with \w{{8}}, not with "):
        resolve(ADDRESS)
    assert not list((tmp_path / "cache").rglob("*.pth"))
    assert not list((tmp_path / "cache").rglob("partial*"))
    server.content = CONTENT
    assert resolve(ADDRESS).read_bytes() == CONTENT


def test_a_download_that_stops_half_way_is_said(resolve, server):
    server.length = 2 * len(CONTENT)
    with pytest.raises(LabError, match="the download stopped at 12 of 24 bytes; run again, or "):
        resolve(ADDRESS)


def test_a_truncated_local_file_is_refused(resolve, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(LabError, match="truncated or another file: download it again"):
        resolve(path)


def test_a_page_that_was_saved_as_weights_is_refused(resolve, tmp_path):
    path = tmp_path / "mine.pth"
    path.write_text("<html>not found</html>")
    with pytest.raises(LabError, match=r"mine\.pth: is no file that torch\.save writes"):
        resolve(path)


def test_without_a_connection_the_sentence_says_what_to_do(resolve):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(LabError) as caught:
        resolve(f"https://127.0.0.1:{port}/{NAME}")
    assert "cannot be downloaded here (" in str(caught.value)
    assert "give --backbone=file:///path/of/the/file" in str(caught.value)


def test_an_absent_file_is_named(resolve, tmp_path):
    with pytest.raises(LabError, match="there is no such file"):
        resolve(tmp_path / "gone.pth")
