"""Whether this machine, its Redis and its configuration are fit for vigil, and what to do if not."""
