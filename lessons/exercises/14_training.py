r"""
Exercise 14: a loss for labels that are not quite certain, and a classifier that reads squares
=============================================================================================

Write the functions below, then check them:

    scratchnst check 14 --file lessons/exercises/14_training.py

and ``scratchnst check 14 --hint`` for a hint. Arrays are NumPy's. Do not change your arguments in place, and keep
their dtype: float32 in, float32 out.

**Labels that are not quite certain.** A label says: texture t with certainty. Where labels may be wrong, it is wiser to
believe them only to the share 1 - e, and to spread the small rest e evenly over *all* T textures, t among them. So
the picture n has the target probabilities

.. math::

    q_{nk} = (1 - e) \, [k = t_n] + \frac{e}{T}
    \qquad \text{and the loss} \qquad
    L = -\frac{1}{N} \sum_n \sum_k q_{nk} \ln p_{nk}

with the softmax :math:`p` of the logits, as in the lesson. For e = 0 it is the lesson's loss.

**Squares.** The lesson's classifier reads the mean of each channel. A style is rather in the Gram matrix (lesson 10),
whose diagonal, divided by the number of positions M, is the mean *square* of each channel:

.. math::

    s_{nc} = \frac{1}{M} \sum_m F_{nmc}^2, \qquad z_{nt} = \sum_c s_{nc} V_{ct} + d_t
"""


def smoothed_cross_entropy(z, labels, e):
    """Return the loss, and its gradient.

    z : logits (N, T), any numbers, also very large ones; labels : (N,), integers from 0 to T - 1; e : a number, 0 to 1
    Returns L, a number, and grad_z = dL/dz, (N, T).
    """
    raise NotImplementedError("write this")


def energy_backward(grad_z, F, V):
    """Return the gradients of the classifier that reads squares.

    grad_z : dL/dz, (N, T); F : features (N, H, W, C), so M = H W; V : (C, T)
    Returns grad_F = dL/dF, (N, H, W, C), grad_V = dL/dV, (C, T), and grad_d = dL/dd, (T,).
    """
    raise NotImplementedError("write this")
