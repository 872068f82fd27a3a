"""Networks from files: readers, our own format, normalisation, and the choice of the network to run."""
