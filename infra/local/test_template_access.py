"""Who may do what, as template.yaml says it: roles, the open route, the secrets. In the manner of test_template.py.

    infra/local/python infra/local/test_template_access.py
"""

import json
import unittest

from template import broken, functions, load, resources, variables

NOTHING = {"Ref": "AWS::NoValue"}
PAIRS = (  # one of two: what the local stack gives openly, and the secret on AWS
    ("DATABASE_URL", "DATABASE_SECRET_ARN"),
    ("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN"),
    ("JWT_KEYS", "JWT_KEYS_SECRET_ARN"),
    ("CALLBACK_SECRETS", "CALLBACK_SECRETS_ARN"),
    ("WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN"),
)
RECEIPTS = "POST /v1/carrier/callbacks/{carrier}"


def statements(properties):
    """The statements of a role or a policy that hold on AWS."""
    for policy in [*properties.get("Policies", []), properties]:
        for statement in policy.get("PolicyDocument", {}).get("Statement", []):
            yield next((choice for choice in statement.get("Fn::If", [{}, statement])[1:] if "Action" in choice), statement)


def listed(value):
    """One or many, as a list."""
    return value if isinstance(value, list) else [value]


def wildcards(template):
    """No role may do everything, or do it to everything, but for the network interfaces, where EC2 knows nothing narrower."""
    for name, resource in template["Resources"].items():
        for allowed in statements(resource.get("Properties", {})):
            actions = listed(allowed["Action"])
            if any("*" in action for action in actions):
                yield f"{name} allows {actions}"
            if "*" in listed(allowed["Resource"]) and not all(action.startswith("ec2:") for action in actions):
                yield f"{name} allows {actions} on everything"
    managed = json.dumps([role.get("ManagedPolicyArns") for role in resources(template, "AWS::IAM::Role").values()])
    if "arn:" in managed:
        yield "a role has one of AWS's own, wider policies"


def roles(template):
    """Each function has the role that is written for it; SAM's generated ones may write to every log group."""
    for name, function in functions(template).items():
        if function.get("Role") != {"Fn::GetAtt": [f"{name}Role", "Arn"]}:
            yield f"{name} has not its own role"


def routes(template):
    """The routes are open to the function api, which checks every caller itself and so needs its keys; and they are throttled: whoever
    has no token yet costs an invocation too. Receipts have a route, and so a throttle, of their own."""
    found = resources(template, "AWS::ApiGatewayV2::Route")
    open_routes = sorted((route["RouteKey"], route["AuthorizationType"]) for route in found.values())
    if open_routes != [("$default", "NONE"), (RECEIPTS, "NONE")]:
        yield "there are not just the routes that the function's router knows"
    if {json.dumps(route["Target"]) for route in found.values()} != {json.dumps({"Fn::Sub": "integrations/${GatewayToApi}"})}:
        yield "a route leads somewhere else"
    integrations = resources(template, "AWS::ApiGatewayV2::Integration")
    if [integration["IntegrationUri"] for integration in integrations.values()] != [{"Ref": "Api.Alias"}]:
        yield "the route leads to a function that checks nobody"
    for name in functions(template):
        keys = {"JWT_KEYS", "JWT_KEYS_SECRET_ARN"}
        if keys & set(variables(template, name)) != (keys if name == "Api" else set()):
            yield f"{name}: the keys of the access tokens are api's, and only its"
        keys = {"WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN"}
        if keys & set(variables(template, name)) != (keys if name in ("Api", "Notify") else set()):
            yield f"{name}: the keys of the webhooks are api's and notify's"
    for name, stage in resources(template, "AWS::ApiGatewayV2::Stage").items():
        for route, limits in {"every route": stage.get("DefaultRouteSettings", {}), RECEIPTS: {}, **stage.get("RouteSettings", {})}.items():
            if not (0 < limits.get("ThrottlingRateLimit", 0) <= 1000 and 0 < limits.get("ThrottlingBurstLimit", 0) <= 1000):
                yield f"{name} does not throttle {route}"


def pairs(template):
    """Exactly one of what is given openly (local) and its secret (aws) is set."""
    for name in functions(template):
        given = variables(template, name)
        for openly, secret in PAIRS:
            if openly not in given and secret not in given:
                continue
            choices = [given.get(variable, {}).get("Fn::If", []) for variable in (openly, secret)]
            one_of_two = choices[0][:2] == choices[1][::2] == ["OnAws", NOTHING] and NOTHING not in (choices[0][2], choices[1][1])
            if not one_of_two:
                yield f"{name}: {openly} and {secret} are not one of two"


def secrets(template):
    """A function may read the secrets that it is told of, and no other."""
    for name in functions(template):
        told = [value for variable, value in variables(template, name).items() if variable.endswith(("SECRET_ARN", "SECRETS_ARN"))]
        told = {json.dumps(value["Fn::If"][1] if "Fn::If" in value else value) for value in told}
        found = list(statements(template["Resources"][f"{name}Role"]["Properties"]))
        readable = [listed(allowed["Resource"]) for allowed in found if "secretsmanager:GetSecretValue" in listed(allowed["Action"])]
        if {json.dumps(resource) for each in readable for resource in each} != told:
            yield f"{name} may read other secrets than it is told of"


def undisclosed(template):
    """What is secret is echoed by no console: each parameter that holds one says NoEcho."""
    for name, parameter in template["Parameters"].items():
        if name.endswith(("Password", "DatabaseUrl", "Keys", "Secrets")) and parameter.get("NoEcho") is not True:
            yield f"{name} is shown to whoever may look at the stack"


RULES = (wildcards, roles, routes, pairs, secrets, undisclosed)


class Access(unittest.TestCase):
    """The template, as it is and broken."""

    def setUp(self):
        self.template = load()

    def test_the_template_keeps_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assertEqual(list(rule(self.template)), [])

    def test_every_rule_notices_a_broken_template(self):
        environment = ("Properties", "Environment", "Variables")
        statement = ("Properties", "Policies", 0, "PolicyDocument", "Statement")
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
            (routes, "CallbackRoute", "Properties", "Target", {"Fn::Sub": "integrations/${Another}"}),
            (routes, "CallbackRoute", "Properties", "RouteKey", "POST /v1/schedules"),
            (routes, "Send", *environment, self.template["Resources"]["Api"]["Properties"]["Environment"]["Variables"]),
            (pairs, "Send", *environment, "DATABASE_URL", {"Fn::If": ["OnAws", "x", "x"]}),
            (pairs, "Api", *environment, "JWT_KEYS", {"Ref": "JwtKeys"}),
            (pairs, "Api", *environment, "JWT_KEYS_SECRET_ARN", {"Fn::If": ["OnAws", NOTHING, NOTHING]}),
            (secrets, "ApiRole", *statement, 5, "Fn::If", 1, "Resource", {"Ref": "DatabaseSecretArn"}),
            (secrets, "ApiRole", *statement, 6, "Fn::If", 1, "Resource", {"Ref": "CarrierSecretArn"}),
            (pairs, "Api", *environment, "CALLBACK_SECRETS", {"Ref": "CallbackSecrets"}),
            (secrets, "MigrateRole", *statement, 1, "Fn::If", 1, "Resource", [{"Ref": "MigrationSecretArn"}, {"Ref": "JwtSecret"}]),
        )
        for rule, *path, value in at:
            with self.subTest(rule=rule.__name__, path=path):
                self.assertNotEqual(list(rule(broken(self.template, path, value))), [])

    def test_missing_keys_of_the_access_tokens_are_noticed(self):
        given = self.template["Resources"]["Api"]["Properties"]["Environment"]["Variables"]
        del given["JWT_KEYS_SECRET_ARN"]
        self.assertEqual(list(routes(self.template)), ["Api: the keys of the access tokens are api's, and only its"])
        self.assertEqual(list(pairs(self.template)), ["Api: JWT_KEYS and JWT_KEYS_SECRET_ARN are not one of two"])

    def test_another_route_is_noticed(self):
        self.template["Resources"]["Another"] = self.template["Resources"]["EveryRoute"]
        self.assertNotEqual(list(routes(self.template)), [])

    def test_a_secret_that_is_echoed_is_noticed(self):
        del self.template["Parameters"]["JwtKeys"]["NoEcho"]
        self.assertEqual(list(undisclosed(self.template)), ["JwtKeys is shown to whoever may look at the stack"])


if __name__ == "__main__":
    unittest.main()
