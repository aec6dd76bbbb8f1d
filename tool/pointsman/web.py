"""What the environment says of connections: proxies and certificates. Variables are named, secrets are not."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

CA_VARIABLE = "SSL_CERT_FILE"
OWN_CA = f"if an own CA signed it, name the CA's file in {CA_VARIABLE}"


def through(url: str) -> str:
    """ ", sent through the proxy …": the proxy of a URL and the variable that names it; "" if there is none."""
    from urllib.request import proxy_bypass

    split = urlsplit(url)
    if proxy_bypass(split.netloc.rpartition("@")[2]):
        return ""
    for name in (f"{split.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if proxy := os.environ.get(variable):
                return f", sent through the proxy {_host(proxy)} of {variable}"
    return ""


def _host(proxy: str) -> str:
    """Host and port of a proxy's URL, which may be written without a scheme and with credentials."""
    split = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return split.netloc.rpartition("@")[2] or "(not a URL)"
