"""Every error of the lab, each class with its exit code."""


class LabError(Exception):
    """Say what went wrong, where, and what to do next."""

    exit_code = 1


class UsageError(LabError):
    """Refuse a request that this machine or this user cannot carry out."""

    exit_code = 2


class ToolMissing(LabError):
    """Name the program that is not installed."""

    exit_code = 4


class ToolFailed(LabError):
    """Report a program that ended with an error."""

    exit_code = 5


class TimedOut(LabError):
    """Report a wait that came to its end, with what was seen last."""

    exit_code = 7


class NotUp(LabError):
    """Report a lab that is not fully up."""

    exit_code = 9


class Interrupted(LabError):
    """Report that the user stopped a command."""

    exit_code = 130
