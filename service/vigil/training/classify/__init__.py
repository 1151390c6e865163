"""How a classifier is trained on crops of one's own cameras: examples, recipe, loop, report."""
