"""Export models to ONNX, and run ONNX files."""
