"""The stack's database: a private MariaDB, a private real MySQL, or the server that DATABASE_URL names.

Private ones live in <state>/database and listen on 127.0.0.1. They get MySQL's strictness (MariaDB is laxer by default), UTC,
a collation that both have, and two users beside root, as on AWS: `sms_migrate` may do anything in databases named sms_*, `sms_app`
may read and add rows there. Which rows it may change and delete too, migrate grants it table by table: never those of the audit
log. On a server given by DATABASE_URL no user is made and nothing but databases named sms_* is touched: all functions connect as
that URL's user.
"""

import getpass
import os
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from processes import free_port, listening

ROOT = Path(__file__).resolve().parents[2]
NAME = "sms_local"
APP_USER = "sms_app"

SQL_MODE = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
SERVER = [
    f"--user={getpass.getuser()}",
    "--bind-address=127.0.0.1",
    "--socket=s.sock",  # inside the data folder: a path from / could pass a socket's 107 characters
    "--pid-file=pid",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_520_ci",
    "--default-time-zone=+00:00",
    "--max-connections=400",
    "--innodb-buffer-pool-size=256M",
    f"--sql-mode={SQL_MODE}",
]
# Tests create and drop a database each: no flush to the disk. A crash of the machine loses the data; tests don't mind.
FAST = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--innodb-flush-method=nosync"]
# The same for a server that will be killed: every commit is with the system when it is answered, and a half-written page can be mended.
FAST_AND_KILLED = ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"]

USERS = r"""
CREATE USER IF NOT EXISTS 'sms_migrate'@'%' IDENTIFIED BY 'local';
CREATE USER IF NOT EXISTS 'sms_app'@'%' IDENTIFIED BY 'local';
GRANT ALL ON `sms\_%`.* TO 'sms_migrate'@'%' WITH GRANT OPTION;
GRANT SELECT, INSERT ON `sms\_%`.* TO 'sms_app'@'%';
"""


def query(url, sql):
    """Run statements through the command-line client; what they print, tab-separated, without headings."""
    server = urlsplit(url)
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"]
    command += [f"--host={server.hostname}", f"--port={server.port or 3306}", f"--user={unquote(server.username or 'root')}"]
    environment = {**os.environ, "MYSQL_PWD": unquote(server.password or "")}
    done = subprocess.run(command, input=sql, env=environment, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()


def with_name(url, name, user=None):
    """The same server's URL for another database and, if given, another `user:password`."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")
    netloc = f"{user}@{place[2]}" if user else parts.netloc
    return parts._replace(netloc=netloc, path=f"/{name}").geturl()


class Database:
    """One state folder's database server, of kind `mariadb`, `mysql` or `given`."""

    def __init__(self, processes, kind, flags=()):
        self.processes = processes
        self.kind = "given" if os.environ.get("DATABASE_URL") else kind
        # Those of the first start hold: a restart is to change nothing.
        self.flags = list(processes.known.get("database", {}).get("flags", flags))
        self.folder = processes.state / "database"

    def start(self):
        """Start the server if it doesn't run; returns its administrator's URL."""
        if self.kind == "given":
            return os.environ["DATABASE_URL"]
        if self.processes.running("database"):
            return self.url()
        port = free_port(os.environ.get("DB_PORT") or self.processes.known.get("database", {}).get("port"))
        data = self.folder / "data"
        if not (data / "mysql").is_dir():
            shutil.rmtree(data, ignore_errors=True)  # half made by a start that was interrupted
            self._initialise(data)
        # Left by a server that was killed; MySQL does not start while the system still knows the id in it, be it a zombie's.
        (data / "s.sock.lock").unlink(missing_ok=True)
        users = self.folder / "users.sql"
        users.write_text(USERS)
        command = [*self._program(), f"--datadir={data}", self._temporary(), f"--port={port}", f"--init-file={users}", *SERVER]
        self.processes.start("database", command + self.flags, port=port, kind=self.kind, flags=self.flags)
        self.processes.wait_until("database", self._answers, 60)
        return self.url()

    def restart(self):
        """Kill the server, as a crash would, and start it again on the same port and data; returns its administrator's URL."""
        if self.kind == "given":
            raise SystemExit("the server of DATABASE_URL is not ours to restart")
        if "database" not in self.processes.known:
            raise SystemExit("no database runs: `make up` first")
        before = self.url()
        self.processes.kill("database")
        while listening(urlsplit(before).port):  # a thread of it outlives it for a moment, and its sockets with that
            time.sleep(0.01)
        if self.start() != before:
            raise SystemExit(f"the port of {before} was taken meanwhile")
        return before

    def url(self):
        """The administrator's URL of the running private server, without a database."""
        return f"mysql://root@127.0.0.1:{self.processes.known['database']['port']}"

    def _answers(self):
        try:
            query(self.url(), "SELECT 1")
        except RuntimeError:
            return False
        return True

    def _temporary(self):
        # A server that starts deletes what it finds of temporary tables: in a folder that it shares those of other servers too.
        folder = self.folder / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return f"--tmpdir={folder}"

    def _program(self):
        if self.kind == "mariadb":
            server = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
            return [server, "--no-defaults"]
        # Unpacked from another release of the system: it runs with the libraries that came with it, under their loader.
        base = ROOT / "target" / "tools" / "mysql"
        machine = next((base / "usr/lib").glob("*-linux-gnu"))
        loader = next(machine.glob("ld-linux*"))
        share = base / "usr/share/mysql"
        return [
            loader, "--library-path", machine, base / "usr/sbin/mysqld", "--no-defaults", f"--basedir={base / 'usr'}",
            f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}",
            f"--plugin-dir={base / 'usr/lib/mysql/plugin'}", "--secure-file-priv=", "--mysqlx=OFF", "--disable-log-bin",
        ]

    def _initialise(self, data):
        if self.kind == "mariadb":
            self.folder.mkdir(parents=True, exist_ok=True)
            command = [
                "mariadb-install-db", "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M", self._temporary(),
            ]
        else:
            data.mkdir(parents=True, exist_ok=True)
            command = [*map(str, self._program()), "--initialize-insecure", f"--user={getpass.getuser()}", f"--datadir={data}", self._temporary()]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise SystemExit(f"the {self.kind} database could not be initialised:\n{done.stdout[-3000:]}")

    def create(self, name):
        """Create a database; whether it is new."""
        admin = self.start()
        try:
            known = query(admin, f"SHOW DATABASES LIKE '{name}'")
            query(admin, f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
        except RuntimeError as error:
            log = self.processes.tail("database") if "database" in self.processes.known else ""
            raise SystemExit(f"{name} was not made: {error}\n{log}") from error
        return not known

    def drop(self, name):
        """Drop a database that `create` made on a server which goes on running."""
        query(self.start(), f"DROP DATABASE IF EXISTS `{name}`")

    def version(self):
        """What the server says it is, as `MariaDB 10.11.19` or `MySQL 8.4.6`."""
        number = query(self.start(), "SELECT VERSION()")
        return f"MariaDB {number.partition('-')[0]}" if "mariadb" in number.lower() else f"MySQL {number}"

    def urls(self):
        """(administrator, migrate, functions): the URLs of the stack's database for each of them."""
        admin = self.start()
        users = (None, None, None) if self.kind == "given" else (None, "sms_migrate:local", f"{APP_USER}:local")
        return tuple(with_name(admin, NAME, user) for user in users)

    def app_user(self):
        """Whom migrate grants what the functions need beyond the least; nobody where all connect as one user."""
        return "" if self.kind == "given" else APP_USER
