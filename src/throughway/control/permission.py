"""What the system lets root do only: said wherever it has refused somebody else."""

import errno
import os

from throughway.model.errors import ConfigError, LabError, TransportError

_HINT = "; run as root"
_REFUSED = os.strerror(errno.EACCES)


def for_root(error: BaseException) -> str:
    """Return what to add to an error's words: that root may do it; "" where that is not it.

    Errors for people stand for those of the system, which are behind them (``from None``, too);
    those of a configuration, which are collected, have nothing but its words. What a firewall
    forbids (Linux calls that the same) it forbids root, too.
    """
    # A lab says it already.
    if os.geteuid() == 0 or isinstance(error, LabError | TransportError):
        return ""
    told = (error.errors or (error,)) if isinstance(error, ConfigError) else ()
    if any(each.why.endswith(_REFUSED) for each in told):
        return _HINT
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PermissionError):
        cause = cause.__cause__ or cause.__context__
    return _HINT if cause is not None else ""
