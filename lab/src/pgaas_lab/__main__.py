"""The console script: run the command line, and turn the lab's errors into messages and exit codes."""

import sys

import httpx

from pgaas_lab.cli import app
from pgaas_lab.errors import LabError, ToolFailed
from pgaas_lab.steps import standard_error


def main() -> None:
    """Run `pgaas-lab`."""
    try:
        app()
    except LabError as error:
        fail(str(error), error.exit_code)
    except httpx.HTTPError as error:
        fail(f"an API server went away: {error}; run it again", ToolFailed.exit_code)
    except OSError as error:
        # A full disk, a file that is not ours: the machine's trouble, not the lab's.
        fail(f"{error}; mend that and run it again", ToolFailed.exit_code)


def fail(message: str, code: int) -> None:
    """Print what went wrong, and end with a code."""
    standard_error().print(f"[red]pgaas-lab:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)


def escape(text: str) -> str:
    """Return a text that rich prints as it is."""
    return text.replace("[", "\\[")


if __name__ == "__main__":
    main()
