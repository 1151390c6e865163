"""What must outlive the process: the stream registry and, for `vigil.events`, the event log."""
