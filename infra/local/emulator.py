"""The AWS emulator (ministack): one process on 127.0.0.1 that runs the functions' real binaries."""

import os
import sys
import sysconfig
from pathlib import Path

import boto3
from botocore.config import Config

from processes import free_port

REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}


def endpoint(port):
    """Returns the emulator's URL by name: lambda_http rejects an IP address as gateway host."""
    return f"http://localhost:{port}"


def client(processes, service):
    """Returns a boto3 client for the running emulator."""
    return boto3.client(
        service,
        endpoint_url=endpoint(processes.known["emulator"]["port"]).replace(
            "localhost", "127.0.0.1"
        ),
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, read_timeout=330, connect_timeout=5),
    )


def start(processes, functions_environment, with_iam=False):
    """Starts the emulator if it does not run; returns whether it is a new, empty one.

    The functions inherit `functions_environment` from it. `with_iam`: each function has the
    credentials of its own role, and a call that the role's policies do not allow is refused. The
    caller itself is an administrator (CREDENTIALS).
    """
    if processes.running("emulator"):
        return False
    earlier = processes.known.get("emulator", {}).get(
        "port"
    )  # reused, so that the URLs of the queues stay the same
    processes.stop("emulator")  # ends functions that are left over
    _send_without_delay()
    folder = (processes.state / "emulator").resolve()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir(exist_ok=True)
    port = free_port(os.environ.get("AWS_PORT") or earlier)
    # The functions inherit this environment, so only these variables of the caller are passed on.
    inherited = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ
    }
    env = {
        **inherited,
        **CREDENTIALS,
        **functions_environment,
        "AWS_ENDPOINT_URL": endpoint(port),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",  # as Lambda sets it for `LogFormat: JSON`
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "localhost",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [Path(sysconfig.get_path("scripts")) / "ministack"]
    if with_iam:
        env["AUTH"] = "true"
        # -P: the modules of this folder must not hide those that the emulator imports.
        command = [sys.executable, "-P", Path(__file__).with_name("emulator_iam.py")]
    processes.start("emulator", command, env=env, cwd=folder, port=port)
    processes.wait_until("emulator", lambda: _answers(processes), 60)
    return True


def _answers(processes):
    try:
        client(processes, "sqs").list_queues()
    except Exception:  # noqa: BLE001 - any failure means that it is not ready
        return False
    return True


def _send_without_delay():
    """Sets TCP_NODELAY for the emulator's Runtime API.

    It sends headers and body in separate packets, which would delay each call by 40 ms.
    """
    line = "import socketserver; socketserver.StreamRequestHandler.disable_nagle_algorithm = True\n"
    (Path(sysconfig.get_path("purelib")) / "sitecustomize.py").write_text(line)
