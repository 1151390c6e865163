"""Where streams run: starting, placing and supervising stream hosts and the engine."""
