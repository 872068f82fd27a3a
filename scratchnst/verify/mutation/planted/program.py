"""Mistakes in the network and the objective, which put operations together.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant, planted

TAP = "grad_features[layer.name]"
BRANCH = "gradients[source] = self._sum(gradients.get(source), grad_x)"
MASKED = "operation.backward_input(grad_y, layer_cache)"
IMAGE = "return self.engine.preprocess.backward(grad_x, cache.pop(IMAGE))"
NETWORK = (
    ("a tap's gradient overwritten", TAP, f"{TAP} * (layer.name not in gradients)", "gradient-overwritten"),
    ("a branch's gradient overwritten", BRANCH, "gradients[source] = grad_x", "gradient-overwritten"),
    (
        "gradients that meet subtracted",
        BRANCH,
        BRANCH.replace(", grad_x", ", -grad_x if source in gradients else grad_x"),
        "shares",
    ),
    (
        "ReLU left out on the way back",
        MASKED,
        "self.engine.conv2d.backward_input(grad_y, layer_cache[:2])",
        "relu-left-out",
    ),
    ("preprocessing left out on the way back", IMAGE, "return grad_x", "preprocess-left-out"),
    ("rows in the wrong order", "reversed(self.needed(grad_features))", "self.needed(grad_features)", "", "KeyError"),
)
VARIATION = "                grad += term.loss.backward(term.weight, pixel_cache)\n"
VARIATION_VALUE = "(*self.summands, *self.pixel_summands)"
TERM = "term.loss.backward(term.weight, loss_cache)"
OBJECTIVE = (
    ("total variation not in the gradient", VARIATION, "", "term-missing-in-gradient"),
    ("total variation not in the loss", VARIATION_VALUE, "self.summands", "term-missing-in-loss"),
    (
        "total variation without its weight in the gradient",
        "backward(term.weight, pixel_cache)",
        "backward(1.0, pixel_cache)",
        "weight-missing-in-gradient",
    ),
    (
        "terms without their weights in the gradient",
        TERM,
        TERM.replace("term.weight", "1.0"),
        "weight-missing-in-gradient",
    ),
    ("terms without their weights in the loss", "term.weight * values[", "values[", "weight-missing-in-loss"),
    ("two terms at one layer overwrite each other", "total += step()", "pass", "term-missing-in-gradient"),
    (
        "weights taken twice in the gradient",
        TERM,
        TERM.replace("term.weight", "term.weight**2"),
        "weight-twice-in-gradient",
    ),
    (
        "gradient normalised",
        "        loss, grad, self.terms = self.evaluate(x)\n",
        "        loss, grad, self.terms = self.evaluate(x)\n        grad /= np.abs(grad).mean()\n",
        "factor 1/mean|grad|",
    ),
    (
        "gradient rounded to float32",
        'grad.astype("float64")',
        'grad.astype("float32").astype("float64")',
        "float32-round-off",
    ),
)
SINGLE = {
    "models.network": NETWORK,
    "transfer.objective": OBJECTIVE,
}
SEVERAL: tuple[Mutant, ...] = ()
SOUND: tuple[Mutant, ...] = (
    planted(
        "models.network",
        "ReLU left out in forward and backward",
        (("layer.rule.operation(self.pooling)", 'layer.rule.operation(self.pooling).removesuffix("_relu")'),),
    ),
    planted(
        "transfer.objective",
        "weights squared in loss and gradient",
        (
            (TERM, TERM.replace("term.weight", "term.weight**2")),
            ("loss += term.weight * values", "loss += term.weight**2 * values"),
            (VARIATION, VARIATION.replace("term.weight", "term.weight**2")),
        ),
    ),
    planted(
        "transfer.objective",
        "total variation left out everywhere",
        ((VARIATION, ""), (VARIATION_VALUE, "self.summands")),
    ),
)
