"""Encode joints as heatmaps and decode joints from heatmaps, for whole batches, on any device.

Joint coordinates are crop pixels; a heatmap is `stride` times smaller than the crop. Integer coordinates are pixel centres in
crops and in heatmaps, so ``heatmap = (crop + 0.5) / stride - 0.5``, and mirroring a crop mirrors its heatmaps exactly.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

STRIDE = 4
"""Crop pixels per heatmap pixel, the same for all networks: 256 px crops give 64 px heatmaps."""
_CUT_SIGMAS = 3.0


def encode(
    joints_BK2: Tensor, labelled_BK: Tensor, *, size: int, stride: int = STRIDE, sigma: float = 1.0, subpixel: bool = False
) -> Tensor:
    """Draw target heatmaps: Gaussians with a peak of 1, exactly zero beyond 3 sigma.

    Parameters
    ----------
    joints_BK2 : (B, K, 2) float
        x, y in crop pixels.
    labelled_BK : (B, K) bool
        True where a joint is labelled. The heatmap of an unlabelled joint is all zeros.
    size : int
        Height and width of each heatmap in pixels.
    stride : int
        Crop pixels per heatmap pixel.
    sigma : float
        Standard deviation of the Gaussian in heatmap pixels.
    subpixel : bool
        True: centre the Gaussian exactly on the joint ("unbiased"). False: centre the Gaussian on the nearest heatmap pixel, as
        in the hourglass paper.

    Returns
    -------
    (B, K, size, size) float32, on the device of `joints_BK2`. If a joint lies outside the crop, the heatmap contains only
    the part of the Gaussian inside the crop, or is all zeros.
    """
    centres = (joints_BK2.float() + 0.5) / stride - 0.5
    if not subpixel:
        centres = centres.round()
    # Unlabelled joints can have any coordinates, even NaN.
    centres = centres.masked_fill(~labelled_BK[..., None], -1e4)
    grid = torch.arange(size, device=centres.device, dtype=torch.float32)
    profiles = torch.exp((grid - centres[..., None]).square() / (-2 * sigma**2))  # (B, K, 2, size)
    maps = profiles[:, :, 1, :, None] * profiles[:, :, 0, None, :]
    # Slightly below the Gaussian's value at 3 sigma, so that rounding errors do not zero pixels at a distance of exactly 3 sigma.
    lowest = math.exp(-(_CUT_SIGMAS**2) / 2) * (1 - 1e-4)
    return F.threshold(maps, lowest, 0.0, inplace=True)


def decode(maps_BKHW: Tensor, *, method: str = "quarter", stride: int = STRIDE) -> tuple[Tensor, Tensor]:
    """Find the joint in each heatmap.

    Parameters
    ----------
    maps_BKHW : (B, K, H, W) float
        Heatmaps after the activation function (probabilities if the function is a sigmoid).
    method : {"argmax", "quarter", "dark"}
        "argmax": the highest pixel. "quarter": the highest pixel, shifted by a quarter of a pixel toward the larger neighbour on
        each axis (hourglass paper). "dark": the highest pixel, shifted by a Newton step on the logarithm of the smoothed heatmap
        (Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020).
    stride : int
        Crop pixels per heatmap pixel.

    Returns
    -------
    joints : (B, K, 2) float32
        x, y in crop pixels.
    scores : (B, K) float32
        Value of the highest pixel of each heatmap.

    Raises
    ------
    ValueError
        If `maps_BKHW` is not 4-dimensional or `method` is unknown.
    """
    maps = _check(maps_BKHW, method)
    flat = maps.flatten(2)
    places = _argmax(flat)
    scores = flat.gather(-1, places[..., None])[..., 0]
    return _crop_points(maps, places, method, stride), scores


def find_peaks(maps_BKHW: Tensor, *, count: int = 8, method: str = "quarter", stride: int = STRIDE) -> tuple[Tensor, Tensor]:
    """Find the highest local maxima of each heatmap; the first maximum is the joint that `decode` finds.

    A local maximum is a pixel that none of its eight neighbours exceeds; every pixel of a plateau is a local maximum.

    Parameters
    ----------
    maps_BKHW, method, stride
        As for `decode`.
    count : int
        Number of maxima to find in each heatmap.

    Returns
    -------
    peaks : (B, K, count, 2) float32
        x, y in crop pixels, the highest first; NaN in the remaining entries if the heatmap has fewer than `count` maxima.
    heights : (B, K, count) float32
        Heatmap value at each maximum; NaN where `peaks` is NaN.
    """
    maps = _check(maps_BKHW, method)
    flat = maps.flatten(2)
    lower = maps < F.max_pool2d(maps, 3, stride=1, padding=1)
    ranked = flat.masked_fill(lower.flatten(2), -torch.inf)
    ranked = ranked.scatter(-1, _argmax(flat)[..., None], torch.inf)  # of equal maxima, rank `decode`'s choice first
    ranks, places = ranked.topk(min(count, flat.shape[-1]))
    missing = ranks == -torch.inf
    points = _crop_points(maps, places, method, stride).masked_fill(missing[..., None], torch.nan)
    heights = flat.gather(-1, places).masked_fill(missing, torch.nan)
    padding = count - places.shape[-1]
    return F.pad(points, (0, 0, 0, padding), value=torch.nan), F.pad(heights, (0, padding), value=torch.nan)


def _check(maps: Tensor, method: str) -> Tensor:
    if maps.ndim != 4:
        raise ValueError(f"maps: expected (B, K, H, W), got {tuple(maps.shape)}")
    if method not in _OFFSETS:
        raise ValueError(f"decode method {method!r}: choose from {', '.join(_OFFSETS)}")
    return maps.float()


def _argmax(flat: Tensor) -> Tensor:
    """Argmax over the last axis: the first of several equal values, or the first NaN."""
    if flat.is_cpu and not (torch.jit.is_tracing() or torch.compiler.is_compiling()):
        return torch.from_numpy(flat.detach().numpy().argmax(-1))  # five times as fast as torch's argmax
    return flat.argmax(-1)


def _crop_points(maps: Tensor, places: Tensor, method: str, stride: int) -> Tensor:
    """Convert indices into the flattened heatmaps, `places` (B, K, ...), to crop coordinates (B, K, ..., 2)."""
    rows = places // maps.shape[-1]
    columns = torch.sub(places, rows, alpha=maps.shape[-1])
    peaks = torch.stack([columns, rows], -1)
    return (peaks + _OFFSETS[method](maps, peaks) + 0.5) * stride - 0.5


def _no_offset(maps: Tensor, peaks: Tensor) -> Tensor:
    return torch.zeros_like(peaks, dtype=maps.dtype)


def _quarter_offset(maps: Tensor, peaks: Tensor) -> Tensor:
    height, width = maps.shape[-2:]
    x, y = peaks.unbind(-1)
    # Step to the neighbour: 1, but 0 at a border, where a pixel is compared with itself and gets no offset.
    right = (x % max(width - 1, 1)).clamp_(max=1)
    down = (y % max(height - 1, 1)).clamp_(max=1)
    steps = torch.stack([right, down * width], -1)
    places = torch.add(x, y, alpha=width)[..., None]
    flat = maps.flatten(2)
    after = flat.gather(-1, (places + steps).flatten(2)).view(steps.shape)
    before = flat.gather(-1, (places - steps).flatten(2)).view(steps.shape)
    return torch.sign(after - before).mul_(0.25)


def _dark_offset(maps: Tensor, peaks: Tensor, blur_sigma: float = 1.0, blur_radius: int = 3) -> Tensor:
    taps = torch.arange(-blur_radius, blur_radius + 1, device=maps.device, dtype=maps.dtype)
    taps = torch.exp(taps.square() / (-2 * blur_sigma**2))
    # Smooth only the 3×3 pixels around the peak, by matrix products, which can be exported to ONNX.
    band = torch.stack([F.pad(taps, (shift, 2 - shift)) for shift in range(3)])
    patch = torch.log((band @ _patches(maps, peaks, 1 + blur_radius) @ band.T).clamp_min(1e-10))
    dx = (patch[..., 1, 2] - patch[..., 1, 0]) / 2
    dy = (patch[..., 2, 1] - patch[..., 0, 1]) / 2
    dxx = patch[..., 1, 2] - 2 * patch[..., 1, 1] + patch[..., 1, 0]
    dyy = patch[..., 2, 1] - 2 * patch[..., 1, 1] + patch[..., 0, 1]
    dxy = (patch[..., 2, 2] - patch[..., 2, 0] - patch[..., 0, 2] + patch[..., 0, 0]) / 4
    determinant = dxx * dyy - dxy.square()
    # A Newton step leads to a maximum only where the Hessian is negative definite. At a border, the padding distorts the blur.
    usable = (dxx < 0) & (determinant > 1e-9) & (_distance_to_border(maps, peaks) >= 1).all(-1)
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / determinant.masked_fill(~usable, 1.0)[..., None]
    return (step * usable[..., None]).clamp(-1, 1)


_OFFSETS = {"quarter": _quarter_offset, "dark": _dark_offset, "argmax": _no_offset}


def _patches(maps: Tensor, peaks: Tensor, radius: int) -> Tensor:
    """Return the (B, K, ..., 2 radius + 1, 2 radius + 1) pixels around the peaks (B, K, ..., 2), padded with the border pixels."""
    height, width = maps.shape[-2:]
    offsets = torch.arange(-radius, radius + 1, device=maps.device)
    columns = (peaks[..., 0, None] + offsets).clamp(0, width - 1)
    rows = (peaks[..., 1, None] + offsets).clamp(0, height - 1)
    places = rows[..., :, None] * width + columns[..., None, :]
    return maps.flatten(2).gather(-1, places.flatten(2)).view(*places.shape)


def _distance_to_border(maps: Tensor, peaks: Tensor) -> Tensor:
    """Return the distance (B, K, ..., 2) of each peak to the nearest border along x and y, in pixels."""
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=maps.device)
    return torch.minimum(peaks, last - peaks)
