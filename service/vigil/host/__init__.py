"""The room of a camera: capture, sampling, tracking, rules, snapshots. One process for several."""
