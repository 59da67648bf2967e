"""Checks permissions, routes and secrets of template.yaml, like test_template.py.

infra/local/python infra/local/test_template_access.py
"""

import json
import unittest

from template import (
    broken,
    functions,
    listed,
    load,
    resources,
    secrets_of,
    statements,
    variables,
)

NOTHING = {"Ref": "AWS::NoValue"}
# The functions that derive secrets and hashes from the keys of the webhooks.
KEYED = ("Api", "Dispatch", "Notify")
PAIRS = (  # exactly one of the two is set: the plain value locally, or the secret on AWS
    ("DATABASE_URL", "DATABASE_SECRET_ARN"),
    ("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN"),
    ("JWT_KEYS", "JWT_KEYS_SECRET_ARN"),
    ("CALLBACK_SECRETS", "CALLBACK_SECRETS_ARN"),
    ("OTLP_HEADERS", "OTLP_HEADERS_SECRET_ARN"),
    ("WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN"),
    ("ORIGIN_PROOF", "ORIGIN_PROOF_SECRET_ARN"),
)
RECEIPTS = "POST /v1/carrier/callbacks/{carrier}"
USERS = "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:%s"
CONNECT = {
    "Effect": "Allow",
    "Action": "rds-db:connect",
    "Resource": {"Fn::Sub": USERS % "${DatabaseResourceId}/${DatabaseUser}"},
}


def wildcards(template):
    """No role allows all actions, or all resources except for EC2 network interfaces.

    For those EC2 supports no narrower resource.
    """
    for name, resource in template["Resources"].items():
        for allowed in statements(resource.get("Properties", {})):
            actions = listed(allowed["Action"])
            if any("*" in action for action in actions):
                yield f"{name} allows {actions}"
            if "*" in listed(allowed["Resource"]) and not all(
                action.startswith("ec2:") for action in actions
            ):
                yield f"{name} allows {actions} on all resources"
    found = resources(template, "AWS::IAM::Role").values()
    managed = json.dumps([role.get("ManagedPolicyArns") for role in found])
    if "arn:" in managed:
        yield "a role uses a policy of AWS, which is wider than necessary"


def roles(template):
    """Each function has its own role; roles that SAM generates may write to every log group."""
    for name, function in functions(template).items():
        if function.get("Role") != {"Fn::GetAtt": [f"{name}Role", "Arn"]}:
            yield f"{name} does not use its own role"


def routes(template):
    """The routes are open and throttled, and only the function api serves them.

    The function api authenticates callers itself and therefore needs the keys. The routes are
    throttled because a request without a token also costs an invocation. Receipts have a separate
    route, and so a separate throttle.
    """
    found = resources(template, "AWS::ApiGatewayV2::Route")
    open_routes = sorted(
        (route["RouteKey"], route["AuthorizationType"]) for route in found.values()
    )
    if open_routes != [("$default", "NONE"), (RECEIPTS, "NONE")]:
        yield "the routes are not exactly the two open ones"
    targets = {json.dumps(route["Target"]) for route in found.values()}
    if targets != {json.dumps({"Fn::Sub": "integrations/${GatewayToApi}"})}:
        yield "a route has another integration than GatewayToApi"
    integrations = resources(template, "AWS::ApiGatewayV2::Integration").values()
    if [each["IntegrationUri"] for each in integrations] != [{"Ref": "Api.Alias"}]:
        yield "an integration invokes another function than api, which authenticates callers"
    for name in functions(template):
        keys = {"JWT_KEYS", "JWT_KEYS_SECRET_ARN"}
        if keys & set(variables(template, name)) != (keys if name == "Api" else set()):
            yield f"{name}: only api, and always api, has the keys of the access tokens"
        keys = {"WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN"}
        if keys & set(variables(template, name)) != (keys if name in KEYED else set()):
            yield f"{name}: only api, dispatch and notify, and always all, have the webhooks' keys"
    for name, stage in resources(template, "AWS::ApiGatewayV2::Stage").items():
        settings = {"every route": stage.get("DefaultRouteSettings", {}), RECEIPTS: {}}
        for route, limits in (settings | stage.get("RouteSettings", {})).items():
            for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
                if not 0 < limits.get(limit, 0) <= 1000:
                    yield f"{name} does not limit {limit} of {route}"


def pairs(template):
    """Exactly one of a plain value (local) and its secret (aws) is set."""
    for name in functions(template):
        given = variables(template, name)
        for plain, secret in PAIRS:
            if plain not in given and secret not in given:
                continue
            local, aws = (given.get(each, {}).get("Fn::If", []) for each in (plain, secret))
            # With a login by IAM, the database needs neither.
            condition = "LogsInByPassword" if secret == "DATABASE_SECRET_ARN" else "OnAws"
            exclusive = local[:2] == ["OnAws", NOTHING] and aws[::2] == [condition, NOTHING]
            if not exclusive or NOTHING in (local[2], aws[1]):
                yield f"{name}: not exactly one of {plain} and {secret} is set"


def secrets(template):
    """A function may read exactly the secrets of its environment variables."""
    for name in functions(template):
        needed = {json.dumps(secret) for secret in secrets_of(template, name)}
        readable = {
            json.dumps(resource)
            for allowed in statements(template["Resources"][f"{name}Role"]["Properties"])
            if "secretsmanager:GetSecretValue" in listed(allowed["Action"])
            for resource in listed(allowed["Resource"])
        }
        if readable != needed:
            yield f"{name} may not read exactly the secrets of its variables"


def database_users(template):
    """A function may connect as its own user of its own database, and only if it uses tokens."""
    for name in functions(template):
        connects = "DATABASE_LOGIN" in variables(template, name)
        needed = [{"Fn::If": ["LogsInByIam", CONNECT, NOTHING]}] if connects else []
        policy = template["Resources"][f"{name}Role"]["Properties"]["Policies"][0]
        every = policy["PolicyDocument"]["Statement"]
        if [each for each in every if "rds-db:" in json.dumps(each)] != needed:
            yield f"{name} may connect to the database as another user, or without need"


def secret_parameters(template):
    """Each parameter that contains a secret has NoEcho, so that no console displays it."""
    for name, parameter in template["Parameters"].items():
        secret = name.endswith(("Password", "DatabaseUrl", "Keys", "Proof", "Secrets"))
        if secret and parameter.get("NoEcho") is not True:
            yield f"{name} has no NoEcho"


RULES = (wildcards, roles, routes, pairs, secrets, database_users, secret_parameters)


class Access(unittest.TestCase):
    """Applies the rules to the template and to broken copies of it."""

    def setUp(self):
        self.template = load()

    def test_the_template_follows_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template)), [])

    def test_every_rule_reports_a_broken_template(self):
        environment = ("Properties", "Environment", "Variables")
        statement = ("Properties", "Policies", 0, "PolicyDocument", "Statement")
        resource = ("Fn::If", 1, "Resource")
        api = self.template["Resources"]["Api"]["Properties"]["Environment"]["Variables"]
        two_secrets = [{"Ref": "MigrationSecretArn"}, {"Ref": "JwtSecret"}]
        at = (
            (wildcards, "ApiRole", *statement, 3, "Resource", "*"),
            (wildcards, "ApiRole", *statement, 4, "Resource", 0, "*"),
            (wildcards, "ApiRole", *statement, 3, "Action", "sqs:*"),
            (roles, "Send", "Properties", "Role", {"Fn::GetAtt": ["ApiRole", "Arn"]}),
            (routes, "EveryRoute", "Properties", "RouteKey", "GET /health"),
            (routes, "EveryRoute", "Properties", "AuthorizationType", "AWS_IAM"),
            (routes, "GatewayToApi", "Properties", "IntegrationUri", {"Ref": "Send.Alias"}),
            (routes, "Stage", "Properties", "DefaultRouteSettings", {}),
            (routes, "Stage", "Properties", "DefaultRouteSettings", "ThrottlingRateLimit", 10_000),
            (routes, "Stage", "Properties", "RouteSettings", {}),
            (routes, "Stage", "Properties", "RouteSettings", RECEIPTS, {"ThrottlingRateLimit": 50}),
            (
                routes,
                "CallbackRoute",
                "Properties",
                "Target",
                {"Fn::Sub": "integrations/${Another}"},
            ),
            (routes, "CallbackRoute", "Properties", "RouteKey", "POST /v1/schedules"),
            (routes, "Send", *environment, api),
            (pairs, "Send", *environment, "DATABASE_URL", {"Fn::If": ["OnAws", "x", "x"]}),
            (pairs, "Api", *environment, "JWT_KEYS", {"Ref": "JwtKeys"}),
            (
                pairs,
                "Api",
                *environment,
                "JWT_KEYS_SECRET_ARN",
                {"Fn::If": ["OnAws", NOTHING, NOTHING]},
            ),
            (secrets, "ApiRole", *statement, 5, *resource, {"Ref": "DatabaseSecretArn"}),
            (secrets, "ApiRole", *statement, 6, *resource, {"Ref": "MigrationSecretArn"}),
            (secrets, "ApiRole", *statement, 8, *resource, {"Ref": "CarrierSecretArn"}),
            (pairs, "Api", *environment, "CALLBACK_SECRETS", {"Ref": "CallbackSecrets"}),
            (pairs, "Api", *environment, "ORIGIN_PROOF", {"Ref": "OriginProof"}),
            (database_users, "SendRole", *statement, 4, *resource, {"Fn::Sub": USERS % "sms/*"}),
            (database_users, "SendRole", *statement, 4, "Fn::If", 0, "OnAws"),
            (database_users, "MigrateRole", *statement, 1, "Fn::If", 1, CONNECT),
            (secrets, "ApiRole", *statement, 10, *resource, {"Ref": "CarrierSecretArn"}),
            (secrets, "MigrateRole", *statement, 1, *resource, two_secrets),
        )
        for rule, *path, value in at:
            with self.subTest(rule=rule.__name__, path=path):
                self.assertNotEqual(list(rule(broken(self.template, path, value))), [])

    def test_missing_keys_of_the_access_tokens_are_reported(self):
        given = self.template["Resources"]["Api"]["Properties"]["Environment"]["Variables"]
        del given["JWT_KEYS_SECRET_ARN"]
        self.assertEqual(
            list(routes(self.template)),
            ["Api: only api, and always api, has the keys of the access tokens"],
        )
        self.assertEqual(
            list(pairs(self.template)),
            ["Api: not exactly one of JWT_KEYS and JWT_KEYS_SECRET_ARN is set"],
        )

    def test_the_url_of_the_api_is_that_of_the_edge_which_a_proof_requires(self):
        edge, gateway = {"Ref": "EdgeUrl"}, {"Fn::GetAtt": ["Gateway", "ApiEndpoint"]}
        url = self.template["Outputs"]["ApiUrl"]["Value"]
        self.assertEqual(url, {"Fn::If": ["HasEdgeUrl", edge, gateway]})
        rule = json.dumps(self.template["Rules"]["ProofNeedsUrl"])
        for name in ("OriginProofSecretArn", "EdgeUrl"):
            self.assertIn(json.dumps({"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}), rule)

    def test_another_route_is_reported(self):
        self.template["Resources"]["Another"] = self.template["Resources"]["EveryRoute"]
        self.assertNotEqual(list(routes(self.template)), [])

    def test_a_secret_parameter_without_no_echo_is_reported(self):
        del self.template["Parameters"]["JwtKeys"]["NoEcho"]
        self.assertEqual(list(secret_parameters(self.template)), ["JwtKeys has no NoEcho"])


if __name__ == "__main__":
    unittest.main()
