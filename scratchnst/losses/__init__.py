"""The losses, each a page of the textbook: content (equations 1, 2), style (3, 4, 6) and total variation.

Each keeps the contract of `scratchnst.ops`.  A loss on a layer's features F says besides what it sees of them:

    statistic = None     F itself, position by position: the losses of parts of an image add up (content loss)
    statistic = gram     an operation with forward and backward, whose results for parts of an image add up

In the second case the loss is a distance of the sum S from the target, and it has two functions more::

    loss, cache = distance(S, target, pixels)         pixels: positions that have entered S
    grad_S      = distance_backward(grad_loss, cache)

So an image may come in strips: who adds S up need not know which loss it is for.
"""
