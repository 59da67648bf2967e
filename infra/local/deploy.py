"""Deploys template.yaml, the file that production uses, to the emulator: as `aws cloudformation package` and `deploy` would.

Each `CodeUri: target/lambda/<function>/` becomes the address of an uploaded zip, named by its content, so that a function
whose binary is the same is not published again; the binaries come from the folder that the caller names. Only parameters
differ from production; the table below holds them.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import time
import zipfile
from pathlib import Path

from botocore.exceptions import ClientError

import emulator

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "code"
TEMPLATE = "template.yaml"
STACK = "sms-local"
CODE = re.compile(r"CodeUri: target/lambda/(\w+)/")

# Environment variable of `make up`: (the template's parameter, its value here). Short times, so that a demo ends in seconds; the
# emulator fires a schedule up to 10 s late, and 20 s of lead leave room for that.
LOCAL = {
    "BACKOFF_MAX_S": ("BackoffMaxS", None),
    "BATCH_SIZE": ("BatchSize", None),
    "CARRIER_FORM": ("CarrierForm", None),
    "CARRIER_OWN_IDS": ("CarrierOwnIds", None),
    "CARRIER_PARTS_PER_SECOND": ("CarrierPartsPerSecond", None),
    "CARRIER_PASSWORD": ("CarrierPassword", None),
    "CARRIER_REQUEST_MS": ("CarrierRequestMs", None),
    "CARRIER_TIMEOUT_S": ("CarrierTimeoutS", "10"),
    "CARRIER_USERNAME": ("CarrierUsername", None),
    "CORS_ORIGINS": ("CorsOrigins", None),
    "DISPATCH_CONCURRENCY": ("DispatchConcurrency", "2"),
    "DISPATCH_LEAD_S": ("DispatchLeadS", "20"),
    "DISPATCH_TIMEOUT_S": ("DispatchTimeoutS", None),
    "DISPATCH_VISIBILITY_S": ("DispatchVisibilityS", None),
    "LEASE_MARGIN_S": ("LeaseMarginS", None),
    "NOTIFY_CONCURRENCY": ("NotifyConcurrency", "2"),
    "OIDC_AUDIENCE": ("OidcAudience", None),
    "OIDC_ISSUER": ("OidcIssuer", None),
    "OIDC_ROLES": ("OidcRoles", None),
    "OIDC_ROLES_CLAIM": ("OidcRolesClaim", None),
    "RECHECK_CONCURRENCY": ("RecheckConcurrency", "4"),
    "RECHECK_DEADLINE_S": ("RecheckDeadlineS", None),
    "RECHECK_DELAYS_S": ("RecheckDelaysS", "2,2,3,5,5,10,20,30"),
    "RECHECK_IN_FLIGHT": ("RecheckInFlight", None),
    "RECORDING_SHARE_S": ("RecordingShareS", None),
    "REQUESTS_PER_MINUTE": ("RequestsPerMinute", None),
    "RESEND_DELAY_S": ("ResendDelayS", "2"),
    "RUST_LOG": ("LogLevel", None),
    "SEND_CONCURRENCY": ("SendConcurrency", "8"),
    "SEND_IN_FLIGHT": ("SendInFlight", None),
    "SWEEP_LEAD_S": ("SweepLeadS", "5"),
    "SWEEP_PATIENCE_S": ("SweepPatienceS", None),
    "UNCERTAIN_QUIET_S": ("UncertainQuietS", None),
    "WEBHOOK_LOOPBACK": ("WebhookLoopback", "true"),  # receivers stand on this machine
    "WORKER_TIMEOUT_S": ("WorkerTimeoutS", None),
    "WORKER_VISIBILITY_S": ("WorkerVisibilityS", None),
}


# What only AWS has, and the template asks for without a default, so that nobody forgets it there.
UNUSED = {
    "Subnets": "subnet-00000000",
    "SecurityGroup": "sg-00000000",
    "DatabaseSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:unused",
    "MigrationSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:unused",
}


def given_settings():
    """The settings of the table that the caller's environment names."""
    return {name: os.environ[name] for name in LOCAL if os.environ.get(name)}


def parameters(database_urls, app_user, keys, carrier_url, commit, settings):
    """The values that this machine gives to the template's parameters; the others keep the template's defaults."""
    given = {parameter: settings.get(name, value) for name, (parameter, value) in LOCAL.items()}
    _, migrate_url, app_url = database_urls
    given |= UNUSED | {
        "CallbackSecrets": keys["callback_secrets"],
        "CarrierUrl": carrier_url,
        "Commit": commit,
        "DatabaseUrl": app_url,
        "DatabaseUser": app_user,
        "JwtKeys": keys["jwt_keys"],
        "MigrationDatabaseUrl": migrate_url,
        "WebhookKeys": keys["webhook_keys"],
        "Where": "local",
    }
    return {name: value for name, value in given.items() if value is not None}


def shouted(name):
    """SendQueueUrl → SEND_QUEUE_URL."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def zipped(binary):
    """A zip with the binary as `bootstrap`, the same bytes for the same binary."""
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compresslevel=1) as archive:
        archive.writestr(entry, binary.read_bytes(), compresslevel=1)
    return buffer.getvalue()


class Deployment:
    """What should be deployed for one state folder, and what is (its digest stands in <state>/deployed.json)."""

    def __init__(self, processes, values, folder):
        self.processes = processes
        self.values = values
        self.template = (ROOT / "template.yaml").read_text()
        self.binaries = {name: folder / name / "bootstrap" for name in sorted(set(CODE.findall(self.template)))}
        self.codes = {name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in self.binaries.items()}
        self.file = processes.state / "deployed.json"
        self.cloudformation = emulator.client(processes, "cloudformation")

    def wanted(self):
        """A digest of all that decides what runs; GIT_COMMIT alone is no reason to deploy again."""
        values = {name: value for name, value in self.values.items() if name != "Commit"}
        return hashlib.sha256(json.dumps([self.template, values, self.codes], sort_keys=True).encode()).hexdigest()

    def deployed(self):
        """What the running emulator was given last: {digest, outputs}, or nothing."""
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def forget(self):
        """The emulator is a new one: nothing is deployed."""
        self.file.unlink(missing_ok=True)

    def confirm(self):
        """The deployment is whole (its migrations ran too): no need to repeat it until something changes."""
        self.file.write_text(json.dumps(self.deployed() | {"digest": self.wanted()}, indent=1))

    def run(self):
        """Upload, create or update the stack, and wait; returns its outputs."""
        self._upload()
        values = dict(self.values)
        if self.deployed():
            # A changed parameter alone publishes no version of a function; a changed commit does.
            values["Commit"] += f"+{self.wanted()[:6]}"
        request = {
            "StackName": STACK,
            # By its address, as the AWS CLI does it too: in the call itself a template has 51,200 bytes at most.
            "TemplateURL": f"https://s3.amazonaws.com/{BUCKET}/{TEMPLATE}",
            "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
        }
        if self.deployed():
            try:
                self.cloudformation.update_stack(**request)
            except ClientError as error:
                if "No updates" not in str(error):
                    raise
        else:
            self.cloudformation.create_stack(**request)
        outputs = self._wait()
        self._number_concurrencies()
        self.file.write_text(json.dumps({"digest": None, "outputs": outputs}, indent=1))
        return outputs

    def _number_concurrencies(self):
        """The emulator takes a number that comes from a parameter for text, and then polls no queue at all: say it again."""
        functions = emulator.client(self.processes, "lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            limit = int(mapping["ScalingConfig"]["MaximumConcurrency"])
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": limit})

    def _key(self, name):
        return f"{name}/{self.codes[name]}"

    def _upload(self):
        s3 = emulator.client(self.processes, "s3")
        with contextlib.suppress(ClientError):
            s3.create_bucket(Bucket=BUCKET)
        there = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        for name, binary in self.binaries.items():
            if self._key(name) not in there:
                s3.put_object(Bucket=BUCKET, Key=self._key(name), Body=zipped(binary))
        packaged = CODE.sub(lambda found: f"CodeUri: s3://{BUCKET}/{self._key(found[1])}", self.template)
        s3.put_object(Bucket=BUCKET, Key=TEMPLATE, Body=packaged.encode())

    def _wait(self):
        while True:
            stack = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                break
            time.sleep(0.1)
        if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        events = self.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        failed = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events if "FAILED" in event["ResourceStatus"]]
        if not self.deployed():
            self.cloudformation.delete_stack(StackName=STACK)
        raise SystemExit(f"the deployment ended as {stack['StackStatus']}\n" + "\n".join(failed))
