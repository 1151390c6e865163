"""The neural networks, as code; their weights are in `models/`."""
