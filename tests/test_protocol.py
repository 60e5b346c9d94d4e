"""Frames: what is sent is what is received, and what is no frame is said to be none."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

from plugins.workers import protocol
from tests.frames import ODD_ARRAYS


@pytest.mark.parametrize("name", ODD_ARRAYS)
def test_an_array_comes_back_bit_for_bit_and_writable(name):
    sent = ODD_ARRAYS[name]
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source, os.fdopen(write, "wb") as sink:
        protocol.send(sink, {"a": 1}, {name: sent})
        header, arrays = protocol.receive(source)
    back = arrays[name]
    assert header == {"a": 1}
    assert (back.shape, back.dtype) == (sent.shape, sent.dtype.newbyteorder("="))
    assert back.tobytes() == sent.astype(sent.dtype.newbyteorder("<")).tobytes()
    assert back.flags.writeable


def frame(header: dict, **arrays) -> bytes:
    stream = io.BytesIO()
    protocol.send(stream, header, arrays)
    return stream.getvalue()


def test_a_stream_that_ends_between_frames_is_at_its_end():
    with pytest.raises(EOFError):
        protocol.receive(io.BytesIO())


@pytest.mark.parametrize("share", [0.05, 0.3, 0.95])
def test_a_frame_that_is_cut_short_anywhere_is_none(share):
    whole = frame({"ok": True}, a=np.ones(9))
    with pytest.raises(protocol.ProtocolError):
        protocol.receive(io.BytesIO(whole[: int(share * len(whole))]))


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (b"Traceback (most", "not a frame: it begins with b'Tracebac'"),
        (b"RNW1\xff\xff\xff\xff", "a header of 4294967295 bytes is beyond the limit"),
        (b"RNW1\x02\0\0\0{}", "not a frame: its header is b'{}'"),
        (frame({}, a=np.ones(1)).replace(b"float64", b"complex"), "unknown dtype complex"),
    ],
)
def test_what_is_no_frame_is_said_to_be_none(stream, sentence):
    with pytest.raises(protocol.ProtocolError, match=sentence):
        protocol.receive(io.BytesIO(stream))


def test_what_cannot_be_sent_leaves_the_stream_as_it_was():
    stream = io.BytesIO()
    for header, arrays in (({"a": {1}}, {}), ({}, {"a": np.ones(1, complex)})):
        with pytest.raises(protocol.Unsendable):
            protocol.send(stream, header, arrays)
    assert stream.getvalue() == b""
