"""Networks from files: the choice of the one to run, downloads, normalisation; formats/ holds the readers."""
