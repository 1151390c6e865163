"""OpenTelemetry traces of sampled frames and calls, made after the fact of times that are recorded anyway."""
