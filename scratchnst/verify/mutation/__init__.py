"""The checker checked: mistakes planted in the textbook's own source."""
