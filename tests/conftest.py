"""What every test has: a Ctrl-C that works, and a `today` that lasts as long as the test."""

from __future__ import annotations

import datetime
import signal
import time
from collections.abc import Iterator

import pytest

from plugins import machine

LONGEST = 60  # seconds that a test which asks for `today` may take


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """A shell's job in the background ignores SIGINT, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def today() -> datetime.date:
    """The date, of a day that does not end while one test runs: it waits for midnight to pass."""
    now = datetime.datetime.now(datetime.timezone.utc)
    left = (24 - now.hour) * 3600 - now.minute * 60 - now.second
    if left <= LONGEST:
        time.sleep(left)
    return machine.today()
