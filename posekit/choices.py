"""Names that a user can choose from, shared by configurations, commands and the modules that implement them. No torch."""

DECODE_METHODS = ("quarter", "dark", "argmax")
"""How a heatmap becomes a point; see `posekit.heatmaps.decode`."""

BACKENDS = ("auto", "torch", "compiled", "onnx")
"""What runs a network; see `posekit.prediction.backends.open_backend`."""

PRECISIONS = ("no", "bf16", "fp16")
"""Number formats that a network multiplies in; "no" is float32."""

ENCODER_SIZES = {"efficientnet-lite0": 4, "efficientnet-lite0-short": 3}
"""Encoders by name, and how many map sizes each gives. The short one ends at a 16th of the input's size, with 0.7 of 3.4 M
parameters."""

IMAGE_DATASETS = ("mpii", "lsp", "coco")
"""Kinds of data sets that are read from image files; see `posekit.data.open_people`."""

DATASETS = (*IMAGE_DATASETS, "packed")
"""Kinds of data sets; ``packed`` is what `posekit prepare pack` writes."""

SYNTHETIC_FORMATS = ("mpii", "lsp", "lspet")
"""Annotation files that synthetic data sets are written with; see `posekit.synthetic.write.write_synthetic`."""
