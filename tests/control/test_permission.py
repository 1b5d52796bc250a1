"""Who may not is told who may."""

import pytest

from throughway.control.permission import for_root
from throughway.model.errors import ConfigError, ControlError, LabError, Stage, TransportError

NOBODY = 65534


def forbidden() -> ConfigError:
    """Return an error as those who read files make it: the system's stands behind two others."""
    try:
        try:
            try:
                raise PermissionError(13, "Permission denied", "x")
            except OSError:
                raise ValueError("x cannot be read") from None
        except ValueError:
            raise ConfigError("x", "", "cannot be used") from None
    except ConfigError as error:
        return error


def collected(*whys: str) -> ConfigError:
    every = tuple(ConfigError("x.toml", "key", why) for why in whys)
    return ConfigError("x.toml", "", "several things are wrong", every)


def of_a_lab() -> LabError:
    error = LabError("a lab needs root")
    error.__cause__ = PermissionError(13, "Permission denied")
    return error


def of_a_firewall() -> TransportError:
    error = TransportError(Stage.CONNECT, "x port 443: Permission denied")
    error.__cause__ = PermissionError(13, "Permission denied")
    return error


@pytest.mark.parametrize(
    ("error", "uid", "hint"),
    [
        (forbidden(), NOBODY, True),
        (forbidden(), 0, False),
        (PermissionError(1, "Operation not permitted"), NOBODY, True),
        (FileNotFoundError(2, "No such file or directory"), NOBODY, False),
        (ConfigError("x", "", "does not exist"), NOBODY, False),
        (ConfigError("x.toml", "key", "y cannot be read: Permission denied"), NOBODY, True),
        (collected("y cannot be read: Permission denied", "is missing"), NOBODY, True),
        (collected("is missing", "is too long"), NOBODY, False),
        (of_a_lab(), NOBODY, False),
        (of_a_firewall(), NOBODY, False),
        # What the daemon may not, who is root, is nothing that its asker could mend so.
        (ControlError("x: Permission denied"), NOBODY, False),
    ],
)
def test_for_root(error: Exception, uid: int, hint: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    assert for_root(error) == ("; run as root" if hint else "")
