"""Measures how long a server keeps its clients waiting: visit.py PORT RESULT, until its standard input ends.

Asks for a page over one connection, again a millisecond after each answer. Writes the seconds of the
longest wait. The first visits, which make the connection and warm the server, do not count; "ready" on our
standard output says that they are over.
"""

import http.client
import select
import sys
import time

EVERY = 0.001  # seconds between an answer and the next request
FIRST = 100  # visits that do not count


def visit(connection: http.client.HTTPConnection) -> float:
    """Seconds from a request to the end of its answer."""
    began = time.monotonic()
    connection.request("GET", "/")
    connection.getresponse().read()
    return time.monotonic() - began


def worst(port: int) -> float:
    """The longest of all visits until our standard input ended."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(FIRST):
        visit(connection)
    print("ready", flush=True)
    longest = 0.0
    while not select.select([0], [], [], EVERY)[0]:
        longest = max(longest, visit(connection))
    return longest


with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write(f"{worst(int(sys.argv[1]))}")
