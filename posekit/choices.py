"""Allowed values of options, shared by configurations, commands and implementations. This module does not import torch."""

DECODE_METHODS = ("quarter", "dark", "argmax")
"""Methods to decode a point from a heatmap; see `posekit.heatmaps.decode`."""

BACKENDS = ("auto", "torch", "compiled", "onnx")
"""Inference backends; see `posekit.prediction.backends.open_backend`."""

PRECISIONS = ("no", "bf16", "fp16")
"""Mixed-precision modes: data type of matrix products and convolutions; "no" means float32."""

ENCODER_SIZES = {"efficientnet-lite0": 4, "efficientnet-lite0-short": 3}
"""Number of feature map resolutions of each encoder, by encoder name. ``efficientnet-lite0-short`` stops at 1/16 of the input
resolution and has 0.7 M parameters; ``efficientnet-lite0`` has 3.4 M parameters."""

IMAGE_DATASETS = ("mpii", "lsp", "coco")
"""Types of data sets that consist of image files; see `posekit.data.open_people`."""

DATASETS = (*IMAGE_DATASETS, "packed")
"""All types of data sets; `posekit prepare pack` writes ``packed`` data sets."""

SYNTHETIC_FORMATS = ("mpii", "lsp", "lspet")
"""Annotation formats of synthetic data sets; see `posekit.synthetic.write.write_synthetic`."""
