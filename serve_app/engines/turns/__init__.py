"""Models that hear who speaks and whether they have finished: ONNX, on the processor, on every stack."""
