"""Asks the Docker engine for what `sam local` needs: whether it runs, its bridge, its images.

Uses the engine's HTTP API at DOCKER_HOST, or at the usual socket, as the SAM CLI does.
"""

import http.client
import ipaddress
import json
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

USUAL = "unix:///var/run/docker.sock"
TIMEOUT_S = 10


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self.path)


@dataclass
class Bridge:
    """The default network of containers: the engine's address in it, and the network itself."""

    gateway: str
    network: str


class Engine:
    """A Docker engine that answers."""

    def __init__(self, host):
        self.host = host

    def _connection(self):
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            return _Unix(parts.path)
        if parts.scheme == "tcp":
            return http.client.HTTPConnection(parts.hostname, parts.port or 2375, TIMEOUT_S)
        raise OSError(f"DOCKER_HOST={self.host}: expected unix://… or tcp://…")

    def get(self, path):
        """Returns (status, body) of a GET request to the engine."""
        connection = self._connection()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"{self.host} does not speak HTTP: {error}") from error
        finally:
            connection.close()

    def bridge(self):
        """Returns the default bridge, None if the engine has none."""
        status, body = self.get("/networks/bridge")
        ranges = json.loads(body)["IPAM"]["Config"] if status == 200 else []
        for entry in ranges or []:
            network = ipaddress.ip_network(entry["Subnet"])
            if network.version == 4:
                # Some engines name only the network; its first address is the gateway then.
                return Bridge(entry.get("Gateway") or str(network[1]), str(network))
        return None

    def has_image(self, name):
        """Returns whether the engine has an image, so that it need not be pulled."""
        return self.get(f"/images/{name}/json")[0] == 200


def find(environment=os.environ):
    """Returns (the engine, None), or (None, the reason why there is none)."""
    engine = Engine(environment.get("DOCKER_HOST") or USUAL)
    try:
        status, _ = engine.get("/_ping")
    except OSError as error:
        return None, f"{engine.host}: {error.strerror or error}"
    return (engine, None) if status == 200 else (None, f"{engine.host} answers {status}")
