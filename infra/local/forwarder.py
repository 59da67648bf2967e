"""Forwards TCP connections from a container bridge to ports of the loopback interface.

The stack listens on 127.0.0.1, which a container cannot reach on Linux. A forwarder listens on the
bridge's gateway, an address of this machine, at the same ports. It needs no privileges. It exists
only during an invocation and accepts connections only from the bridge's own network, so that no
other machine reaches the database through it.
"""

import asyncio
import concurrent.futures
import contextlib
import errno
import functools
import ipaddress
import threading

LOOPBACK = "127.0.0.1"
BUFFER = 64 * 1024


async def _copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Forwarder:
    """Forwards `ports` of one address to the same ports of the loopback interface."""

    def __init__(self, address, network, ports):
        self.address = address
        self.network = ipaddress.ip_network(network)
        self.ports = sorted(ports)
        self.ready = concurrent.futures.Future()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        """Listens on all ports. Raises OSError if the address is not one of this machine."""
        self.thread.start()
        self.stop = self.ready.result()
        return self

    def __exit__(self, *_):
        """Stops listening and closes all connections."""
        self.stop()
        self.thread.join()

    async def _run(self):
        loop, stopped, servers = asyncio.get_running_loop(), asyncio.Event(), []
        try:
            for port in self.ports:
                serve = functools.partial(self._serve, port)
                try:
                    servers.append(await asyncio.start_server(serve, self.address, port))
                except OSError as error:
                    # A server that listens on all addresses, or another forwarder: reachable.
                    if error.errno != errno.EADDRINUSE:
                        raise
            self.ready.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()
        except OSError as error:
            self.ready.set_exception(error)
        for server in servers:
            server.close()

    async def _serve(self, port, reader, writer):
        peer = ipaddress.ip_address(writer.get_extra_info("peername")[0])
        # The machine itself connects with the address of the gateway, which is in the network too.
        if peer not in self.network:
            writer.close()
            return
        writers = [writer]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection(LOOPBACK, port)
            writers.append(to_writer)
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
        for each in writers:
            each.close()


def is_foreign(error):
    """Returns whether the error means that the address is not one of this machine."""
    return error.errno == errno.EADDRNOTAVAIL
