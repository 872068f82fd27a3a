"""The gradient checker tested by mistakes planted in the textbook's source."""
