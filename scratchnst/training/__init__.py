"""Training: `distillation` trains a small network by our own backward, on `crops`; `evaluation` measures networks."""
