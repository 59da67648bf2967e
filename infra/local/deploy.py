"""Deploys template.yaml, the template of production, to the emulator.

It works like `aws cloudformation package` and `deploy`: each `CodeUri: target/lambda/<function>/`
becomes the URL of an uploaded zip, whose name is a hash of its content, so that an unchanged binary
is not published again. The caller selects the folder of the binaries. Only parameters differ from
production; the table below contains them.
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
# The emulator passes only defaults to SAM's transform, so the local value of this parameter, which
# the transform reads, becomes the default. The emulator has no CodeDeploy.
PREFERENCE = re.compile(r"(\n  DeploymentPreference:\n    Type: String\n    Default: )\w+")

# Environment variable of `make up`: (parameter of the template, its local value or None for the
# template's default). Delays are short, so that a demo takes seconds. The emulator fires a schedule
# up to 10 s late; a lead of 20 s allows for that.
LOCAL = {
    "ALLOWED_COUNTRIES": ("AllowedCountries", "*"),
    "ALLOWED_NUMBER_TYPES": ("AllowedNumberTypes", None),
    "APPROVAL_ABOVE": ("ApprovalAbove", None),
    "APPROVAL_ABOVE_COST": ("ApprovalAboveCost", None),
    "APPROVAL_ROLES": ("ApprovalRoles", None),
    "BACKOFF_MAX_S": ("BackoffMaxS", None),
    "BATCH_SIZE": ("BatchSize", None),
    "BULK_ABOVE": ("BulkAbove", None),
    "CARRIER_ADAPTER": ("CarrierAdapter", None),
    "CARRIER_OWN_IDS": ("CarrierOwnIds", None),
    "CARRIER_PARTS_PER_SECOND": ("CarrierPartsPerSecond", None),
    "CARRIER_PASSWORD": ("CarrierPassword", None),
    "CARRIER_QUERIES_PER_SECOND": ("CarrierQueriesPerSecond", None),
    "CARRIER_REQUESTS_PER_SECOND": ("CarrierRequestsPerSecond", None),
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
    "LOCAL_LOGIN": ("LocalLogin", None),
    "SECOND_FACTOR": ("SecondFactor", None),
    "ORIGIN_PROOF": ("OriginProof", None),
    "OTLP_ENDPOINT": ("OtlpEndpoint", None),
    "OTLP_HEADERS": ("OtlpHeaders", None),
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
    "SWEEP_GRACE_S": ("SweepGraceS", None),
    "UNCERTAIN_QUIET_S": ("UncertainQuietS", None),
    "VELOCITY_FACTOR": ("VelocityFactor", None),
    "VELOCITY_PARTS_PER_HOUR": ("VelocityPartsPerHour", "0"),  # a demo is a new caller
    "WEBHOOK_LOOPBACK": ("WebhookLoopback", "true"),  # receivers run on this machine
    "WORKER_TIMEOUT_S": ("WorkerTimeoutS", None),
    "WORKER_VISIBILITY_S": ("WorkerVisibilityS", None),
}


# Parameters that only AWS uses. The template has no default for them, so that a deployment to AWS
# cannot omit them.
UNUSED = {
    "Subnets": "subnet-00000000",
    "SecurityGroup": "sg-00000000",
    "MigrationSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:unused",
}


def local_defaults(template):
    """Returns the text of the template with the local default of DeploymentPreference."""
    return PREFERENCE.sub(r"\1AllAtOnce", template)


def given_settings():
    """Returns the settings of the table that the environment contains."""
    return {name: os.environ[name] for name in LOCAL if os.environ.get(name)}


def parameters(database_urls, app_user, keys, carrier_url, commit, settings):
    """Returns the parameters of the template that differ from its defaults on this machine."""
    given = {parameter: settings.get(name, value) for name, (parameter, value) in LOCAL.items()}
    _, migrate_url, app_url = database_urls
    given |= UNUSED | {
        "CallbackSecrets": keys["callback_secrets"],
        "CarrierUrl": carrier_url,
        "Commit": commit,
        "DatabaseUrl": app_url,
        "DatabaseUser": app_user,
        "DeploymentPreference": "AllAtOnce",
        "JwtKeys": keys["jwt_keys"],
        "MigrationDatabaseUrl": migrate_url,
        "WebhookKeys": keys["webhook_keys"],
        "Where": "local",
    }
    return {name: value for name, value in given.items() if value is not None}


def variable_name(name):
    """Converts the name of an output, such as SendQueueUrl, to SEND_QUEUE_URL."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def zipped(binary):
    """Returns a reproducible zip with the binary as `bootstrap`."""
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compresslevel=1) as archive:
        archive.writestr(entry, binary.read_bytes(), compresslevel=1)
    return buffer.getvalue()


class Deployment:
    """The desired deployment of one state folder, and the current one (<state>/deployed.json)."""

    def __init__(self, processes, values, folder):
        self.processes = processes
        self.values = values
        self.template = (ROOT / "template.yaml").read_text()
        names = sorted(set(CODE.findall(self.template)))
        self.binaries = {name: folder / name / "bootstrap" for name in names}
        self.codes = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            for name, path in self.binaries.items()
        }
        self.file = processes.state / "deployed.json"
        self.cloudformation = emulator.client(processes, "cloudformation")

    def digest(self):
        """Returns a digest of the desired deployment, without the commit."""
        values = {name: value for name, value in self.values.items() if name != "Commit"}
        desired = json.dumps([self.template, values, self.codes], sort_keys=True)
        return hashlib.sha256(desired.encode()).hexdigest()

    def deployed(self):
        """Returns {digest, outputs} of the last deployment to the running emulator, or {}."""
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def forget(self):
        """Records that nothing is deployed, because the emulator is new."""
        self.file.unlink(missing_ok=True)

    def confirm(self):
        """Records that the deployment and its migrations are complete."""
        self.file.write_text(json.dumps(self.deployed() | {"digest": self.digest()}, indent=1))

    def run(self):
        """Uploads the code, creates or updates the stack and waits; returns the outputs."""
        self._upload()
        values = dict(self.values)
        if self.deployed():
            # A changed parameter alone publishes no new version of a function; a changed commit
            # does.
            values["Commit"] += f"+{self.digest()[:6]}"
        request = {
            "StackName": STACK,
            # By URL, as in the AWS CLI: a template in the request itself may have only 51,200
            # bytes.
            "TemplateURL": f"https://s3.amazonaws.com/{BUCKET}/{TEMPLATE}",
            # The transform of SAM needs the second one, for a stack without a change set.
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
            ],
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
        self.set_sources()
        self.file.write_text(json.dumps({"digest": None, "outputs": outputs}, indent=1))
        return outputs

    def set_sources(self):
        """Enables each event source, and sets its MaximumConcurrency again as a number.

        The emulator reads a number from a parameter as a string, and then polls no queue. A killed
        `make invoke` leaves the queue of its function disabled.
        """
        functions = emulator.client(self.processes, "lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            limit = int(mapping["ScalingConfig"]["MaximumConcurrency"])
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": limit}, Enabled=True
            )

    def _key(self, name):
        return f"{name}/{self.codes[name]}"

    def _upload(self):
        s3 = emulator.client(self.processes, "s3")
        with contextlib.suppress(ClientError):
            s3.create_bucket(Bucket=BUCKET)
        uploaded = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        for name, binary in self.binaries.items():
            if self._key(name) not in uploaded:
                s3.put_object(Bucket=BUCKET, Key=self._key(name), Body=zipped(binary))
        url = f"CodeUri: s3://{BUCKET}/"
        packaged = CODE.sub(lambda found: url + self._key(found[1]), local_defaults(self.template))
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
        failed = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if "FAILED" in event["ResourceStatus"]
        ]
        if not self.deployed():
            self.cloudformation.delete_stack(StackName=STACK)
        raise SystemExit(f"the deployment failed with {stack['StackStatus']}\n" + "\n".join(failed))
