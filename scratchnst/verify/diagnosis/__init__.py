"""Which mistake is it?  A wrong gradient compared with what known mistakes give."""
