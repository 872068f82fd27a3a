"""Paint in one pass: a network that was trained for some styles, its file, and pictures of any size."""
