import signal

import pytest

from pgaas.tools.signals import ENDING, signals_held


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_waits_until_the_pid_is_known(number: signal.Signals):
    class Told(Exception):
        pass

    def tell(*_: object) -> None:
        raise Told

    before = signal.signal(number, tell)
    done = []

    def start() -> None:
        with signals_held():
            signal.raise_signal(number)
            done.append("started")

    try:
        with pytest.raises(Told):
            start()
        assert done == ["started"]
        assert signal.getsignal(number) is tell
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_held():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_comes_while_handlers_are_put_back_leaves_none_behind(monkeypatch: pytest.MonkeyPatch):
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in ENDING}
    put = signal.signal

    def interrupted(number: int, handler: object) -> object:
        found = put(number, handler)
        if number == signal.SIGTERM and handler is end:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(signal, "signal", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), signals_held():
            pass
        assert {signal.getsignal(number) for number in ENDING} == {end}
    finally:
        for number, handler in before.items():
            put(number, handler)
