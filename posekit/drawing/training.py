"""Curves of a training run."""

from collections.abc import Sequence


def training_curves(rows: Sequence[dict[str, float]], *, metric: str):
    """Loss and validation score against the epochs.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a run's metrics.csv, with "epoch", "loss" and "pck".
    metric : str
        What "pck" is called on the axis, e.g. "PCKh@0.5".

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(7, 3), layout="constrained")
    for axes, key, label in zip(figure.subplots(1, 2), ("loss", "pck"), ("training loss", f"validation {metric} (%)"), strict=True):
        axes.plot(epochs, [row[key] for row in rows], marker="." if len(rows) < 40 else "", color="#0072b2")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
