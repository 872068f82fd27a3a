"""Networks from files: which one to load, and downloads; formats/ has the readers."""
