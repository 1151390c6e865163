"""Pictures in, boxes out: manifests, letterbox, the nets, the detector.

Nothing heavy is imported here: a stream host wants the letterbox and must not load torch.
"""
