"""Paint a video: every frame by a trained network; the times of the frames and the sound stay as they are.

Frames are painted in parts of `PART` frames, each of which is a file of its own, so that an interrupted run can go on.
`paint_parts` needs nothing but the video's file and the numbers of the parts; it can run anywhere and in any order.
A `Painter` paints the frames: here processes of this machine do, in `scratchnst.fast.cluster` other machines.
`join` puts the parts together, packet by packet, without encoding them anew.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from itertools import chain, cycle, groupby
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np

from scratchnst import images
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import FastStyle
from scratchnst.files import atomic_file, open_input, write_atomically
from scratchnst.images import colour_control
from scratchnst.models import transform_net
from scratchnst.system import signals, startup
from scratchnst.system.child import Parent
from scratchnst.system.process import Ended, Process

PART = 50  # frames; each part begins with a key frame
PART_FORMAT = "nut"  # FFmpeg's own, which keeps the times of frames as they are
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
PICTURES = ("image2", "tty")  # FFmpeg's formats of single pictures, and of text, besides those in _pipe
WITH_DURATION = ("mov", "matroska", "avi", "asf", "flv")  # formats whose header tells how long the video is
CUT_OFF = 1.0  # seconds that are missing at the end of a truncated file, at least
BT709, UNSPECIFIED, BT470BG, SMPTE170M, BT2020 = 1, 2, 5, 6, 9  # FFmpeg's AVCOL_SPC_...
KEPT_COLOURS = (BT709, UNSPECIFIED, BT470BG, SMPTE170M, BT2020)
MATRICES = {BT709: "ITU709", BT2020: "BT2020"}  # from RGB to YUV; of all others ITU601
LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG: Y from 16 to 235
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Video:
    """What a file holds.

    Attributes
    ----------
    path : of the file
    frames : how many, as its packets have it
    seconds : from the first frame to the last
    shape : height and width of the frames, upright
    rate : frames a second, on average
    time_base : seconds of a tick, in which the times of the frames are counted
    start : seconds at which the file begins
    matrix : a, b, c, d: a pixel (x, y) is shown at (a x + c y, b x + d y), multiples of 90 degrees and mirrored or not
    pixel_aspect : width of a pixel by its height, as it is stored; None is 1
    colours : FFmpeg's numbers of the matrix, the primaries and the transfer function
    sound : the codecs of the sound
    """

    path: Path
    frames: int
    seconds: float
    shape: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    start: Fraction
    matrix: tuple[int, int, int, int]
    pixel_aspect: Fraction | None
    colours: tuple[int, int, int]
    sound: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """A picture (H, W, 3) uint8, RGB, its number, and when it is shown and how long, in ticks."""

    number: int
    time: int
    duration: int
    picture: np.ndarray


@dataclass(frozen=True)
class Look:
    """How frames are painted and encoded.

    Attributes
    ----------
    model, style, strength : see `FastStyle`
    shape : height and width of the painted frames
    crf : x264's constant rate factor: 0 is without loss, 51 the smallest file
    colors, color_matching : see `FastStyle`
    """

    model: FastStyle
    style: Mapping[str, float]
    strength: float
    shape: tuple[int, int]
    crf: float
    colors: str = colour_control.STYLE
    color_matching: str = colour_control.MATCHING

    def paint(self, frame: Frame) -> Frame:
        """Return the painted frame."""
        picture = images.resize(frame.picture.astype(np.float32), *self.shape)
        painting = self.model(
            picture, self.style, self.strength, colors=self.colors, color_matching=self.color_matching
        )
        return replace(frame, picture=np.rint(painting).astype(np.uint8))


Painter = Callable[[Look, Iterable[Frame]], Generator[Frame, None, None]]  # yields the painted frames in their order


def examine(path: Path) -> Video:
    """Read what a file holds; all of it is read, and one frame is decoded.

    Raises
    ------
    UserError
        If there is no such file, it is no video, has no frames or is truncated.
    """
    with _opened(path) as container:
        if container.format.name.endswith("_pipe") or container.format.name in PICTURES:
            raise UserError(f"{path} is a picture, not a video: paint it by scratchnst fast.")
        stream = _pictures(container, path)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise UserError(f"{path} has no frames: choose another file.")
        matrix = _matrix(frame)
        video = Video(
            path=path,
            frames=0,
            seconds=0.0,
            shape=(frame.width, frame.height) if _is_turned(matrix) else (frame.height, frame.width),
            rate=Fraction(stream.average_rate or stream.guessed_rate or 25),
            time_base=stream.time_base,
            start=Fraction(container.start_time or 0, av.time_base),
            matrix=matrix,
            pixel_aspect=stream.sample_aspect_ratio or None,
            colours=_colours(frame),
            sound=tuple(sound.codec_context.codec.canonical_name for sound in container.streams.audio),
        )
    return _counted(video)


def fitted_shape(video: Video, size: int | None) -> tuple[int, int]:
    """Return the height and width of the painted frames: the video's, or with `size` pixels, even numbers, at most.

    Raises
    ------
    UserError
        If they are too small to be painted.
    """
    height, width = video.shape
    if size:
        height, width = (max(2, side // 2 * 2) for side in images.fitted_shape(video.shape, size))
    if min(height, width) < transform_net.SMALLEST_SIDE:
        raise UserError(
            f"frames of {width}x{height} pixels are too small to be painted: they need at least "
            f"{transform_net.SMALLEST_SIDE} pixels a side."
        )
    return height, width


def check_sound(video: Video, output: Path) -> None:
    """Raise a UserError unless the format of the output, by its suffix, takes the sound as it is."""
    with av.open(BytesIO(), "w", format=FORMATS[output.suffix.lower()]) as container:
        strange = [codec for codec in video.sound if codec not in container.supported_codecs]
    if strange:
        raise UserError(
            f"{output} cannot take the sound of {video.path} as it is, {strange[0]}: give it the suffix .mkv."
        )


def paint(
    video: Video,
    output: Path,
    look: Look,
    settings: Mapping[str, Any],
    painter: Painter | None = None,
    show: Callable[[int], None] = lambda frames: None,
) -> None:
    """Paint a video; what an interrupted run with the same settings has done is not done again.

    Parameters
    ----------
    video, output : what is painted, and the file that is written whole or not at all
    look : see `Look`
    settings : JSON that tells one run from another
    painter : who paints the frames; by default this process
    show : called with the number of frames that are done

    Raises
    ------
    UserError
        If the video is damaged, a file cannot be written, or an interrupted run had other settings.
    """
    folder = parts_folder(output)
    _enter(folder, settings)
    numbers = range(-(-video.frames // PART))
    missing = [number for number in numbers if not _part(folder, number).exists()]
    done = min(PART * (len(numbers) - len(missing)), video.frames)
    show(done)
    for number, data in paint_parts(video, missing, look, painter, lambda painted: show(done + painted)):
        write_atomically(_part(folder, number), data)
    join(video, [path for number in numbers if (path := _part(folder, number)).exists()], output)
    _remove(folder)


def parts_folder(output: Path) -> Path:
    """Return the folder in which the finished parts of an output wait for the others."""
    return Path(f"{output}.parts")


def paint_parts(
    video: Video,
    parts: Collection[int],
    look: Look,
    painter: Painter | None = None,
    show: Callable[[int], None] = lambda frames: None,
) -> Iterator[tuple[int, bytes]]:
    """Paint parts of a video: yield the number of each and its file; part n has the frames from n `PART` on."""
    wanted = frames(video, parts)
    painted = 0

    def shown(group: Iterable[Frame]) -> Iterator[Frame]:
        nonlocal painted
        for frame in group:
            yield frame
            painted += 1
            show(painted)

    with closing((painter or by_processes(1))(look, wanted)) as paintings:
        for number, group in groupby(paintings, lambda frame: frame.number // PART):
            yield number, _encoded(shown(group), video, look)


def by_processes(number: int) -> Painter:
    """Return what paints frames by so many processes, one frame each; by this one, if it is one.

    Threads of one process would wait for each other: at 480x270 pixels two of them painted as many frames a second as
    one, two processes 1.4 times as many.
    """

    def paint(look: Look, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        if number == 1:
            yield from map(look.paint, frames)
            return
        with ExitStack() as stack:
            workers = [stack.enter_context(Process(__name__, plain=startup.record() is None)) for _ in range(number)]
            turn = cycle(workers)  # each replies in the order in which it is asked

            def begin(frame: Frame) -> Process:
                worker = next(turn)
                worker.send(frame)
                return worker

            try:
                for worker in workers:
                    worker.send(look)
                for worker in in_order(begin, frames, lambda: 2 * number):
                    yield _painted(worker.receive())
            except Ended as error:
                raise UserError(
                    f"a process that paints frames is lost ({error}): the same command goes on; --threads 1 takes the "
                    "least memory."
                ) from None

    return paint


def _painted(reply: Any) -> Frame:
    if isinstance(reply, Exception):
        raise reply
    return reply


def work(parent: Parent) -> NoReturn:
    """Paint frames, in a worker: first it is sent how, then one frame after the other."""
    signals.ignore()  # the parent ends this process
    threads.set_count(1)
    look = parent.receive()
    while True:
        try:
            parent.send(look.paint(parent.receive()))
        except Exception as error:
            parent.send(error)


def in_order(begin: Callable[[Any], Any], items: Iterable[Any], most: Callable[[], int]) -> Iterator[Any]:
    """Yield ``begin(item)`` of each item, in their order, when `most()` others have begun after it, or all have."""
    begun: deque = deque()
    for item in items:
        begun.append(begin(item))
        while len(begun) > most():
            yield begun.popleft()
    yield from begun


def frames(video: Video, parts: Collection[int]) -> Iterator[Frame]:
    """Yield the frames of some parts, upright; those before them are decoded, which takes little time.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    if not parts:
        return
    with _opened(video.path) as container:
        stream = _pictures(container, video.path)
        stream.thread_type = "AUTO"
        step = max(1, round(1 / (video.rate * video.time_base)))
        time = -step
        for number, frame in enumerate(container.decode(stream)):
            time = max(time + 1, frame.pts) if frame.pts is not None else time + step
            if number // PART > max(parts):
                return
            if number // PART in parts:
                picture = _upright(frame.to_ndarray(format="rgb24"), video.matrix)
                yield Frame(number, time, frame.duration or step, picture)


def join(video: Video, parts: list[Path], output: Path) -> None:
    """Write the frames of the parts and the sound of the video into one file, whole or not at all.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    with ExitStack() as stack:
        source = stack.enter_context(_opened(video.path))
        first = stack.enter_context(av.open(str(parts[0])))
        file = stack.enter_context(atomic_file(output))
        target = stack.enter_context(av.open(file, "w", format=FORMATS[output.suffix.lower()]))
        target.metadata.update(source.metadata)
        streams = {first.streams.video[0]: target.add_stream_from_template(first.streams.video[0])}
        for sound in source.streams.audio:
            streams[sound] = target.add_stream_from_template(sound)
            streams[sound].metadata.update(sound.metadata)
        painted = chain.from_iterable(_packets(part) for part in parts)
        heard = (packet for packet in source.demux(source.streams.audio) if packet.dts is not None)
        pictures = streams[first.streams.video[0]]
        for packet in heapq.merge(painted, heard if source.streams.audio else (), key=_seconds):
            shift = round(video.start / packet.time_base)
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            packet.stream = streams.get(packet.stream, pictures)
            target.mux(packet)


def _encoded(pictures: Iterable[Frame], video: Video, look: Look) -> bytes:
    """Return a part: a file with these frames."""
    height, width = look.shape
    matrix, primaries, transfer = video.colours
    data = BytesIO()
    with av.open(data, "w", format=PART_FORMAT) as container:
        # Without B-frames, packets are in the order in which they are shown, and parts follow each other.
        options = {"crf": f"{look.crf:g}", "bf": "0", "threads": "1"}
        stream = container.add_stream("libx264", rate=video.rate, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.time_base = stream.codec_context.time_base = video.time_base
        stream.codec_context.color_range = LIMITED
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_primaries = primaries
        stream.codec_context.color_trc = transfer
        aspect = video.pixel_aspect
        if aspect:
            stream.codec_context.sample_aspect_ratio = 1 / aspect if _is_turned(video.matrix) else aspect
        for frame in pictures:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.picture), "rgb24").reformat(
                format=stream.pix_fmt, dst_colorspace=MATRICES.get(matrix, "ITU601"), dst_color_range="MPEG"
            )
            picture.pts, picture.time_base, picture.duration = frame.time, video.time_base, frame.duration
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return data.getvalue()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video: an error of FFmpeg's within the block becomes a UserError."""
    try:
        open_input(path).close()
        with av.open(str(path)) as container:
            yield container
    except FileNotFoundError:
        raise UserError(f"there is no file {path}: check its name and directory.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory: name a video.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: change its permissions or choose another file.") from None
    except av.error.FFmpegError as error:
        raise UserError(
            f"{path} is truncated, damaged or no video ({error.strerror}): choose another file, or get it anew."
        ) from None


def _pictures(container: Any, path: Path) -> Any:
    """Return the stream of the frames; sound may come with a picture of its own, its cover."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise UserError(f"{path} has no frames: it is no video, choose another file.")


def _counted(video: Video) -> Video:
    """Return the video with its number of frames, or raise a UserError if it ends too early."""
    number, first, last, end = 0, None, video.start, video.start
    with _opened(video.path) as container:
        pictures = _pictures(container, video.path)
        for packet in container.demux():
            if not packet.size or packet.dts is None:
                continue
            time = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
            if packet.stream is pictures:
                number, first, last = number + 1, time if first is None else min(first, time), max(last, time)
            end = max(end, time)
        length = Fraction(container.duration or 0, av.time_base)
        has_duration = container.format.name.split(",")[0] in WITH_DURATION
    if has_duration and end < video.start + length - CUT_OFF:
        raise UserError(
            f"{video.path} ends after {float(end - video.start):.1f} of {float(length):.1f} seconds: it is truncated, "
            "get it anew."
        )
    return replace(video, frames=number, seconds=float(last - (first or 0)))


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return how a frame is turned and mirrored to be upright: see `Video`."""
    if "DISPLAYMATRIX" not in frame.side_data:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32)[:5]
    return int(a), int(b), int(c), int(d)


def _is_turned(matrix: tuple[int, int, int, int]) -> bool:
    """Tell whether rows become columns."""
    return abs(matrix[1]) > abs(matrix[0])


def _upright(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Return the picture as it is to be seen."""
    a, b, c, d = matrix
    x, y = a, d
    if _is_turned(matrix):
        picture, x, y = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if y < 0 else 1, :: -1 if x < 0 else 1]


def _colours(frame: Any) -> tuple[int, int, int]:
    """Return FFmpeg's numbers of the matrix, the primaries and the transfer function that the output has."""
    matrix = int(frame.colorspace)
    primaries, transfer = (int(getattr(frame, name, UNSPECIFIED)) for name in ("color_primaries", "color_trc"))
    return matrix if matrix in KEPT_COLOURS else SMPTE170M, primaries, transfer


def _packets(part: Path) -> Iterator[Any]:
    """Yield the packets of a part."""
    with av.open(str(part)) as container:
        yield from (packet for packet in container.demux(video=0) if packet.dts is not None)


def _seconds(packet: Any) -> Fraction:
    return packet.dts * packet.time_base


def _part(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.{PART_FORMAT}"


def _enter(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder of the parts, or check that it is of a run with these settings."""
    file = folder / SETTINGS
    try:
        folder.mkdir(exist_ok=True)
        is_new = not any(folder.iterdir())
        before = None if is_new else json.loads(file.read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder} cannot be used: it is not of an interrupted run, name another output.") from None
    if is_new:
        write_atomically(file, json.dumps(settings).encode())
    elif before != json.loads(json.dumps(settings)):
        raise UserError(
            f"{folder} is of an interrupted run with other settings: go on with those, delete it, or name another "
            "output."
        )


def _remove(folder: Path) -> None:
    """Delete the parts, and the folder if nothing else is in it."""
    for path in [*folder.glob(f"*.{PART_FORMAT}"), folder / SETTINGS]:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
