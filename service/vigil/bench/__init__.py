"""What vigil can do on this machine, measured, beside what others do there."""
