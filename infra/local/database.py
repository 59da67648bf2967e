"""The stack's database: a private MariaDB, a private real MySQL, or the server of DATABASE_URL.

A private server keeps its data in <state>/database and listens on 127.0.0.1. It runs with MySQL's
strict mode (MariaDB is less strict by default), UTC, and a collation that both servers support. As
on AWS it has two users beside root: `sms_migrate` has all privileges in databases named sms_*,
`sms_app` may read and insert rows there. migrate grants `sms_app` UPDATE and DELETE per table,
never on the audit log. On the server of DATABASE_URL no user is created and only databases named
sms_* are used; all functions connect as the user of that URL.
"""

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from processes import free_port, listening

ROOT = Path(__file__).resolve().parents[2]
NAME = "sms_local"
APP_USER = "sms_app"

SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
SERVER = [
    f"--user={getpass.getuser()}",
    "--bind-address=127.0.0.1",
    "--socket=s.sock",  # relative, because a path is limited to 107 characters
    "--pid-file=pid",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_520_ci",
    "--default-time-zone=+00:00",
    "--max-connections=400",
    f"--innodb-buffer-pool-size={os.environ.get('BUFFER_POOL') or '256M'}",
    f"--sql-mode={SQL_MODE}",
]
# Each test creates and drops a database, so nothing is flushed to the disk. A crash of the machine
# loses the data, which is acceptable for tests.
FAST = [
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-method=nosync",
]
# The same for a server that will be killed: each commit reaches the operating system before it is
# acknowledged, and a partially written page can be repaired.
FAST_AND_KILLED = ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"]
# The data of a server for tests is kept in memory if there is room: there, a database with all tables
# is created in a quarter of the time (MySQL) or a twentieth (MariaDB).
MEMORY = Path("/dev/shm")
ROOM = 8 << 30  # bytes; all tests together need less than a quarter at a time

USERS = r"""
CREATE USER IF NOT EXISTS 'sms_migrate'@'%' IDENTIFIED BY 'local';
CREATE USER IF NOT EXISTS 'sms_app'@'%' IDENTIFIED BY 'local';
GRANT ALL ON `sms\_%`.* TO 'sms_migrate'@'%' WITH GRANT OPTION;
GRANT SELECT, INSERT ON `sms\_%`.* TO 'sms_app'@'%';
"""


def query(url, sql):
    """Executes statements with the command-line client; returns its output, tab-separated."""
    server = urlsplit(url)
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"]
    command += [f"--host={server.hostname}", f"--port={server.port or 3306}"]
    command += [f"--user={unquote(server.username or 'root')}"]
    environment = {**os.environ, "MYSQL_PWD": unquote(server.password or "")}
    done = subprocess.run(command, input=sql, env=environment, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()


def with_name(url, name, user=None):
    """Returns the URL with another database and, if given, another `user:password`."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    netloc = f"{user}@{address}" if user else parts.netloc
    return parts._replace(netloc=netloc, path=f"/{name}").geturl()


def room(folder):
    """Returns how many bytes a folder in memory can take; 0 if there is none."""
    if not os.path.ismount(folder):
        return 0
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) << 10 for line in meminfo if line.startswith("MemAvail"))
    return min(shutil.disk_usage(folder).free, available)


class Database:
    """The database server of one state folder, of kind `mariadb`, `mysql` or `given`."""

    def __init__(self, processes, kind, flags=()):
        self.processes = processes
        self.kind = "given" if os.environ.get("DATABASE_URL") else kind
        # A restart uses the flags of the first start.
        self.flags = list(processes.known.get("database", {}).get("flags", flags))
        self.folder = processes.state / "database"

    def start(self):
        """Starts the server if it does not run; returns the administrator's URL."""
        if self.kind == "given":
            return os.environ["DATABASE_URL"]
        if self.processes.running("database"):
            return self.url()
        earlier = self.processes.known.get("database", {}).get("port")
        port = free_port(os.environ.get("DB_PORT") or earlier)
        data = self.folder / "data"
        if not (data / "mysql").is_dir():
            self.remove()  # left incomplete by an interrupted start
            self._initialize(data)
        # Left by a server that was killed. MySQL does not start while the process id in it exists,
        # even if that process is a zombie.
        (data / "s.sock.lock").unlink(missing_ok=True)
        users = self.folder / "users.sql"
        users.write_text(USERS)
        command = [*self._program(), f"--datadir={data}", self._temporary(), f"--port={port}"]
        command += [f"--init-file={users}", *SERVER, *self.flags]
        self.processes.start("database", command, port=port, kind=self.kind, flags=self.flags)
        self.processes.wait_until("database", self._answers, 60)
        return self.url()

    def remove(self):
        """Removes the data of a server that does not run."""
        data = self.folder / "data"
        if data.is_symlink():
            shutil.rmtree(data.resolve(), ignore_errors=True)
            data.unlink()
        shutil.rmtree(data, ignore_errors=True)

    def restart(self):
        """Kills the server and starts it again on the same port and data; returns its URL."""
        if self.kind == "given":
            raise SystemExit("the server of DATABASE_URL cannot be restarted from here")
        if "database" not in self.processes.known:
            raise SystemExit("no database runs: run `make up` first")
        before = self.url()
        self.processes.kill("database")
        while listening(urlsplit(before).port):  # its sockets stay open until its last thread ends
            time.sleep(0.01)
        if self.start() != before:
            raise SystemExit(f"the port of {before} is in use by another process")
        return before

    def url(self):
        """Returns the administrator's URL of the running private server, without a database."""
        return f"mysql://root@127.0.0.1:{self.processes.known['database']['port']}"

    def _answers(self):
        try:
            query(self.url(), "SELECT 1")
        except RuntimeError:
            return False
        return True

    def _temporary(self):
        # At its start a server deletes all temporary tables in this folder. In a shared folder it
        # would also delete those of other servers.
        folder = self.folder / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return f"--tmpdir={folder}"

    def _program(self):
        if self.kind == "mariadb":
            server = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
            return [server, "--no-defaults"]
        # The server is from another release of the system, so it runs with the libraries and the
        # loader that were unpacked with it.
        base = ROOT / "target" / "tools" / "mysql"
        machine = next((base / "usr/lib").glob("*-linux-gnu"))
        loader = next(machine.glob("ld-linux*"))
        share = base / "usr/share/mysql"
        return [
            loader,
            "--library-path",
            machine,
            base / "usr/sbin/mysqld",
            "--no-defaults",
            f"--basedir={base / 'usr'}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
            f"--plugin-dir={base / 'usr/lib/mysql/plugin'}",
            "--secure-file-priv=",
            "--mysqlx=OFF",
            "--disable-log-bin",
        ]

    def _initialize(self, data):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.flags and room(MEMORY) >= ROOM:
            # Through a link, so that a server in another folder never finds the data.
            data.symlink_to(tempfile.mkdtemp(prefix="sms-database-", dir=MEMORY))
        if self.kind == "mariadb":
            command = [
                "mariadb-install-db",
                "--no-defaults",
                f"--user={getpass.getuser()}",
                f"--datadir={data}",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
                "--innodb-log-file-size=8M",
                self._temporary(),
            ]
        else:
            data.mkdir(exist_ok=True)
            command = [*map(str, self._program()), "--initialize-insecure"]
            command += [f"--user={getpass.getuser()}", f"--datadir={data}", self._temporary()]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            self.remove()
            raise SystemExit(
                f"the {self.kind} database could not be initialized:\n{done.stdout[-3000:]}"
            )

    def create(self, name):
        """Creates a database; returns whether it is new."""
        admin = self.start()
        try:
            known = query(admin, f"SHOW DATABASES LIKE '{name}'")
            options = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
            query(admin, f"CREATE DATABASE IF NOT EXISTS `{name}` {options}")
        except RuntimeError as error:
            log = self.processes.tail("database") if "database" in self.processes.known else ""
            raise SystemExit(f"the database {name} could not be created: {error}\n{log}") from error
        return not known

    def drop(self, name):
        """Drops a database that create() made."""
        query(self.start(), f"DROP DATABASE IF EXISTS `{name}`")

    def version(self):
        """Returns the product and version of the server, such as `MariaDB 10.11.19`."""
        number = query(self.start(), "SELECT VERSION()")
        if "mariadb" in number.lower():
            return f"MariaDB {number.partition('-')[0]}"
        return f"MySQL {number}"

    def urls(self):
        """Returns the URLs of the stack's database for (administrator, migrate, functions)."""
        admin = self.start()
        private = (None, "sms_migrate:local", f"{APP_USER}:local")
        users = (None, None, None) if self.kind == "given" else private
        return tuple(with_name(admin, NAME, user) for user in users)

    def app_user(self):
        """Returns the user to whom migrate grants privileges, "" if all connect as one user."""
        return "" if self.kind == "given" else APP_USER
