"""The scenes that vigil renders itself: figures and vehicles seen by a fixed camera, with exact truth.

They are the demo's source, ground truth for tests and a small part of the detector's training mix.
"""
