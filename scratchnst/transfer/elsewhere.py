"""Runs by the workers of a cluster: pictures and weights travel there, and the picture and its record back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from distributed import get_worker

from scratchnst import __version__  # noqa: F401 workers are asked for it here
from scratchnst.errors import UserError
from scratchnst.files import write_atomically
from scratchnst.system.cluster import Cluster
from scratchnst.transfer import done
from scratchnst.transfer.many import Plan, Run, paint
from scratchnst.transfer.record import GIVEN
from scratchnst.transfer.settings import Settings
from scratchnst.weights.load import DISTILLED, remembering, source_file

FILES_KEPT = 16  # that are on the cluster at a time, though no task needs them: weights, and a picture of many pairs

_alone = Lock()  # a process computes one picture at a time: its threads and its memory are set for all


def there(cluster: Cluster, plan: Plan) -> Iterator[tuple[int, UserError | None]]:
    """Do the runs of a plan on a cluster: yield the number of each, and None or what went wrong; see `many.here`.

    Raises
    ------
    UserError
        If the scheduler or all workers are gone, or a picture cannot be written.
    """

    @lru_cache(FILES_KEPT)
    def shared(path: str, sha256: str) -> Any:
        return cluster.shared(Path(path).read_bytes())

    def jobs() -> Iterator[tuple[Callable[..., Any], tuple]]:
        for run in plan.runs:
            settings = _with_file_of_network(run.settings)
            names = {str(path): run.inputs[str(path)] for path in done.input_files(settings) if path != DISTILLED}
            files = [shared(*each) for each in names.items()]
            yield painted, (settings.to_json(), names, files, list(run.command))

    for number, reply in cluster.replies(jobs(), "picture"):
        if isinstance(reply, UserError):
            yield number, reply
        else:
            _write(plan.runs[number], reply)
            yield number, None


def _with_file_of_network(settings: Settings) -> Settings:
    """Name the file of a network that does not ship: workers may have no such file."""
    file = source_file(settings.network) if settings.network else None
    return settings if file in (None, DISTILLED) else replace(settings, network=str(file))


def _write(run: Run, files: Mapping[str, bytes]) -> None:
    """Write the files of a run, its record at last."""
    record, folder = run.settings.record, run.settings.output.parent
    for name, data in files.items():
        if name != record.name:
            write_atomically(folder / name, data)
    write_atomically(record, files[record.name])
    given, noted = run.settings.to_json(), done.read_record(record)
    named = {name: value for name, value in given.items() if noted[GIVEN][name] != value}
    noted["settings"] = {**noted["settings"], **named}
    done.write_record(record, noted)
    done.note_inputs(run.settings, run.inputs)


def painted(
    given: dict[str, Any], names: Mapping[str, str], contents: Sequence[bytes], command: Sequence[str]
) -> dict[str, bytes] | UserError:
    """Do a run on a worker, and return the files that it has written, or what went wrong.

    Parameters
    ----------
    given : the settings for JSON
    names : of the files that they name, with their SHA-256
    contents : of these files
    command : the words of the command line, for the record
    """
    _remember()
    with _alone, TemporaryDirectory() as folder:
        places = {name: str(_kept(sha256, name, content)) for (name, sha256), content in zip(names.items(), contents)}
        output = Path(folder, Path(given["output"]).name)
        moved = {name: _moved(value, places) for name, value in given.items()}
        try:
            settings = Settings.from_json(moved, output=output, threads=get_worker().state.nthreads)
            paint(settings, command)
        except UserError as error:
            told = str(error)
            for name, place in {**places, given["output"]: str(output)}.items():
                told = told.replace(place, name)
            return UserError(told)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _moved(value: Any, places: Mapping[str, str]) -> Any:
    """Return a value for JSON with the files in it at other places."""
    if isinstance(value, list):
        return [_moved(item, places) for item in value]
    if not isinstance(value, str) or value in places:
        return places.get(value, value)
    file, mark, colour = value.rpartition("#")  # a mask, see `scratchnst.images.masks`
    return f"{places[file]}#{colour}" if mark and file in places else value


def _kept(sha256: str, name: str, content: bytes) -> Path:
    """Return where a file lies on this worker, and write it if it is not there."""
    place = Path(get_worker().local_directory, "scratchnst", sha256, Path(name).name)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content)
    return place


@cache
def _remember() -> ExitStack:
    """Load no network twice as long as this process lives."""
    stack = ExitStack()
    stack.enter_context(remembering())
    return stack
