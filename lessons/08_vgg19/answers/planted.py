"""Mistakes to plant into the solution."""

POOL, CONVOLUTION = "2 * first, 2 * last + 1", "first - 1, last + 1"
CLIP = "max(first, 0), min(last, length - 1)"
MEET = "average_pool.backward(grad_pooled, pool_cache) + grad_1"
RELU_1, RELU_2 = "relu.backward(grad_F_1, relu_cache_1)", "relu.backward(grad_2, relu_cache_2)"

PLANTED = (
    ("from the image on", "reversed(rows)", "rows", "from-the-wrong-end"),
    ("not clipped", CLIP, "first, last", "not-clipped"),
    ("one side", CONVOLUTION, "first, last + 1", "convolution-one-sided"),
    ("a whole kernel to either side", CONVOLUTION, "first - 3, last + 3", "convolution-too-wide"),
    ("half of the last pair", POOL, "2 * first, 2 * last", "pool-without-its-second"),
    ("halved", POOL, "first // 2, last // 2", "pool-halves"),
    ("as in a range", CLIP, "max(first, 0), min(last, length - 1) + 1", "last-excluded"),
    ("the second loss only", MEET, "average_pool.backward(grad_pooled, pool_cache)", "first-loss-forgotten"),
    ("the first loss only", MEET, "grad_1", "second-loss-forgotten"),
    ("subtracted", MEET, "average_pool.backward(grad_pooled, pool_cache) - grad_1", "meeting-subtracted"),
    ("multiplied", MEET, "average_pool.backward(grad_pooled, pool_cache) * grad_1", "meeting-multiplied"),
    ("mean", MEET, "(average_pool.backward(grad_pooled, pool_cache) + grad_1) / 2", "meeting-averaged"),
    (
        "added too late",
        MEET + "\n    grad_z_1 = " + RELU_1,
        "average_pool.backward(grad_pooled, pool_cache)\n    grad_z_1 = " + RELU_1 + " + grad_1",
        "added-below-the-relu",
    ),
    ("no first ReLU", RELU_1, "grad_F_1", "relu-1-forgotten"),
    ("no second ReLU", RELU_2, "grad_2", "relu-2-forgotten"),
    (
        "no ReLUs",
        RELU_2 + "\n    grad_pooled = conv2d.backward_input(grad_z_2, conv_cache_2)\n    grad_F_1 = " + MEET,
        "grad_2\n    grad_pooled = conv2d.backward_input(grad_z_2, conv_cache_2)\n    grad_F_1 = "
        + MEET
        + "\n    relu_cache_1 = 1 + relu_cache_1",
        "relus-forgotten",
    ),
    ("no quarter", MEET, "4 * average_pool.backward(grad_pooled, pool_cache) + grad_1", "pool-without-quarter"),
)
