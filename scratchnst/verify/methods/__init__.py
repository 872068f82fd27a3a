"""Ways to find out whether a gradient is right, each independent of the others."""
