"""Limits of control groups, in directories like those of Linux."""

from __future__ import annotations

import pytest

from scratchnst.system import containers
from scratchnst.system.containers import Group

FILES = {
    "cgroup2": ("memory.max", "memory.current", "inactive_file"),
    "cgroup": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


class Machine:
    """A directory with /proc/self and mounted hierarchies."""

    def __init__(self, folder):
        self.folder, self.proc = folder, folder / "proc"
        self.proc.mkdir()
        self.mounts, self.own = ["22 1 0:20 / /proc rw - proc proc rw"], []

    def mount(self, version, name, root, own, options="rw"):
        """Mount a hierarchy's `root` in the directory `name`, in which the process is in the group `own`."""
        place = str(self.folder / name).replace(" ", "\\040")
        self.mounts.append(f"31 23 0:28 {root} {place} rw,relatime shared:9 - {version} {version} {options}")
        self.own.append(f"0::{own}" if version == "cgroup2" else f"4:cpu,memory:{own}")

    def group(self, version, path, limit, used, cache=0):
        """Make a group with its files."""
        directory = self.folder / path
        directory.mkdir(parents=True, exist_ok=True)
        maximum, usage, statistic = FILES[version]
        (directory / maximum).write_text(f"{limit}\n")
        (directory / usage).write_text(f"{used}\n")
        (directory / "memory.stat").write_text(f"anon 5\n{statistic} {cache}\nslab 3\n")

    def groups(self):
        (self.proc / "mountinfo").write_text("\n".join(self.mounts))
        (self.proc / "cgroup").write_text("\n".join([*self.own, "1:name=systemd:/"]))
        return containers.groups(self.proc)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(("version", "options"), [("cgroup2", "rw"), ("cgroup", "rw,memory")])
class TestBothVersions:
    def test_own_group_and_those_that_it_is_in(self, machine, version, options):
        machine.mount(version, "fs", "/", "/slice/own", options)
        machine.group(version, "fs/slice", 900, 500)
        machine.group(version, "fs/slice/own", 600, 300, cache=100)
        assert machine.groups() == [Group(600, 200), Group(900, 500)]

    def test_a_container_that_sees_its_group_as_the_root(self, machine, version, options):
        machine.mount(version, "fs", "/", "/", options)
        machine.group(version, "fs", 700, 1)
        assert machine.groups() == [Group(700, 1)]

    def test_a_container_in_which_its_own_group_is_mounted(self, machine, version, options):
        machine.mount(version, "fs", "/docker/17", "/docker/17", options)
        machine.group(version, "fs", 700, 1)
        assert machine.groups() == [Group(700, 1)]

    def test_a_group_outside_of_what_is_mounted(self, machine, version, options):
        machine.mount(version, "fs", "/docker/17", "/../18", options)
        machine.group(version, "fs", 700, 1)
        assert machine.groups() == [Group(700, 1)]

    def test_a_mount_with_a_space(self, machine, version, options):
        machine.mount(version, "a place", "/", "/", options)
        machine.group(version, "a place", 700, 1)
        assert machine.groups() == [Group(700, 1)]


def test_max_is_no_limit(machine):
    machine.mount("cgroup2", "fs", "/", "/")
    machine.group("cgroup2", "fs", "max", 1)
    assert machine.groups() == []


def test_hierarchies_of_other_controllers(machine):
    machine.mount("cgroup", "fs", "/", "/", "rw,cpu")
    machine.group("cgroup", "fs", 700, 1)
    assert machine.groups() == []


def test_nothing_elsewhere(tmp_path):
    assert containers.groups(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "nonsense", "4:memory", "1 2 3 - cgroup2"])
def test_files_of_another_form(tmp_path, text):
    (tmp_path / "cgroup").write_text(text)
    (tmp_path / "mountinfo").write_text(text)
    assert containers.groups(tmp_path) == []
