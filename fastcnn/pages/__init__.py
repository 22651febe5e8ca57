"""Pages for a browser: the report of a training run, in one file, and the demo of a model, served on this machine alone."""
