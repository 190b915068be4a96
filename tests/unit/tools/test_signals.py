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
