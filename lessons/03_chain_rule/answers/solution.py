"""The exercise, solved: a matrix product backward, and a chain of any length."""

from __future__ import annotations


def matmul_backward(grad_y, x, w):
    """y[p, k] is the sum of x[p, c] w[c, k] over c: each x meets a row of w, each w a column of x."""
    return grad_y @ w.T, x.T @ grad_y


def chain_gradient(operations, x):
    """Forward in order, each cache on a pile; backward in reverse order, each from the top of the pile."""
    caches = []
    y = x
    for forward, _ in operations:
        y, cache = forward(y)
        caches.append(cache)
    grad = 1.0
    for _, backward in reversed(operations):
        grad = backward(grad, caches.pop())
    return y, grad
