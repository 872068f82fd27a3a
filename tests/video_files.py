"""Small videos for tests: a bright square that moves over a gradient, with a tone."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

TICKS = 15000  # a second


def pictures(number, height=48, width=64):
    """Return frames (H, W, 3) uint8, in which a white square moves to the right."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([60 + 120 * x / width, 60 + 120 * y / height, 0 * x + 90.0], axis=2).astype(np.uint8)
    found = []
    for frame in range(number):
        picture = ground.copy()
        picture[8:20, frame % (width - 14) : frame % (width - 14) + 12] = 255
        found.append(picture)
    return found


def write(
    path, frames, times=None, rotation=0, sound=True, codec="libx264", pix_fmt="yuv420p", colours=None, tone="aac"
):
    """Write a video; `times` in TICKS, else 25 frames a second; the sound is a tone of 440 Hz, as the codec `tone`."""
    times = times or [TICKS // 25 * number for number in range(len(frames))]
    with av.open(str(path), "w") as container:
        if sound:
            heard = container.add_stream(tone, rate=44100, layout="stereo")
        if frames:
            _write_frames(container, frames, times, rotation, codec, pix_fmt, colours)
        if sound:
            _write_tone(container, heard, max(times, default=TICKS) / TICKS)


def _write_frames(container, frames, times, rotation, codec, pix_fmt, colours):
    stream = container.add_stream(codec, rate=25, options={"crf": "5"} if codec == "libx264" else {})
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = pix_fmt
    if codec == "libx264":
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
    if colours:
        stream.codec_context.colorspace = colours
    if rotation:
        stream.set_display_rotation(rotation)
    for frame, time in zip(frames, times):
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        if colours:
            picture = picture.reformat(format=pix_fmt, dst_colorspace=colours, dst_color_range="MPEG")
        picture.pts, picture.time_base = time, Fraction(1, TICKS)
        if codec != "libx264":
            picture.pts, picture.time_base = time * 25 // TICKS, Fraction(1, 25)
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


def _write_tone(container, stream, seconds):
    wave = np.sin(2 * np.pi * 440 / 44100 * np.arange(int(44100 * seconds))).astype(np.float32)
    heard = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
    heard.sample_rate, heard.pts = 44100, 0
    container.mux(stream.encode(heard))
    container.mux(stream.encode())


def read(path):
    """Return the frames as they are stored, their times in seconds, and the packets of the sound."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
        frames = [frame.to_ndarray(format="rgb24") for frame in decoded]
        times = [frame.pts * frame.time_base for frame in decoded]
    with av.open(str(path)) as container:
        heard = container.demux(container.streams.audio) if container.streams.audio else ()
        sound = [(packet.pts * packet.time_base, bytes(packet)) for packet in heard if packet.size]
    return frames, times, sound
