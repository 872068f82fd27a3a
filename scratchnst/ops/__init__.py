"""The textbook: one operation a file, forward and backward side by side, derivation in the docstring.

Every module here obeys one contract::

    y, cache = forward(x, *parameters, **settings)
    grad_x   = backward(grad_y, cache)          # (grad_x, grad_w, grad_b) where there are parameters

``grad_x`` is dL/dx, the derivative of the final loss L with respect to x; ``backward`` turns dL/dy into
dL/dx by the chain rule.  Arrays are (N, H, W, C): images, rows, columns, channels; float32 or float64, and
what comes out has the dtype of what went in.  Inputs are never changed.  ``cache`` holds the least that
``backward`` needs.

The paper is L. A. Gatys, A. S. Ecker, M. Bethge, "Image Style Transfer Using Convolutional Neural
Networks", CVPR 2016.  Its feature matrix F of a layer is N_l x M_l (channels by pixels).  Ours is the
transpose: an activation of one image, reshaped to (H W, C) without a copy, is (M_l, N_l).  So the paper's
Gram matrix G = F F^T reads F^T F here, and equation 6 reads F (G - A) / (N_l^2 M_l^2).

``forward_loops`` and ``backward_loops`` follow the equation element by element: slow and obvious.  The tests
compare the fast form with them.
"""
