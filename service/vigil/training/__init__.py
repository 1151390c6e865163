"""How vigil's nets are trained: labels, pictures, augmentation, assignment, losses, the loop."""
