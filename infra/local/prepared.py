"""Prepares statements on MySQL or MariaDB, and returns the columns of their results.

A server describes a result when a statement is prepared, without executing it. sqlx checks its
macros with this description. The command-line client does not show it, so this module speaks the
protocol. It logs in without a password and without TLS, as on the private server of the stack.
"""

import socket
import struct
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

# Capabilities: protocol 4.1, a database, the authentication of 4.1 and its plugins.
CAPABILITIES = 0x0200 | 0x0008 | 0x8000 | 0x80000
UTF8MB4 = 45  # utf8mb4_general_ci, for the login alone
# As sqlx sets up each connection.
SESSION = (
    "SET sql_mode = (SELECT CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION')),"
    " time_zone = '+00:00', NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"
)
QUERY, PREPARE, CLOSE = b"\x03", b"\x16", b"\x19"  # commands
ERROR, OK, SWITCH = 0xFF, 0x00, 0xFE  # first bytes of answers
LONG = 0xFC  # before a length of two bytes
NOT_NULL, UNSIGNED, BINARY = 1, 32, 128  # flags of a column
# A program reads all types of strings alike; BINARY tells bytes from text.
TYPES = {
    0: "DECIMAL", 1: "TINYINT", 2: "SMALLINT", 3: "INT", 4: "FLOAT", 5: "DOUBLE", 6: "NULL",
    7: "TIMESTAMP", 8: "BIGINT", 9: "MEDIUMINT", 10: "DATE", 11: "TIME", 12: "DATETIME",
    13: "YEAR", 16: "BIT", 245: "JSON", 246: "DECIMAL", 252: "STRING", 253: "STRING",
    254: "STRING",
}  # fmt: skip


class Refused(Exception):
    """The server answered with an error."""


@dataclass(frozen=True)
class Column:
    """A column of a result: its name, its type as a driver sees it, and whether it can be NULL."""

    name: str
    type: str
    nullable: bool


class Connection:
    """A connection to the database of a URL. It is a context manager."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port or 3306), timeout=30)
        self.stream = self.socket.makefile("rb")
        self.sequence = 0
        try:
            self._log_in(unquote(parts.username or "root"), parts.path.strip("/"))
            self._command(QUERY + SESSION.encode())
            self._packet()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection."""
        self.stream.close()
        self.socket.close()

    def prepare(self, statement):
        """Prepares a statement, and forgets it; returns the columns of its result.

        Raises `Refused` if the server does not accept the statement.
        """
        self._command(PREPARE + statement.encode())
        answer = self._packet()
        statement_id, columns, parameters = struct.unpack_from("<IHH", answer, 1)
        if parameters:
            self._definitions(parameters)
        found = self._definitions(columns) if columns else []
        self._command(CLOSE + struct.pack("<I", statement_id))  # has no answer
        return [_column(packet) for packet in found]

    def _log_in(self, user, name):
        self._packet()  # the greeting; its random bytes are for a password
        self._send(
            struct.pack("<IIB23x", CAPABILITIES, 1 << 24, UTF8MB4)
            + user.encode() + b"\0" + b"\0" + name.encode() + b"\0" + b"mysql_native_password\0"
        )  # fmt: skip
        if self._packet()[0] == SWITCH:  # to another plugin, which no password satisfies too
            self._send(b"")
            self._packet()

    def _command(self, content):
        self.sequence = 0
        self._send(content)

    def _send(self, content):
        header = len(content).to_bytes(3, "little") + bytes([self.sequence])
        self.socket.sendall(header + content)
        self.sequence = (self.sequence + 1) % 256

    def _packet(self):
        header = self._exactly(4)
        self.sequence = (header[3] + 1) % 256
        content = self._exactly(int.from_bytes(header[:3], "little"))
        if content[0] == ERROR:
            raise Refused(content[9:].decode(errors="replace"))  # after code and SQL state
        return content

    def _exactly(self, count):
        content = self.stream.read(count)
        if len(content) < count:
            raise ConnectionError("the server closed the connection")
        return content

    def _definitions(self, count):
        found = [self._packet() for _ in range(count)]
        self._packet()  # marks their end
        return found


def _column(packet):
    """Returns the column that a definition describes."""
    texts, at = [], 0
    for _ in range(6):  # catalog, database, alias of the table, table, alias, name
        length, at = packet[at], at + 1
        if length == LONG:
            length, at = int.from_bytes(packet[at : at + 2], "little"), at + 2
        texts.append(packet[at : at + length])
        at += length
    number, flags = struct.unpack_from("<BH", packet, at + 7)  # after length, charset and width
    kind = TYPES.get(number, f"type {number}")
    kind += " UNSIGNED" if flags & UNSIGNED else ""
    kind += " BINARY" if flags & BINARY else ""
    return Column(texts[4].decode(errors="replace"), kind, not flags & NOT_NULL)
