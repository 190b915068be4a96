"""Find and undo mounts under the lab's folders."""

from pathlib import Path

from pgaas_lab.command import run


def parse_mounts(mountinfo: str, under: list[Path]) -> list[str]:
    """Return the mount points in the text of /proc/self/mountinfo that lie under a folder, newest first."""
    prefixes = tuple(f"{folder}/" for folder in under)
    points = [unescape(line.split()[4]) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if f"{point}/".startswith(prefixes)]


def unescape(point: str) -> str:
    """Return a mount point as it is written in the file system."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point


def under(*folders: Path) -> list[str]:
    """Return the mount points under some folders, newest first."""
    return parse_mounts(Path("/proc/self/mountinfo").read_text(), [folder.resolve() for folder in folders])


def unmount(*folders: Path) -> list[str]:
    """Unmount everything under some folders and return what would not go."""
    if points := under(*folders):
        run(["umount", *points], check=False)
    if points := under(*folders):
        # What is still busy is let go of as soon as its last user ends.
        run(["umount", "--lazy", *points], check=False)
    return under(*folders)
