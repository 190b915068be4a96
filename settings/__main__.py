"""Write the table anew: `python -m settings FOLDER…`, each folder with the programs of another major version.

Folders are such as /usr/lib/postgresql/17/bin; versions that none of them has stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from settings.ask import contexts
from settings.server import installed, version
from settings.table import FILE, read, write


def main(folders: list[Path]) -> None:
    """Ask the servers in these folders, or all that are installed."""
    table = read(FILE)
    for programs in folders or installed().values():
        major, full = version(programs)
        _, known = table.get(major, ("", {}))
        # What a library brings stays where the server that is asked now does not have it.
        table[major] = (full, {name: known[name] for name in known if "." in name} | contexts(programs))
    write(FILE, table)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
