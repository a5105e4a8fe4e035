"""Export of models to ONNX, and running ONNX files."""
