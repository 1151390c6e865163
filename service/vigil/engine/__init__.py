"""The only place that owns the accelerator: frames of all hosts, in batches, through one net."""
