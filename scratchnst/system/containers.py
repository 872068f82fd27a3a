"""How much memory Linux lets this process have: its control groups' limits, which containers are made of.

Only the standard library is imported here, since `startup` asks before anything else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PROC = Path("/proc/self")


class Files(NamedTuple):
    """The files of a memory controller, and what in the statistics is cache that is given back when it is needed."""

    limit: str
    usage: str
    cache: str


VERSIONS = {
    "cgroup2": Files("memory.max", "memory.current", "inactive_file "),
    "cgroup": Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
}


class Group(NamedTuple):
    """Bytes that a control group may take, and those that its processes take now, without cache."""

    limit: int
    used: int


def groups(proc: Path = PROC) -> list[Group]:
    """Return this process's control groups, of versions 1 and 2, that have a limit of memory; elsewhere none."""
    found: list[Group] = []
    with suppress(OSError, ValueError):  # no Linux, or files of another form
        own = _own_groups((proc / "cgroup").read_text())
        for version, root, mount in _mounts((proc / "mountinfo").read_text()):
            found += _limited(VERSIONS[version], mount, mount / _below(own.get(version, root), root))
    return found


def _below(group: str, root: str) -> PurePosixPath:
    """Return the way from a mounted group to this process's; one that is elsewhere is taken to be the mounted one."""
    try:
        return PurePosixPath(group).relative_to(root)
    except ValueError:
        return PurePosixPath()


def _own_groups(text: str) -> dict[str, str]:
    """Return version -> the path of this process's group: of version 1, of the controller of memory."""
    own = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            own["cgroup2"] = path
        elif "memory" in controllers.split(","):
            own["cgroup"] = path
    return own


def _mounts(text: str) -> Iterator[tuple[str, str, Path]]:
    """Return version, root and mount point of each mounted hierarchy that may control memory."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        root, mount = (name.replace("\\040", " ") for name in before.split()[3:5])
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            yield kind, root, Path(mount)


def _limited(files: Files, mount: Path, group: Path) -> Iterator[Group]:
    """Return the limits of a group and of those that it is in, up to the mount."""
    for one in (group, *group.parents):
        with suppress(OSError, ValueError):  # no such file, or no limit: "max"
            limit, used = (int((one / name).read_text()) for name in (files.limit, files.usage))
            statistics = (one / "memory.stat").read_text().splitlines()
            cache = sum(int(line.split()[1]) for line in statistics if line.startswith(files.cache))
            yield Group(limit, max(used - cache, 0))
        if one == mount:
            return
