"""The console script: run the command line, and turn the lab's errors into messages and exit codes."""

import sys

from pgaas_lab.cli import app
from pgaas_lab.errors import LabError
from pgaas_lab.steps import standard_error


def main() -> None:
    """Run `pgaas-lab`."""
    try:
        app()
    except LabError as error:
        standard_error().print(f"[red]pgaas-lab:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)


def escape(text: str) -> str:
    """Return a text that rich prints as it is."""
    return text.replace("[", "\\[")


if __name__ == "__main__":
    main()
