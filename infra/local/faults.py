"""What a stack has beside the usual when FAULTS=1: the means of taking its parts away while it runs.

Two proxies stand between the functions and the two servers that they depend on, the database and the carrier, and their HTTP
control makes connections fail (`infra/proxy`). The functions are built with fault points: at each of them they ask FAULT_POINTS_URL
what to do, and go on where nobody listens. `stack.env` has the controls and that port, and the servers' own addresses: who
watches what happens is not to be cut off himself.
"""

import socket
from urllib.parse import urlsplit

from processes import free_port


def through(url, port):
    """The same URL, user and path included, by way of a proxy's port."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user[0]}{user[1]}127.0.0.1:{port}").geturl()


def address(url, usual_port):
    """The server of a URL as ADDRESS:PORT; the proxy asks no name server."""
    parts = urlsplit(url)
    found = socket.getaddrinfo(parts.hostname, parts.port or usual_port, socket.AF_INET, socket.SOCK_STREAM)
    return "{}:{}".format(*found[0][4])


class Faults:
    """The proxies and ports of one stack; its facts remember the ports."""

    def __init__(self, stack):
        self.stack = stack

    def port(self, name):
        """A port that stays the same until `down`."""
        ports = self.stack.facts.get("fault_ports", {})
        if name not in ports:
            self.stack.remember(fault_ports=ports | {name: free_port()})
        return self.stack.facts["fault_ports"][name]

    def functions_environment(self):
        """What the functions inherit."""
        return {"FAULT_POINTS_URL": f"http://127.0.0.1:{self.port('points')}"}

    def database(self, admin, urls):
        """The functions' database URLs, by way of a proxy that runs now."""
        port = self._proxy("proxy-database", address(admin, 3306))
        return tuple(through(url, port) for url in urls)

    def carrier(self, url):
        """The carrier's URL for the functions."""
        if urlsplit(url).scheme != "http":
            raise SystemExit(f"{url}: a proxy can't stand in front of a carrier that proves its name; FAULTS=1 takes http only")
        return through(url, self._proxy("proxy-carrier", address(url, 80)))

    def _proxy(self, name, target):
        control = self.port(name)
        return self.stack.keep_running(name, None, lambda port: [str(port), target, str(control)], program="proxy")

    def environment(self):
        """What `stack.env` says of it."""
        return {
            "DATABASE_PROXY_CONTROL": f"http://127.0.0.1:{self.port('proxy-database')}",
            "CARRIER_PROXY_CONTROL": f"http://127.0.0.1:{self.port('proxy-carrier')}",
            "FAULT_POINTS_PORT": str(self.port("points")),
            "STATE_DIR": str(self.stack.state),
        }
