r"""
Style transfer: two losses, one picture
=======================================

Lesson 9 has a loss that knows *what* is in a picture, lesson 10 one that knows *how* it is painted, and lessons 11 and
12 walk downhill. This lesson adds the two losses up. That is all there is to style transfer, equation 7 of the paper,
and one line of code. What takes a lesson is what the sum does: which weights, which layers, which start, which size
give which picture. We make the paper's Figures 4, 5 and 6 ourselves, and at the end walk the whole way once more, from
pixels to features to losses to gradients and back to pixels.

After this lesson you can

* write down equation 7 and its gradient, and say why many losses need only one walk back;
* read the plot of a run: which term falls when, and why the picture stops changing in the end;
* say what :math:`\alpha / \beta`, the content layer, the start and the size do to a picture, and choose them;
* tell the whole way of style transfer, with the number of each equation, on one page.

It needs lessons 3 (chain rule), 8 (the walk down and back), 9 (content), 10 (style) and 12 (L-BFGS).

===============================  =================================================================================
symbol                           meaning
===============================  =================================================================================
:math:`x`                        the picture that is being painted, :math:`3 H W` numbers
:math:`p, a`                     the content picture and the style picture, in the paper's letters (photograph, artwork)
:math:`F_l, P_l`                 features of :math:`x` and of :math:`p` at layer :math:`l`, (M, N): positions, channels
:math:`G_l, A_l`                 Gram matrices of :math:`x` and of :math:`a` at layer :math:`l`, (N, N)
:math:`L_{\text{content}}`       equation 1
:math:`E_l, w_l`                 style loss of a layer, equation 4, and its weight in equation 5
:math:`L_{\text{style}}`         :math:`\sum_l w_l E_l`, equation 5
:math:`\alpha, \beta`            weights of content and style
:math:`V, \tau`                  total variation of :math:`x`, and its weight
===============================  =================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from scratchnst import Objective, images, scale_shapes, stylize, stylize_by_scales
from scratchnst.classroom import full_size, network, pictures, show_images
from scratchnst.losses import content_loss, gram, style_loss
from scratchnst.models.normalize import normalize
from scratchnst.optimize import lbfgs

# %%
# Equation 7
# ----------
#
# We want a picture :math:`x` that shows what :math:`p` shows and is painted as :math:`a` is. Both wishes are numbers,
# so we add them up, each with a weight that says how much it counts:
#
# .. math::
#
#     L_{\text{total}}(p, a, x) = \alpha \, L_{\text{content}}(p, x) + \beta \, L_{\text{style}}(a, x)
#     \qquad \text{(equation 7)}
#
# As a rule there is no picture for which both are zero. You have met such a sum in lesson 1, where a picture was to
# be close to a noisy one, and smooth: the minimum is a compromise. Where it lies depends on :math:`\alpha / \beta`
# only, since multiplying both by ten makes the whole landscape ten times as high and moves no valley.

side = full_size(128, 48)
content, style = pictures(side)
net = network()
if not net.normalized:  # the distilled network comes normalised, see lesson 8
    net = normalize(net, [content, style])
content_layer = next(iter(net.defaults.content_layers))  # one, as in the paper
style_layers = dict(net.defaults.style_layers)
print(f"{net.name}: content at {content_layer}, style at {', '.join(style_layers)}")
show_images({"content p": content, "style a": style})
plt.show()
assert content.shape == style.shape == (side, side, 3)

# %%
# One gradient from many terms
# ----------------------------
#
# The slope of a sum is the sum of the slopes, and a constant factor stays where it is:
#
# .. math::
#
#     \frac{\partial L_{\text{total}}}{\partial x}
#     = \alpha \, \frac{\partial L_{\text{content}}}{\partial x}
#     + \beta \sum_l w_l \, \frac{\partial E_l}{\partial x}
#
# That is one gradient for the content and one for each style layer, and each could be computed by a walk back of its
# own. One walk is enough for all. Let :math:`J` be the Jacobian of everything between :math:`x` and a layer. Then
# (lesson 3) a walk back multiplies what arrives there by :math:`J^T`. And :math:`J^T u + J^T v = J^T (u + v)`: *what
# arrives at the same place may be added before it travels on*. So the walk back starts at the deepest layer with a
# loss, and at each layer that has one on the way it adds that layer's own gradient to what comes from below.
#
# A toy to see it: numbers in place of features, :math:`F_1 = 2x` and :math:`F_2 = 3 F_1`. Say that the losses have
# the slope 5 at :math:`F_1` and 7 at :math:`F_2`. Two walks: :math:`2 \cdot 5 = 10` and
# :math:`2 \cdot 3 \cdot 7 = 42`, together 52. One walk: at :math:`F_2` 7, which arrives at :math:`F_1` as
# :math:`3 \cdot 7 = 21`; there it meets 5, and :math:`2 \cdot 26 = 52`.
#
# What a layer adds is known from lessons 9 and 10, here with the weights in front:
#
# .. math::
#
#     \begin{aligned}
#     \text{content:} \quad & \alpha \, (F_l - P_l) \\
#     \text{style:} \quad & \beta \, w_l \, \frac{1}{N_l^2 M_l^2} \, F_l \, (G_l - A_l)
#     \end{aligned}
#
# and, where a layer has both, the sum of the two. (The case "0 if F < 0" of equations 2 and 6 is the ReLU's, which
# comes next on the way back.) In code, with the package's parts:

exact = net.astype("float64")  # for checks; pictures are computed in float32
small = full_size(32, 16)
small_content, small_style = (images.resize(image, small, small) for image in (content, style))
alpha_small, beta = 1e-5, 1.0


def features_of(image, layers):
    return exact.forward(image[np.newaxis], layers)[0]


P = features_of(small_content, [content_layer])[content_layer]
A = {name: gram.forward(F)[0] for name, F in features_of(small_style, style_layers).items()}


def equation_7(x):
    """Return L_total and its gradient: one walk down, one walk back."""
    layers = [*style_layers, content_layer]
    F, cache = exact.forward(x[np.newaxis], layers)
    grad_F = dict.fromkeys(layers, 0.0)

    L_content, loss_cache = content_loss.forward(F[content_layer], P)
    grad_F[content_layer] += content_loss.backward(alpha_small, loss_cache)

    L_style = 0.0
    for name, w in style_layers.items():
        E, loss_cache = style_loss.forward(F[name], A[name])
        grad_F[name] += style_loss.backward(beta * w, loss_cache)
        L_style += w * E

    return alpha_small * L_content + beta * L_style, exact.backward(grad_F, cache)[0]


# %%
# Three checks: the gradient against central differences along random directions (lesson 2); against the package's
# ``Objective``, which does the same; and against a walk for each term, which then is an objective by itself.

random = np.random.default_rng(0)
x = random.normal(127.5, 20, small_content.shape)
loss, grad_x = equation_7(x)
h = 1e-6  # so small that hardly a ReLU crosses its kink (lesson 4)
for direction in random.standard_normal((3, *x.shape)):
    slope = (equation_7(x + h * direction)[0] - equation_7(x - h * direction)[0]) / (2 * h)
    promised = np.sum(grad_x * direction)
    print(f"slope along a random direction: {slope:.9g}, promised by the gradient: {promised:.9g}")
    assert np.isclose(slope, promised, rtol=1e-4)

settings = {"tv_weight": 0, "dtype": "float64"}
small_objective = Objective(
    net,
    small_content,
    [small_style],
    content_layers=[content_layer],
    content_weight=alpha_small,
    style_weight=beta,
    **settings,
)
assert np.isclose(loss, small_objective(x)[0])
assert np.allclose(grad_x, small_objective(x)[1], rtol=1e-6, atol=1e-9 * abs(grad_x).max())

alone = Objective(net, small_content, content_layers=[content_layer], content_weight=alpha_small, **settings)
one_by_one = [alone(x)[1]]
for name, w in style_layers.items():
    alone = Objective(net, styles=[small_style], style_layers={name: w}, style_weight=beta, **settings)
    one_by_one.append(alone(x)[1])
assert np.allclose(sum(one_by_one), grad_x, rtol=1e-6, atol=1e-9 * abs(grad_x).max())

# %%
# A picture
# ---------
#
# How large should :math:`\alpha` be? Equation 1 is a sum over the :math:`N M` features of a layer, equation 4 a mean,
# so for pictures of any size to be painted alike, :math:`\alpha` has to shrink as they grow. The package's
# default is a number divided by :math:`N M`. And a little smoothness is added, of which more below.
#
# The start is white noise, as in the paper, and L-BFGS, which lesson 12 takes apart, does the rest; here it is SciPy's.

iterations = full_size(80, 16)
shown = full_size((1, 5, 10, 20, 40, 80), (1, 4, 8, 16))  # steps after which we look at the picture
alpha = net.content_weight(side, side, {content_layer: 1})


def transfer(init="noise", seed=0, **settings):
    """Return the objective, the end of a run, images on the way, and all evaluations."""
    objective = Objective(
        net, content, [style], **{"content_layers": [content_layer], "content_weight": alpha, **settings}
    )
    stages, evaluations = {}, []

    def keep(progress):
        if progress.iteration in shown:
            stages[progress.iteration] = progress.image.copy()

    watching = {"on_step": keep, "on_evaluation": evaluations.append}
    result = stylize(objective, init, iterations=iterations, optimizer="scipy-lbfgs", seed=seed, **watching)
    return objective, result, stages, evaluations


objective, painted, stages, evaluations = first_run = transfer()
show_images({f"step {step}": image for step, image in stages.items()}, columns=6)
plt.show()
show_images({"content": content, "style": style, "content, painted like style": painted.image}, columns=3)
plt.show()
print(f"loss {evaluations[0].loss:.3g} at the start, {painted.loss:.3g} after {iterations} steps")
assert painted.loss < 0.5 * evaluations[0].loss

# %%
# First strokes come up anywhere, as in a texture; then the things of the content picture crystallise out of them.
# (With the distilled network only faintly: its second content layer, which sees details, is left out here, and is used
# again in the last pictures of this lesson.)
#
# What the terms do
# -----------------
#
# Each term of the sum, with its weight, against the number of evaluations.

weights = {"tv": objective.tv_weight, f"content/{content_layer}": alpha}
weights |= {f"style/{name}": w for name, w in style_layers.items()}

_, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.semilogy([e.loss for e in evaluations], "k", linewidth=2, label="the sum")
for name, weight in weights.items():
    axes.semilogy([weight * e.terms[name] for e in evaluations], label=name)
axes.set(xlabel="evaluations", ylabel="weighted term", title="What the terms of equation 7 do during a run")
axes.legend(fontsize=8, ncols=2)
plt.show()

first, last = evaluations[0].terms, evaluations[-1].terms
style_fell = sum(w * last[f"style/{name}"] / first[f"style/{name}"] for name, w in style_layers.items())
style_fell /= sum(style_layers.values())
content_fell = last[f"content/{content_layer}"] / first[f"content/{content_layer}"]
print(f"left of the start: {style_fell:.1%} of the style losses on average, {content_fell:.1%} of the content loss")
assert style_fell < min(content_fell, full_size(0.3, 1))
assert np.isclose(sum(weight * last[name] for name, weight in weights.items()), evaluations[-1].loss, rtol=1e-4)

# %%
# The style losses fall to a small share of what they were, with the distilled network to a few hundredths. The content
# loss falls less, and after some dozens of evaluations it is a large part of the sum. That does not mean that style has
# won. Style asks for little, a few Gram matrices; thousands of pictures fulfil that. Content asks for every feature at
# its place.
#
# Why does the picture stop changing? At a minimum the gradient of the sum is zero,
# :math:`\alpha \nabla L_{\text{content}} = -\beta \nabla L_{\text{style}}` but for the smoothness: *both wishes pull
# equally hard, in opposite directions*. (:math:`\nabla L` is short for :math:`\partial L / \partial x`.) The cosine of
# the angle between the two pulls shows how far the run has come. It is 1 where they agree, 0 where they do not mind
# each other, and -1 in the end.

pull_of_content = Objective(net, content, content_layers=[content_layer], content_weight=alpha, tv_weight=0)
pull_of_style = Objective(net, styles=[style], tv_weight=0)


def cosine(image):
    u, v = pull_of_content(image)[1].ravel(), pull_of_style(image)[1].ravel()
    return u @ v / np.sqrt((u @ u) * (v @ v))


cosines = {step: cosine(image) for step, image in stages.items()}
for step, value in cosines.items():
    print(f"after {step:2} steps the cosine of the two pulls is {value:+.2f}")
assert cosines[iterations] < full_size(-0.5, min(0.5, cosines[1] + 0.2))

# %%
# A third term: smoothness
# ------------------------
#
# Features see patterns, and a checkerboard of single pixels is a pattern to which layers behind a pooling are nearly
# blind. Nothing in equation 7 forbids it, and after few steps it is what is left of the noise. So the package adds,
# by default, a little of the total variation of lesson 1, the squared differences between neighbours below and beside
# each other, with rows :math:`i`, columns :math:`j` and channels :math:`c`:
#
# .. math::
#
#     V(x) = \sum_{i, j, c} (x_{i+1, j, c} - x_{i, j, c})^2 + \sum_{i, j, c} (x_{i, j+1, c} - x_{i, j, c})^2
#
# with a weight :math:`\tau`. Its gradient reaches the pixels without any network. In lesson 1 you have seen it for
# three pixels in a row; for a whole picture you will write it in the exercise.

tau = objective.tv_weight
rough, blurred = transfer(tv_weight=0)[1], transfer(tv_weight=30 * tau)[1]
show_images({"no smoothness": rough.image, "the default": painted.image, "30 times as much": blurred.image}, columns=3)
plt.show()


def roughness(image):
    return np.mean(np.diff(image, axis=0) ** 2) + np.mean(np.diff(image, axis=1) ** 2)


roughest, rougher, smooth = (roughness(run.image) for run in (rough, painted, blurred))
assert min(roughest, rougher) > smooth
assert roughest > full_size(rougher, 0)  # after few steps so small a weight changes little

# %%
# Left, look closely: single pixels sparkle. Right, the strokes themselves have been smoothed away. The paper has no
# such term; with many more steps it is hardly needed.
#
# More content or more style
# --------------------------
#
# The paper's Figure 4: the same pair with different :math:`\alpha / \beta`. We keep :math:`\beta = 1` and change
# :math:`\alpha`.

factors = {"1/30": 1 / 30, "1/5": 1 / 5, "1": 1, "8": 8}
row, content_left, style_left = {}, [], []
for name, factor in factors.items():
    run = painted if factor == 1 else transfer(content_weight=factor * alpha)[1]
    row[f"alpha times {name}"] = run.image
    content_left.append(run.terms[f"content/{content_layer}"])
    style_left.append(sum(w * run.terms[f"style/{name}"] for name, w in style_layers.items()))
show_images(row)
plt.show()

_, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
axes.loglog(content_left, style_left, "o-")
for name, *place in zip(factors, content_left, style_left):
    axes.annotate(f"alpha times {name}", place, xytext=(8, 2), textcoords="offset points")
axes.set(xlabel="content loss, equation 1", ylabel="style loss, equation 5", title="What one costs the other")
axes.margins(x=0.5, y=0.1)
axes.tick_params(axis="x", which="minor", labelbottom=False)
plt.show()

assert content_left[-1] < content_left[0], "the more content counts, the less of its loss is left,"
assert style_left[-1] > full_size(style_left[0], 0), "and the more of the style's"

# %%
# From left to right: a texture in which the content hardly shows; strokes that follow the things; things made of
# strokes; and the photograph's own outlines, with the style's grain but without its strokes. None of them is the right
# one. The curve says why none is better than the others in both respects: at a minimum, whatever lowers one loss raises
# the other.
#
# Which layer holds the content?
# ------------------------------
#
# The paper's Figure 5. Lesson 9 has shown that a layer near the pixels knows every detail, and that a deep one knows
# the things and forgets the details. For style transfer forgetting is a virtue: what content does not hold on to,
# style may change. To compare two layers fairly, we choose each one's :math:`\alpha` such that both content terms
# weigh the same at the start, in the noise.

noise = np.random.default_rng(0).normal(127.5, 20, content.shape)
shallow_layer = list(style_layers)[1]
_, _, terms = objective.evaluate(noise)  # loss, gradient, and each term without its weight
start_value = alpha * terms[f"content/{content_layer}"]
by_itself = Objective(net, content, content_layers=[shallow_layer], content_weight=1, tv_weight=0)(noise)[0]
shallow = transfer(content_layers=[shallow_layer], content_weight=start_value / by_itself)[1]
by_layer = {f"content from {shallow_layer}": shallow.image, f"content from {content_layer}": painted.image}
show_images({"content": content, **by_layer}, columns=3)
plt.show()


def edges(image):
    """Return the differences of the grey picture to the neighbours below and beside, in one vector."""
    grey = image.mean(axis=2)
    return np.concatenate([np.diff(grey, axis=0).ravel(), np.diff(grey, axis=1).ravel()])


kept = {
    name: np.corrcoef(edges(run.image), edges(content))[0, 1]
    for name, run in ((shallow_layer, shallow), (content_layer, painted))
}
print("correlation of the edges with the photograph's:", {name: f"{value:.2f}" for name, value in kept.items()})
assert kept[shallow_layer] > kept[content_layer]

# %%
# With the shallow layer the photograph keeps its edges, and seems to have been coloured: the style is laid upon it.
# With the deep layer the things are still there, but their outlines have become strokes. The paper takes ``conv4_2``
# for this reason.
#
# Where to begin
# --------------
#
# The paper's Figure 6: the start is not part of equation 7, but a walk downhill ends in the valley in which it
# begins.

few = full_size(10, 4)
begun = {"content": transfer("content"), "style": transfer("style"), "noise": first_run}
for step in (few, iterations):
    show_images({f"from {init}, step {step}": stages[step] for init, (_, _, stages, _) in begun.items()}, columns=3)
    plt.show()
another = transfer(seed=1)[1]
show_images({"from one noise": painted.image, "from another": another.image}, columns=2)
plt.show()

losses = [(evaluations[few].loss, run.loss) for _, run, _, evaluations in begun.values()]
soon, in_the_end = (max(values) / min(values) for values in zip(*losses))
print(f"the highest of the three losses over the lowest: {soon:.1f} soon, {in_the_end:.2f} in the end")
assert in_the_end < soon
assert abs(another.loss / painted.loss - 1) < 0.3, "two noises end at about the same loss,"
assert np.sqrt(np.mean((another.image - painted.image) ** 2)) > 10, "and with different pictures"

# %%
# After few steps the three show where they come from. In the end their losses are much closer, and yet the
# pictures still remember: begun with the content, each thing has kept its own brightness; begun with the style, its
# large whirls have stayed in place. The paper remarks on a difference in kind: from a fixed picture there is one
# result; from noise, every seed gives another one that is as good.
#
# From small to large
# -------------------
#
# A unit of the deepest layer sees some dozens of pixels (lesson 8: its receptive field). In a picture of 128 pixels
# that is a good part of a whirl. In one of 1024 it is a few hairs of the brush: the style's Gram matrices ask for the
# right hairs, and nobody asks for whirls. A cure, later than the paper: paint a small picture first, where the units
# see much of it and a step costs little; enlarge it; go on from there. The whirls are in it already, and only fine
# strokes are left to be painted. The command ``transfer`` does it by itself above 128 pixels, and ``--scales``
# changes it.

large = full_size(256, 96)
large_content, large_style = pictures(large)


def objective_at(height, width):
    """The objective of one size, with the package's default alpha, which shrinks with the number of pixels."""
    smaller_content = images.resize(large_content, height, width)
    return Objective(net, smaller_content, [large_style])


by_sizes = {}
for scales in (1, 2):
    shapes = scale_shapes(large, large, scales)
    run = stylize_by_scales(objective_at, shapes, iterations=full_size(100, 12))
    by_sizes[" then ".join(f"{height}x{width}" for height, width in shapes)] = run.image
    print(f"{shapes}: {run.seconds:.1f} s")
_, grid = plt.subplots(1, 2, figsize=(10, 5.4), layout="constrained")
for axes, (title, image) in zip(grid, by_sizes.items()):
    axes.imshow(image / 255)
    axes.set(title=title, xticks=[], yticks=[])
plt.show()

# %%
# Both pictures have had the same number of steps. On the left are thin strokes that turn this way and that, as they
# happened to begin in the noise. On the right they bend together, over a quarter of the picture. To measure it, look
# from further away: shrink both to half their size and take the style loss there. And the right one was faster, since
# most of its steps were on a quarter of the pixels.

half = objective_at(large // 2, large // 2)
from_afar = []
for image in by_sizes.values():
    *_, terms = half.evaluate(images.resize(image, large // 2, large // 2))
    from_afar.append(sum(w * terms[f"style/{name}"] for name, w in style_layers.items()))
print(f"style loss from afar: {from_afar[0]:.3g} painted at one size, {from_afar[1]:.3g} small first")
assert from_afar[1] < from_afar[0]

# %%
# The whole way
# -------------
#
# Everything that happens in one evaluation, and where you have met it::
#
#     pixels     x, RGB, 0-255                                                         lesson 1
#       down     order of the channels and mean, as the network was trained            lesson 8
#                convolution, ReLU, pooling, again and again                           lessons 6, 4, 5
#     features   F_l at some layers                                                    lesson 8
#                G_l = F_l^T F_l                                    equation 3         lesson 10
#     losses     L_content = 1/2 sum (F - P)^2                      equation 1         lesson 9
#                E_l = sum (G - A)^2 / (4 N^2 M^2)                  equation 4         lesson 10
#                L_style = sum_l w_l E_l                            equation 5         lesson 10
#                L_total = alpha L_content + beta L_style           equation 7         lesson 13
#     gradients  alpha (F - P)                                      equation 2         lesson 9
#                beta w_l F (G - A) / (N^2 M^2)                     equation 6         lesson 10
#       up       added where they belong; pooling spreads, ReLU masks,
#                convolution with turned kernels                                       lessons 5, 4, 7
#     pixels     dL/dx; plus tau dV/dx                                                 lesson 1
#       then     direction from ten pairs (s, y), length from the line search          lesson 12
#
# And that a gradient is right is never taken on trust (lesson 2). ``equation_7`` above is all of it but the smoothness
# and the last line, in twenty lines of code. With the optimiser it is the package's own run without smoothness, step
# for step.


def of_vector(v):
    loss, grad_x = equation_7(v.reshape(small_content.shape))
    return loss, grad_x.ravel()


steps = full_size(10, 4)
ours = lbfgs(of_vector, x.ravel(), steps).x.reshape(small_content.shape)
package = stylize(small_objective, x, iterations=steps)
print(f"after {steps} steps our picture differs by {abs(ours.clip(0, 255) - package.image).max():.2g} of 255")
assert np.allclose(ours.clip(0, 255), package.image, atol=0.5)

# %%
# Exercises
# ---------
#
# 1. *Two styles.* With shares :math:`b_1 + b_2 = 1` the style loss is :math:`\sum_s b_s E_l(A_s)`. Show that it is
#    :math:`E_l(\bar{A})` plus a number that does not depend on :math:`x`, with :math:`\bar{A} = b_1 A_1 + b_2 A_2`.
#    So what is the gradient? (``Objective(net, content, [one, other], style_blend=[0.3, 0.7])`` does it.)
# 2. A layer has both content and style. Under which circumstances are its two gradients opposite to each other? Can
#    they be, if :math:`F = P`? If :math:`G = A`?
# 3. Start from the content with :math:`\alpha = 0`. What comes out, and why is it not what comes out of noise? (Which
#    figure of this lesson does it explain?)
# 4. *Keep the colours.* Add to the brightness of the painted picture what the content picture has beside its own
#    brightness: ``painted.mean(axis=2, keepdims=True) + content - content.mean(axis=2, keepdims=True)``. Which part
#    of the style has gone, and which has stayed?
# 5. Take pictures of your own: ``scratchnst transfer CONTENT STYLE -o OUT.png``.
#    ``scratchnst trace CONTENT STYLE --pixel ROW,COL`` tells of any pixel who pulls at it.
#
# To write: ``equation_7``, loss and gradients at two layers one of which has both content and style, with NumPy
# alone; and ``total_variation``, V and its gradient for a whole picture, in
# ``lessons/13_style_transfer/exercise.py``. ``scratchnst check 13`` tries them and says what is wrong.
