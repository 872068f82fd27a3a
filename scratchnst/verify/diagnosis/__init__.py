"""The diagnosis of a wrong gradient, by comparison with the gradients of known mistakes."""
