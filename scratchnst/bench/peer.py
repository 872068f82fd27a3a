"""The same problem solved by PyTorch, eagerly, as its users write it; nothing else here imports it.

Its pictures are (1, 3, H, W), in one of two memory formats: contiguous, a plane for each channel, or channels_last.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from functools import partial
from typing import Any

from scratchnst.arrays import Array
from scratchnst.bench import problem
from scratchnst.bench.contender import Contender
from scratchnst.bench.names import EMULATED
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.optimize.scipy_lbfgs import EVALUATIONS_PER_ITERATION, STEPS_REMEMBERED

Tensor = Any


def check_available() -> None:
    """Raise a UserError if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise UserError("--peer torch needs PyTorch: install it with pip install torch.")


class OnTorch(Contender):
    """What PyTorch computes: on a GPU by cuDNN, in float32 throughout or with products in TF32.

    cuDNN tries its ways of each convolution at the first evaluation and takes the fastest (``cudnn.benchmark``).
    Where the device is emulated, PyTorch computes on the CPU.
    """

    def __init__(self, size: int, device: str = "cpu", memory_format: str = "contiguous_format", tf32: bool = False):
        check_available()
        self.torch = importlib.import_module("torch")
        self.torch.set_num_threads(threads.count())
        self.format = getattr(self.torch, memory_format)
        self.device, self.where = device, "cpu" if device == EMULATED else device
        if self.where != "cpu" and not self.torch.cuda.is_available():
            raise UserError("this PyTorch sees no GPU: install one that is built for CUDA, or leave out --peer torch.")
        if device != "cpu":
            self.torch.backends.cuda.matmul.allow_tf32 = self.torch.backends.cudnn.allow_tf32 = tf32
            self.torch.backends.cudnn.benchmark = True
        self._load(size)

    def _load(self, size: int) -> None:
        """Make tensors of the task."""
        raise NotImplementedError

    def on_host(self, array: Tensor) -> Array:
        return array.cpu().numpy()

    def wait(self) -> None:
        if self.where != "cpu":
            self.torch.cuda.synchronize(self.where)

    def rest(self) -> None:
        if self.where != "cpu":
            self.torch.cuda.empty_cache()

    def peak(self) -> dict[str, int | None]:
        """Return the most bytes that an evaluation has taken, with and without what is kept for tensors to come."""
        if self.where == "cpu":
            return {} if self.device == "cpu" else {"bytes": None}
        self.rest()
        self.torch.cuda.reset_peak_memory_stats(self.where)
        self.evaluate()
        self.wait()
        return {
            "bytes": self.torch.cuda.max_memory_reserved(self.where),
            "allocated_bytes": self.torch.cuda.max_memory_allocated(self.where),
        }

    def check(self) -> dict[str, Any]:
        """Return the versions of what computes."""
        cudnn = self.torch.backends.cudnn
        return {
            "torch": self.torch.__version__,
            "torch_cuda": self.torch.version.cuda,
            "cudnn": cudnn.version(),
            "cudnn_benchmark": cudnn.benchmark,
            "tf32": cudnn.allow_tf32,
        }

    def tensor(self, array: Array) -> Tensor:
        """Return a tensor with memory of its own, in our format if it has four axes."""
        tensor = self.torch.tensor(array, device=self.where)
        return tensor.contiguous(memory_format=self.format) if tensor.ndim == 4 else tensor


class Peer(OnTorch):
    """A contender; start and gradient lie on its device."""

    def _load(self, size):
        task = problem.make(size, device=self.device)
        network = task.network
        self.defaults, self.layers = network.defaults, network.layers
        self.content_weight = network.content_weight(*task.start.shape[:2])
        self.parameters = {
            name: (self.tensor(w.transpose(3, 2, 0, 1)), self.tensor(b)) for name, (w, b) in network.parameters.items()
        }
        mean = self.torch.tensor(network.preprocessing.mean, device=self.where)
        self.mean = mean.reshape(1, 3, 1, 1)  # all there is to the preprocessing
        with self.torch.no_grad():
            content, style = (self._features(self._picture(image)) for image in (task.content, task.style))
            self.P = {name: content[name] for name in self.defaults.content_layers}
            self.A = {name: _gram(style[name]) for name in self.defaults.style_layers}
        self.start = self._picture(task.start)

    def evaluate(self) -> tuple[float, Array]:
        """Compute the loss and its gradient (H, W, 3)."""
        x = self.start.detach().requires_grad_()
        loss = self._loss(x)
        loss.backward()
        return loss.item(), x.grad[0].permute(1, 2, 0)

    def run(self, iterations: int) -> dict[str, Any]:
        """Return seconds, evaluations and last loss of a whole run from white noise, by PyTorch's own L-BFGS.

        On a GPU a short run before it loads and chooses kernels.
        """
        if self.device != "cpu":
            self._run(problem.WARM_UP)
        return self._run(iterations)

    def _run(self, iterations):
        """Run PyTorch's L-BFGS, which gets a scaled loss.

        It forgets every step with y^T s below 1e-10, whatever the unit of the loss.  So the loss is scaled, as users do
        by large weights: the largest derivative at the start becomes 1.
        """
        _, gradient = self.evaluate()
        unit = float(abs(gradient).max())
        x = self.start.clone(memory_format=self.torch.contiguous_format).requires_grad_()  # LBFGS takes no other
        optimizer = self.torch.optim.LBFGS(
            [x],
            max_iter=iterations,
            max_eval=iterations * EVALUATIONS_PER_ITERATION,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=STEPS_REMEMBERED,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            loss = self._loss(x.contiguous(memory_format=self.format)) / unit
            loss.backward()
            return loss

        self.wait()
        started = time.perf_counter()
        optimizer.step(closure)
        self.wait()
        seconds = time.perf_counter() - started
        state = optimizer.state[x]
        with self.torch.no_grad():
            loss = self._loss(x.contiguous(memory_format=self.format)).item()
        return {"run_seconds": seconds, "iterations": state["n_iter"], "evaluations": state["func_evals"], "loss": loss}

    def _loss(self, x: Tensor) -> Tensor:
        """Equation 7."""
        F, total = self._features(x), 0.0
        for name, weight in self.defaults.content_layers.items():
            weight = weight * self.content_weight
            total = total + weight / 2 * ((F[name] - self.P[name]) ** 2).sum()
        for name, weight in self.defaults.style_layers.items():
            weight = weight * self.defaults.style_weight
            _, N, height, width = F[name].shape
            M = height * width
            total = total + weight / (4 * N**2 * M**2) * ((_gram(F[name]) - self.A[name]) ** 2).sum()
        return total

    def _features(self, x: Tensor) -> dict[str, Tensor]:
        """Name of each layer with a loss -> its activations (1, N, H, W); the others are freed."""
        functional = self.torch.nn.functional
        operations = {
            "conv2d": partial(functional.conv2d, padding=1),
            "relu": partial(functional.relu, inplace=True),
            "average_pool": partial(functional.avg_pool2d, kernel_size=2),
        }
        taps = {*self.defaults.content_layers, *self.defaults.style_layers}
        y, features = x - self.mean, {}
        for layer in self.layers:
            first, *others = layer.rule.steps("avg")
            y = operations[first](y, *self.parameters.get(layer.name, ()))
            for step in others:
                y = operations[step](y)
            if layer.name in taps:
                features[layer.name] = y
        return features

    def _picture(self, image: Array) -> Tensor:
        return self.tensor(image.transpose(2, 0, 1)[None])


def _gram(F: Tensor) -> Tensor:
    _, N, height, width = F.shape
    F = F.reshape(N, height * width)
    return F @ F.T
