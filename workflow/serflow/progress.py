"""Progress for people: a line every ten seconds, readable when several jobs share a terminal."""

import sys
from collections.abc import Iterable

from tqdm import tqdm


class _Lines:
    """Takes what tqdm draws and prints it as lines on `stream`."""

    stream = None  # sys.stderr of the moment unless a job names its terminal
    prefix = ""  # a job's name

    def write(self, text):
        text = text.strip("\r\n ")
        if text:
            print(self.prefix + text, file=self.stream or sys.stderr, flush=True)

    def flush(self):
        pass


LINES = _Lines()
LINE = {
    "file": LINES,
    "mininterval": 10,
    "miniters": 1,
    "delay": 5,
    "leave": False,
    "bar_format": "{desc}: {percentage:3.0f} %, {n_fmt} of {total_fmt}, {remaining} left",
}


def track(items: Iterable, total: int, what: str) -> tqdm:
    """Iterate over `items`, telling every ten seconds how far `what` is and how long it will still take."""
    return tqdm(items, total=total, desc=what, **LINE)


def say(line: str) -> None:
    """One line for people."""
    LINES.write(line)
