"""The losses, each a page of the textbook: content (equations 1, 2), style (3, 4, 6) and total variation."""
