"""Style transfer as a job: settings, objective, optimisation, scales, memory, and the record of a run."""
