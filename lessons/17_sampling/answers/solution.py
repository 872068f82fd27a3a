"""The exercise, solved: padding and upsampling backward, and a convolution with a stride, without loops over pixels."""

from __future__ import annotations

import numpy as np


def reflect_backward(grad_y, x, rows, columns):
    """Fold the rows, then the columns of what that gives."""
    folded = fold(grad_y, rows)
    return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)


def fold(grad_y, margin):
    """What was added on both sides of axis 1 is turned over and added to the rows that it shows."""
    end = grad_y.shape[1] - margin
    length = end - margin
    grad_x = grad_y[:, margin:end].copy()
    grad_x[:, 1 : 1 + margin] += grad_y[:, :margin][:, ::-1]
    grad_x[:, length - 1 - margin : length - 1] += grad_y[:, end:][:, ::-1]
    return grad_x


def upsample_backward(grad_y, x):
    """Each pixel gets the sum over its square."""
    return sum(grad_y[:, i::2, j::2] for i in (0, 1) for j in (0, 1))


def strided_forward(x, w, b, stride):
    """For each weight, the pixels that all windows see through it."""
    (kh, kw, _, outputs), (count, height, width, _) = w.shape, x.shape
    y = np.zeros((count, (height - kh) // stride + 1, (width - kw) // stride + 1, outputs), x.dtype)
    for i, j in np.ndindex(kh, kw):
        y += seen(x, i, j, y, stride) @ w[i, j]
    return y + b


def seen(x, i, j, y, stride):
    """The pixels of x that place (i, j) of the kernel meets, one for each output."""
    height, width = y.shape[1:3]
    return x[:, i : i + stride * height : stride, j : j + stride * width : stride]


def strided_backward_input(grad_y, x, w, stride):
    """Put zeros between; then convolve with the kernel flipped and its channels exchanged."""
    (kh, kw, channels, outputs), (count, height, width, _) = w.shape, x.shape
    spread = np.zeros((count, height + kh - 1, width + kw - 1, outputs), grad_y.dtype)
    spread[:, kh - 1 : height : stride, kw - 1 : width : stride] = grad_y
    turned = w[::-1, ::-1].swapaxes(2, 3)
    return strided_forward(spread, turned, np.zeros(channels, x.dtype), 1)


def strided_backward_parameters(grad_y, x, w, stride):
    """Each weight collects its pixel times the gradient of each output; the bias collects the gradients alone."""
    (kh, kw, channels, outputs), grad_w = w.shape, np.zeros_like(w)
    for i, j in np.ndindex(kh, kw):
        met = seen(x, i, j, grad_y, stride).reshape(-1, channels)
        grad_w[i, j] = met.T @ grad_y.reshape(-1, outputs)
    return grad_w, grad_y.sum(axis=(0, 1, 2))
