"""Loopback ports for servers of tests, outside of the range from which the system lends ports to connections.

A server that a test stops and starts again finds its port still free: nobody's connection was given it meanwhile.
"""

from __future__ import annotations

import random
import socket

#: Linux lends 32768 to 60999.
FIRST, LAST = 10_000, 32_000


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    chance = random.SystemRandom()
    while True:
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", chance.randrange(FIRST, LAST)))
            except OSError:
                continue
            return int(listener.getsockname()[1])
