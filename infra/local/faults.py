"""Fault injection, for a stack with FAULTS=1.

Two proxies (`infra/proxy`) connect the functions with the database and with the carrier; their HTTP
control interface makes connections fail. The functions are built with fault points: at each of them
they ask FAULT_POINTS_URL what to do, and continue if nothing listens there. `stack.env` contains
the URLs of the control interfaces, that port, and the direct addresses of both servers, so that the
chaos runner is not affected by its own faults.
"""

import socket
from urllib.parse import urlsplit

from processes import free_port


def through(url, port):
    """Returns the URL with the proxy's address; user and path stay the same."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user[0]}{user[1]}127.0.0.1:{port}").geturl()


def address(url, usual_port):
    """Returns the server of a URL as ADDRESS:PORT, because the proxy does not resolve names."""
    parts = urlsplit(url)
    port = parts.port or usual_port
    found = socket.getaddrinfo(parts.hostname, port, socket.AF_INET, socket.SOCK_STREAM)
    return "{}:{}".format(*found[0][4])


class Faults:
    """The proxies and ports of one stack, which are saved in stack.json."""

    def __init__(self, stack):
        self.stack = stack

    def port(self, name):
        """Returns a port that stays the same until `down`."""
        ports = self.stack.facts.get("fault_ports", {})
        if name not in ports:
            self.stack.remember(fault_ports=ports | {name: free_port()})
        return self.stack.facts["fault_ports"][name]

    def functions_environment(self):
        """Returns the environment variables that the functions inherit."""
        return {"FAULT_POINTS_URL": f"http://127.0.0.1:{self.port('points')}"}

    def database(self, admin, urls):
        """Starts the proxy of the database; returns the URLs with the proxy's address."""
        port = self._proxy("proxy-database", address(admin, 3306))
        return tuple(through(url, port) for url in urls)

    def carrier(self, url):
        """Starts the proxy of the carrier; returns the URL with the proxy's address."""
        if urlsplit(url).scheme != "http":
            raise SystemExit(
                f"{url}: expected http, because FAULTS=1 does not support TLS to the carrier"
            )
        return through(url, self._proxy("proxy-carrier", address(url, 80)))

    def _proxy(self, name, target):
        control = self.port(name)

        def arguments(port):
            return [str(port), target, str(control)]

        return self.stack.keep_running(name, None, arguments, program="proxy")

    def environment(self):
        """Returns the variables for `stack.env`."""
        return {
            "DATABASE_PROXY_CONTROL": f"http://127.0.0.1:{self.port('proxy-database')}",
            "CARRIER_PROXY_CONTROL": f"http://127.0.0.1:{self.port('proxy-carrier')}",
            "FAULT_POINTS_PORT": str(self.port("points")),
            "STATE_DIR": str(self.stack.state),
        }
