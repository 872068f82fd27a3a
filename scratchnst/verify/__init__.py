"""Are these gradients right?  Checks for any function, and the textbook checked with them."""
