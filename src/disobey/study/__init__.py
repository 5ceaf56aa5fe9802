"""The study file: models, loader and the plan of all jobs."""
