"""Detectors that a site brings: ONNX and OpenVINO graphs behind the interface of our own."""
