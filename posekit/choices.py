"""Names that a user can choose from, shared by configurations, commands and implementations; importable without torch."""

DECODE_METHODS = ("quarter", "dark", "argmax")
"""How a point is decoded from a heatmap; see `posekit.heatmaps.decode`."""

BACKENDS = ("auto", "torch", "compiled", "onnx")
"""Runtimes of a network; see `posekit.prediction.backends.open_backend`."""

PRECISIONS = ("no", "bf16", "fp16")
"""Number formats of a network's matrix products; "no" is float32."""

ENCODER_SIZES = {"efficientnet-lite0": 4, "efficientnet-lite0-short": 3}
"""Encoders by name, and the number of feature map sizes of each. The short one ends at 1/16 of the input's size and has 0.7 M of
the 3.4 M parameters."""

IMAGE_DATASETS = ("mpii", "lsp", "coco")
"""Kinds of data sets that are read from image files; see `posekit.data.open_people`."""

DATASETS = (*IMAGE_DATASETS, "packed")
"""Kinds of data sets; ``packed`` is what `posekit prepare pack` writes."""

SYNTHETIC_FORMATS = ("mpii", "lsp", "lspet")
"""Annotation files that synthetic data sets are written with; see `posekit.synthetic.write.write_synthetic`."""
