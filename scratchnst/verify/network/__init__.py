"""Networks and objectives, checked operation by operation."""
