"""How a field's value is checked where it is declared."""

from posekit.errors import ConfigError


def require(condition: bool, key: str, value, expected: str) -> None:
    """Raise a `ConfigError` that names the key, what it expects and what it got."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Require one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
