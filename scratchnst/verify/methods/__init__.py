"""Ways to compute derivatives without the gradient under test, and to test it, each independent of the others."""
