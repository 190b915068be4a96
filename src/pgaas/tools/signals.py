"""Let signals wait where an interruption would lose something."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait while a program is started: one that comes before its pid is known would lose it.

    They are not blocked, for the program would inherit that. What has no handler of Python's is left alone.
    """
    held: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in ENDING} if main else {}
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    # Whatever comes while they are set or put back: each is put back.
    with ExitStack() as stack:
        for number, handler in handlers.items():
            stack.callback(signal.signal, number, handler)
            signal.signal(number, lambda number, _: held.append(number))
        yield
    for each in held:
        signal.raise_signal(each)
