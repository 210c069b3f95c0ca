"""What the network did to a request, in a few words for a person."""

import ssl


def reason_of(failure: BaseException) -> str:
    """What the network did, in a few words."""
    from urllib3 import exceptions as lib

    if isinstance(failure, lib.ProxyError):
        return f"the proxy does not answer: {reason_of(failure.original_error)}"
    if isinstance(failure, lib.NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(failure, lib.ConnectTimeoutError) and not isinstance(failure, lib.NewConnectionError):
        return "no connection in time"
    if isinstance(failure, lib.ReadTimeoutError | TimeoutError):
        return "no answer in time"
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message or cause.reason}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {(cause.reason or str(cause)).lower().replace('_', ' ')}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    if isinstance(failure, lib.ProtocolError):
        return "the connection was cut"
    return " ".join(str(failure).split())[:200]


def _causes(failure: BaseException) -> list[BaseException]:
    """An error and what it was made from, outermost first."""
    found: list[BaseException] = []
    todo: list[object] = [failure]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseException) and error not in found:
            found.append(error)
            todo += [*error.args, error.__cause__, error.__context__]
    return found


def is_untrusted(failure: BaseException) -> bool:
    """Whether it is another server than the context's: trying again would not help."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(failure))
