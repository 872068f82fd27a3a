"""Where to compute: the choice of a device, and runs on the emulated one."""

from __future__ import annotations

import json
import math
import os
import re
import shutil

import numpy as np
import pytest
from networks import random_vgg19
from platforms import GPU

from scratchnst import Objective, images, stylize
from scratchnst.cli import main
from scratchnst.engine import cpu, cuda, devices, textbook
from scratchnst.engine.cuda import availability, emulator
from scratchnst.engine.cuda.availability import Unavailable
from scratchnst.errors import UserError
from scratchnst.optimize import ON_THE_CPU, OPTIMIZERS
from scratchnst.transfer import memory
from scratchnst.weights.formats import native

SMALL = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--network", "vgg.h5", "--size", "16"]
SMALL += ["--margin", "0", "--iterations", "2"]
EMULATED = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


@pytest.fixture
def emulated():
    """The emulator in CuPy's place."""
    with devices.computing(None, devices.EMULATED) as engine:
        yield engine


@pytest.fixture
def vgg(folder):
    """A file with a small network in the working directory."""
    native.write(random_vgg19(5, width=6), folder / "vgg.h5")
    return folder


def objective(engine, height=16, width=20, **settings):
    random = np.random.default_rng(3)
    content, style = (random.uniform(0, 255, (height, width, 3)) for _ in range(2))
    return Objective(random_vgg19(5, width=6).on(engine), content, [style], **{"normalized": True, **settings})


class TestChoice:
    @pytest.mark.parametrize(
        ("engine", "where", "expected"),
        [
            (None, "cpu", cpu),
            (None, "auto", cpu),
            ("cpu", "auto", cpu),
            ("textbook", "auto", textbook),
            ("textbook", "cpu", textbook),
        ],
    )
    def test_without_a_gpu(self, no_gpu, engine, where, expected):
        with devices.computing(engine, where) as chosen:
            assert chosen is expected

    @EMULATED
    @pytest.mark.parametrize("engine", [None, "cuda"])
    def test_emulated(self, engine):
        told = []
        with devices.computing(engine, "emulated", told.append) as chosen:
            assert chosen is cuda
            assert "slow" in told[0]
            assert type(chosen.zeros((1,), "float32")).__module__.startswith("scratchnst.engine.cuda.emulator")

    @pytest.mark.parametrize("where", ["auto", "cuda", "cuda:1"])
    def test_a_gpu(self, monkeypatch, where):
        asked, entered = [], []

        class Device:
            def __init__(self, number):
                entered.append(number)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                entered.append("left")

        monkeypatch.setattr(availability, "check", asked.append)
        with emulator.installed():
            monkeypatch.setattr(devices.device.library().cuda, "Device", Device)
            with devices.computing(None, where) as chosen:
                assert chosen is cuda
        number = int(where == "cuda:1")
        assert (asked, entered) == ([number], [number, "left"])

    def test_auto_says_why_it_is_the_cpu_unless_cupy_is_not_installed(self, monkeypatch, no_gpu):
        told = []
        with devices.computing(tell=told.append) as chosen:
            assert chosen is cpu
        assert told == []

        def find():
            raise Unavailable("NVRTC is missing", "install it")

        monkeypatch.setattr(availability, "find", find)
        with devices.computing(tell=told.append) as chosen:
            assert chosen is cpu
        assert told == ["computing on the CPU: no GPU can be used, since NVRTC is missing: install it."]
        with pytest.raises(Unavailable, match="NVRTC is missing"), devices.computing("cuda"):
            pass

    @pytest.mark.parametrize(
        ("engine", "where", "sentence"),
        [
            ("cpu", "cuda", "the engine cpu computes on the CPU, not on cuda"),
            ("textbook", "emulated", "the engine textbook computes on the CPU, not on emulated"),
            ("cuda", "cpu", "the engine cuda computes on a GPU, not on cpu"),
            ("gpu", "auto", "there is no engine 'gpu'"),
            (None, "cuda:x", "there is no device 'cuda:x'; choose auto, cpu, cuda, cuda:N"),
            (None, "cuda:-1", "there is no device 'cuda:-1'"),
        ],
    )
    def test_what_does_not_go_together(self, engine, where, sentence):
        with pytest.raises(UserError, match=sentence), devices.computing(engine, where):
            pass


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "cuda"], "no GPU can be used, since CuPy is not installed: install it"),
        (["--device", "cuda:7"], "no GPU can be used"),
        (["--engine", "cuda"], "no GPU can be used"),
        (["--device", "cuda:x"], "argument --device: there is no device 'cuda:x'"),
        (["--engine", "cpu", "--device", "cuda"], "the engine cpu computes on the CPU, not on cuda"),
        (["--engine", "cuda", "--device", "cpu"], "the engine cuda computes on a GPU, not on cpu"),
        (["--tf32"], "--tf32 is for GPUs, and the engine cpu computes on the CPU"),
        (["--tf32", "--device", "cpu"], "--tf32 is for GPUs"),
        (["--convolution", "naive"], "the engine cpu does not convolve by --convolution naive: it has winograd, "),
        (["--engine", "textbook", "--convolution", "winograd"], "the engine textbook .*: it has but one way"),
        pytest.param(
            ["--device", "emulated", "--tf32", "--dtype", "float64"], "leaves float64 as it is", marks=EMULATED
        ),
        pytest.param(["--device", "emulated", "--convolution", "shifted"], "cuda does not convolve by", marks=EMULATED),
        pytest.param(["--device", "emulated", "--memory-limit", "100K"], "of a GPU's memory with the", marks=EMULATED),
    ],
)
def test_bad_arguments(vgg, capsys, arguments, sentence):
    try:
        status = main([*SMALL, "--quiet", *arguments])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr().err
    assert status == 2
    assert re.search(sentence, said)
    assert [line.partition(":")[0] for line in said.splitlines()] in (["scratchnst"], ["scratchnst transfer"])
    assert not (vgg / "out.png").exists()


def test_emulated_without_a_compiler(vgg, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main([*SMALL, "--device", "emulated"]) == 2
    assert "needs the compiler g++: install it, or compute on the CPU" in capsys.readouterr().err


@EMULATED
class TestEmulated:
    def test_a_picture_as_on_the_cpu(self, vgg):
        assert main([*SMALL, "--dtype", "float64"]) == 0
        expected = images.load("out.png")
        assert json.loads((vgg / "out.json").read_text())["computation"]["device"] == "cpu"
        assert main([*SMALL, "--dtype", "float64", "--device", "emulated", "--convolution", "naive"]) == 0
        assert np.abs(images.load("out.png") - expected).max() <= 1
        record = json.loads((vgg / "out.json").read_text())["computation"]
        assert (record["engine"], record["device"], record["precision"]) == ("cuda", "emulated", "float64")
        assert set(record["convolutions"].values()) == {"naive"}

    def test_tf32_is_recorded(self, vgg):
        assert main([*SMALL, "--device", "emulated", "--tf32"]) == 0
        assert json.loads((vgg / "out.json").read_text())["computation"]["precision"] == "tf32"

    @pytest.mark.parametrize("engine", [[], ["--engine", "cuda"]])
    def test_gradcheck(self, capsys, engine):
        assert main(["gradcheck", "--device", "emulated", *engine, "--op", "relu", "--size", "3"]) == 0
        assert "everything is right" in capsys.readouterr().out

    def test_reconstruct_and_a_dry_run(self, vgg, capsys):
        command = [
            "reconstruct",
            "style",
            "style.jpg",
            "-o",
            "out.png",
            *SMALL[5:],
            "--device",
            "emulated",
            "--dry-run",
        ]
        assert main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"memory  [\d.]+ MB; the limit is [\d.]+ GB", lines[1])
        assert lines[2] == "time    far more than on the CPU: a GPU is emulated"
        assert "out.png" not in os.listdir(vgg)

    def test_out_of_memory_in_spite_of_the_estimate(self, vgg, capsys, monkeypatch):
        monkeypatch.setattr(memory, "fit", lambda *_: memory.MemoryEstimate(64_000_000, math.inf))
        native.write(random_vgg19(5, width=24), vgg / "vgg.h5")
        command = [*SMALL, "--size", "64", "--device", "emulated", "--memory-limit", "1.5M", "--log", "log.jsonl"]
        assert main(command) == 2
        said = capsys.readouterr().err
        found = re.search(
            r"memory is not enough: 64 MB were expected to do, ([\d.]+) MB are taken and ([\d.]+) ([KM])B free", said
        )
        free = float(found[2]) * (1 if found[3] == "M" else 1e-3)
        assert float(found[1]) + free < 1.6, "within the limit"
        assert sorted(os.listdir(vgg)) == ["content.png", "style.jpg", "vgg.h5"]
        assert emulator.pool.get_limit() == 0, "the limit goes with the run"

    def test_a_limit_that_is_too_small_for_the_weights(self, vgg, capsys):
        native.write(random_vgg19(5, width=64), vgg / "vgg.h5")
        assert main([*SMALL, "--device", "emulated", "--memory-limit", "300K"]) == 2
        said = capsys.readouterr().err
        assert re.search(
            r"the GPU's memory is not enough: .* choose a smaller --size, or a larger --memory-limit\.$", said
        )

    @pytest.mark.slow
    def test_a_limit_is_kept_in_strips(self, vgg, monkeypatch):
        monkeypatch.setattr(memory, "STRIPS", (math.inf, 2**16))
        native.write(random_vgg19(5, width=24), vgg / "vgg.h5")
        command = [*SMALL, "--size", "128", "--iterations", "1", "--optimizer", "adam", "--device", "emulated"]
        emulator.pool.peak = 0
        assert main(command) == 0
        whole, limit = images.load("out.png"), emulator.pool.peak
        assert json.loads((vgg / "out.json").read_text())["computation"]["largest_strip"] is None
        emulator.pool.peak = 0
        assert main([*command, "--memory-limit", str(limit)]) == 0
        assert json.loads((vgg / "out.json").read_text())["computation"]["largest_strip"] == 2**16
        assert emulator.pool.peak <= limit
        assert np.abs(images.load("out.png") - whole).max() <= 1


@pytest.mark.parametrize("platform", ["emulated", GPU], indirect=True)
class TestOnTheDevice:
    @pytest.mark.parametrize("largest", [math.inf, 4000])
    def test_gradients_lie_where_the_image_does(self, platform, largest):
        one = objective(platform.engine, largest_strip=largest)
        x = np.random.default_rng(0).uniform(0, 255, one.shape)
        loss, grad = one(x)
        same, there = one(platform.there(x))
        assert (type(loss), type(grad), grad.dtype) == (float, np.ndarray, "float64")
        assert (type(same), type(there), there.dtype) == (float, type(platform.there(x)), "float64")
        assert same == loss
        np.testing.assert_array_equal(platform.back(there), grad)
        assert all(type(value) is float for value in one.terms.values())

    @pytest.mark.parametrize("bounded", [False, True])
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_optimisers_as_on_the_cpu(self, platform, name, bounded):
        ends = [
            stylize(objective(engine, dtype="float64"), iterations=4, optimizer=name, bounded=bounded)
            for engine in (cpu, platform.engine)
        ]
        assert isinstance(ends[1].image, np.ndarray)
        # Our L-BFGS keeps its vectors in float32: another order of sums changes the last of their digits, and with a
        # random change of one digit in the direction the loss was seen to end 2e-5 away, the rest like the others.
        in_float32 = name == "lbfgs"
        assert ends[1].loss == pytest.approx(ends[0].loss, rel=1e-3 if in_float32 else 1e-6)
        np.testing.assert_allclose(ends[1].image, ends[0].image, atol=1.0 if in_float32 else 1e-2)

    def test_normalising(self, platform):
        ours, expected = (objective(engine).network.parameters for engine in (platform.engine, cpu))
        for name, (w, b) in expected.items():
            np.testing.assert_allclose(platform.back(ours[name][0]), w, rtol=1e-5)
            np.testing.assert_allclose(platform.back(ours[name][1]), b, rtol=1e-5)


@EMULATED
class TestTransfers:
    @pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ON_THE_CPU])
    def test_an_iteration_transfers_a_few_numbers(self, emulated, name):
        one, transferred, evaluations = objective(emulated), [], []
        with emulator.transfers() as seen:

            def on_step(progress):
                transferred.append((len(seen.to_host), sum(seen.to_host), sum(seen.to_device)))

            stylize(one, iterations=6, optimizer=name, on_step=on_step, on_evaluation=evaluations.append)
        (calls, to_host, to_device), (last_calls, last_to_host, last_to_device) = transferred[0], transferred[-1]
        per_evaluation = (len(evaluations) - 2) / 5
        assert (last_calls - calls) / 5 <= 8 * per_evaluation
        assert (last_to_host - to_host) / 5 <= 8 * (len(one.terms) + 8) * per_evaluation, "bytes: no pixels"
        assert last_to_device == to_device

    def test_a_preview_is_fetched_only_if_somebody_looks(self, emulated):
        one, looked = objective(emulated), []
        image = 8 * math.prod(one.shape)
        for look in (False, True):
            with emulator.transfers() as seen:

                def on_step(progress, look=look):
                    if look:
                        looked.append(progress.image)

                stylize(one, iterations=3, on_step=on_step)
            assert sum(size >= image // 2 for size in seen.to_host) == (4 if look else 1), "the result is one"
        assert all(type(image) is np.ndarray and image.shape == one.shape for image in looked)


@EMULATED
@pytest.mark.parametrize(
    ("convolutions", "width", "pooling", "largest"),
    [(5, 8, "avg", math.inf), (5, 8, "max", 60000), (5, 40, "avg", math.inf), (5, 40, "avg", 200000)],
)
def test_a_gpus_memory_is_what_was_estimated(emulated, convolutions, width, pooling, largest):
    random = np.random.default_rng(2)
    content, style = (random.uniform(0, 255, (48, 64, 3)) for _ in range(2))
    network = random_vgg19(convolutions, width=width).on(emulated)
    one = Objective(network, content, [style], pooling=pooling, largest_strip=largest)
    x = emulated.asarray(np.zeros(one.shape))
    before = emulator.pool.peak = emulator.pool.used_bytes()
    one(x)
    assert memory.evaluation(one, largest) == pytest.approx(emulator.pool.peak - before, rel=0.1)


@EMULATED
def test_a_run_on_a_gpu_takes_what_was_estimated(emulated):
    one = objective(emulated, 48, 64)
    expected = memory.estimate(one, "lbfgs").peak
    emulator.pool.free_all_blocks()
    emulator.pool.peak = 0
    stylize(one, iterations=12)
    assert emulator.pool.peak < emulator.pool.total_bytes() < expected
    assert cuda.memory_factor * emulator.pool.peak == pytest.approx(expected, rel=0.1)


@pytest.mark.gpu
@pytest.mark.parametrize("platform", [GPU], indirect=True)
class TestGpu:
    def test_a_picture(self, platform, directory):
        native.write(random_vgg19(5, width=6), directory / "vgg.h5")
        assert main([*SMALL, "--dtype", "float64", "--device", "cpu"]) == 0
        expected = images.load("out.png")
        for where in ("auto", "cuda", "cuda:0"):
            assert main([*SMALL, "--dtype", "float64", "--device", where]) == 0
            assert np.abs(images.load("out.png") - expected).max() <= 1
            record = json.loads((directory / "out.json").read_text())["computation"]
            assert (record["engine"], record["device"]) == ("cuda", "cuda:0")
            assert record["gpu"]

    @pytest.mark.parametrize("largest", [math.inf, 2**24])
    def test_memory_is_enough(self, platform, largest):
        pictures = np.random.default_rng(3).uniform(0, 255, (2, 512, 640, 3))
        network = random_vgg19(12).on(platform.engine)
        one = Objective(network, pictures[0], [pictures[1]], largest_strip=largest)
        expected = memory.estimate(one, "lbfgs", largest_strip=largest).peak
        pool = devices.device.library().get_default_memory_pool()
        pool.free_all_blocks()
        stylize(one, iterations=12)
        assert pool.total_bytes() <= expected + (64 << 20)  # of which cuBLAS may have some
