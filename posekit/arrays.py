"""Shape and dtype checks of numpy arrays and torch tensors."""

from functools import cache


def require_array(name: str, array, shape: tuple, dtype: str) -> None:
    """Raise `ValueError` unless an array has the given shape and dtype.

    Parameters
    ----------
    name : str
        Name of the array in the error message.
    array : numpy.ndarray or torch.Tensor
    shape : tuple of int or str
        Expected shape. A letter stands for any size; the same letter always stands for the same size.
    dtype : str
        Expected dtype name or its first letters, such as "float32" or "float".
    """
    actual = tuple(array.shape)
    expected = tuple(shape)
    if len(actual) == len(shape):
        sizes = dict(zip(shape, actual, strict=True))
        expected = tuple(sizes[size] if isinstance(size, str) else size for size in shape)
    if actual != expected:
        raise ValueError(f"{name}: expected {str(shape).replace(chr(39), '')}, got {actual}")
    actual_dtype = _dtype_name(array.dtype)
    if not actual_dtype.startswith(dtype):
        raise ValueError(f"{name}: expected {dtype}, got {actual_dtype}")


@cache  # str(dtype) is slow in numpy, and the arrays of every crop are checked
def _dtype_name(dtype) -> str:
    return str(dtype).removeprefix("torch.")
