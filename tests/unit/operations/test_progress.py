from __future__ import annotations

import pytest

from pgaas.cli.progress import Lines
from pgaas.operations.progress import Silent, step


class Recorder(Silent):
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def started(self, step: str) -> None:
        self.events.append(("started", step))

    def finished(self, text: str = "") -> None:
        self.events.append(("finished", text))

    def failed(self, text: str) -> None:
        self.events.append(("failed", text))


def test_a_step_that_ends_well_is_finished():
    recorder = Recorder()
    with step(recorder, "work") as outcome:
        outcome.text = "three files"
    assert recorder.events == [("started", "work"), ("finished", "three files")]


def test_a_step_with_a_problem_has_failed():
    recorder = Recorder()
    with step(recorder, "work") as outcome:
        outcome.problem = "one of three"
    assert recorder.events[-1] == ("failed", "one of three")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError(), "ValueError"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_a_step_that_raises_has_failed_and_the_error_goes_on(error: BaseException, text: str):
    recorder = Recorder()
    with pytest.raises(type(error)), step(recorder, "work"):
        raise error
    assert recorder.events == [("started", "work"), ("failed", text)]


def test_a_log_gets_a_line_for_each_change_and_none_for_the_same_again(capsys):
    lines = Lines(verbose=False)
    lines.started("waiting")
    for text in ("0 of 3", "0 of 3", "1 of 3"):
        lines.detail(text)
    lines.advanced(1, 3)
    lines.command("helm upgrade")
    lines.note("look out")
    lines.finished("3 of 3")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "waiting …",
        "  0 of 3",
        "  1 of 3",
        "note: look out",
        "[ok] waiting (0 s): 3 of 3",
    ]


def test_commands_are_shown_when_asked(capsys):
    lines = Lines(verbose=True)
    lines.command("helm upgrade ***")
    assert capsys.readouterr().err == "+ helm upgrade ***\n"
