"""Host names of the web addresses in a text: what `url_match` compares."""

import re

_HOST = re.compile(r"https?://([^\s/?#<>()\[\]{}\"'|\\,;`^、。，；）】」》]+)", re.IGNORECASE)
_PORT = re.compile(r":\d*$")


def hosts(text: str) -> frozenset[str]:
    """Hosts of all http(s) addresses: lower case, without user, port, or the punctuation that follows.

    A name without a scheme is text. `www.` counts, as in WideSearch: `mit.edu` is not `www.mit.edu`.
    """
    found = (_host(authority) for authority in _HOST.findall(text))
    return frozenset(name for name in found if name)


def _host(authority: str) -> str:
    name = authority.rpartition("@")[2].rstrip(".:!*_~")
    name = _PORT.sub("", name).rstrip(".").casefold()
    try:
        return name.encode("ascii").decode("idna") if name.startswith("xn--") or ".xn--" in name else name
    except UnicodeError:
        return name
