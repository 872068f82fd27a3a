"""Compiles CUDA kernels for the CPU, by g++."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scratchnst.errors import UserError

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
MOST_THREADS = 1024  # of a block, on any GPU, where a kernel's __launch_bounds__ sets no lower bound
_COMMAND = ("g++", "-x", "c++", "-std=c++17", "-O1", "-w", "-U_FORTIFY_SOURCE")
_LIBRARY = ("-fPIC", "-shared", "-fvisibility=hidden")
_POISONED_VARIABLES = "-ftrivial-auto-var-init=pattern"
_SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize=vptr", "-fno-sanitize-recover=all")
_SANITIZED_SECTION = "-fsanitize-sections=shared_memory"
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\(([^)]*)\)\s*)?(\w+)\s*\(([^)]*)\)')
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class CompileException(Exception):
    """Stands for ``cupy.cuda.compiler.CompileException``: the message is the compiler's."""


class _Entry(ctypes.Structure):
    """`cpu::Kernel` of the header."""

    _fields_ = (
        ("parameters", ctypes.c_char_p),
        ("most_threads", ctypes.c_int),
        ("run", ctypes.CFUNCTYPE(ctypes.c_char_p, *[ctypes.POINTER(ctypes.c_uint)] * 2, ctypes.c_void_p, ctypes.c_int)),
    )


class Parameter(NamedTuple):
    """One parameter of a kernel."""

    declaration: str  # as the source writes it
    type: str  # of the number, or of those at the pointer, as NumPy calls it
    is_pointer: bool
    is_constant: bool  # a pointer to numbers that the kernel must not change

    @property
    def name(self) -> str:
        return re.findall(r"\w+", self.declaration)[-1]

    @property
    def is_restricted(self) -> bool:
        """Whether the source promises that nothing else leads to the same numbers."""
        return "__restrict__" in self.declaration


class Kernel:
    """A kernel in machine code: ``run(grid, block, addresses of the arguments, whether in reverse order)``."""

    def __init__(self, library: ctypes.CDLL, name: str, declarations: list[str]):
        entry = _Entry.in_dll(library, f"cpu_{name}")
        types = entry.parameters.decode().rstrip(",").split(",") if declarations else []
        self.name, self.run, self.most_threads = name, entry.run, entry.most_threads
        self.parameters = [
            Parameter(declaration, type.removeprefix("const ").rstrip("*"), "*" in type, type.startswith("const "))
            for declaration, type in zip(declarations, types, strict=True)
        ]
        self._library = library  # it must stay loaded


def is_sanitizing() -> bool:
    """Tell whether AddressSanitizer is loaded into this process; if it is, kernels are compiled for it."""
    return "libasan" in os.environ.get("LD_PRELOAD", "")


@cache
def compile(code: str, options: tuple[str, ...]) -> dict[str, Kernel]:
    """Return name -> kernel, of the text of a ``.cu`` file.

    What g++ has made of a text is kept in the folder for temporary files.

    Parameters
    ----------
    code : CUDA C
    options : -DNAME=VALUE ...; those that only a compiler for GPUs knows are left out

    Raises
    ------
    CompileException
        If g++ does not accept it.
    UserError
        If g++ is not installed, or the system is not Linux.
    """
    kernels = {name: (bound, parameters) for bound, name, parameters in _KERNEL.findall(_COMMENT.sub("", code))}
    most = {name: bound.split(",")[0].strip() or MOST_THREADS for name, (bound, _) in kernels.items()}
    entries = "".join(f"CPU_KERNEL({name}, {threads})\n" for name, threads in most.items())
    unit = f'#include "{HEADER}"\nnamespace {{\n#line 1 "kernel.cu"\n{code}\n}}\n{entries}'
    library = ctypes.CDLL(str(_built(unit, tuple(option for option in options if option.startswith("-D")))))
    return {
        name: Kernel(library, name, [part.strip() for part in inside.split(",") if part.strip()])
        for name, (_, inside) in kernels.items()
    }


def _built(unit: str, options: tuple[str, ...]) -> Path:
    """Return the path of a shared library; if several processes make it at once, each ends with a whole one."""
    command = [*_command(), *options]
    key = hashlib.sha256("\0".join([unit, HEADER.read_text(), *command]).encode()).hexdigest()[:24]
    target = _folder() / f"{key}.so"
    if not target.exists():
        handle, unfinished = tempfile.mkstemp(dir=target.parent, suffix=".unfinished")
        os.close(handle)
        try:
            done = _run([*command, "-", "-o", unfinished, "-lrt"], unit)
            if done.returncode:
                raise CompileException(done.stderr)
            os.replace(unfinished, target)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    return target


@cache
def _command() -> list[str]:
    if sys.platform != "linux":
        raise UserError("The emulated GPU works on Linux only: choose --device cpu.")
    if shutil.which("g++") is None:
        raise UserError("The emulated GPU compiles kernels with g++, which is not here: install it (apt install g++).")
    command = [*_COMMAND, *_LIBRARY] + [_POISONED_VARIABLES] * _knows(_POISONED_VARIABLES)
    if is_sanitizing():
        command += [*_SANITIZERS] + [_SANITIZED_SECTION] * _knows(_SANITIZED_SECTION)
    return command


def _knows(option: str) -> bool:
    """Tell whether this version of g++ has an option."""
    return not _run(["g++", option, "-fsyntax-only", "-x", "c++", "-"], "").returncode


def _run(command: Sequence[str], text: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # not for the compiler
    return subprocess.run(command, input=text, text=True, capture_output=True, env=environment)


@cache
def _folder() -> Path:
    """Return this user's folder for what is compiled: no other user may write there, since we execute it."""
    folder = Path(tempfile.gettempdir()) / f"scratchnst-emulator-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_ours = (
        folder.is_dir() and not folder.is_symlink() and status.st_uid == os.getuid() and not status.st_mode & 0o022
    )
    return folder if is_ours else Path(tempfile.mkdtemp(prefix="scratchnst-emulator-"))
