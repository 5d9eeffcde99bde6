"""Loopback ports for servers of tests, outside of the range from which the system lends ports to connections.

A server that a test stops and starts again finds its port still free: nobody's connection was given it meanwhile, and
no other test of the session, since workers (of pytest-xdist) choose among different ones.
"""

from __future__ import annotations

import os
import random
import socket

#: Linux lends 32768 to 60999.
FIRST, LAST = 10_000, 32_000
#: So many workers have ports of their own.
WORKERS = 8

_given: set[int] = set()


def free_port() -> int:
    """Return a loopback port that was free a moment ago; never the same one twice."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    left = sorted(set(range(FIRST + worker, LAST, WORKERS)) - _given)
    random.SystemRandom().shuffle(left)
    for port in left:
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("every port was given to a test")
