"""A pretend AWS for the tests, and an independent client to set it up and to check it.

    moto.py serve PORT    moto, with what it lacks answered from a script and judged by botocore
    moto.py client PORT   calls of botocore, one JSON object a line, answers likewise
    moto.py golden        the requests botocore would send, signed, as JSON
    moto.py endpoints     where botocore would send them, with FIPS and dual-stack asked for or not

CloudWatch and Performance Insights speak Smithy RPC v2 CBOR with this product's SDK; moto knows neither. Calls of
CloudWatch are turned into botocore's own and given to moto; what moto lacks altogether (Performance Insights,
CloudTrail's LookupEvents, EKS's updates) is answered with what a test put there. Both ways, botocore's models
validate the request, and botocore's parser must read the answer back unchanged.
"""

import sys

# This folder is not a place to import from: this file would be taken for the package of its name.
sys.path.pop(0)

import io
import json
import datetime
import threading

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import botocore.session
import botocore.validate

KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
REGION = "us-east-1"


def plain(value):
    """Anything botocore returns, as JSON."""
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "read"):
        return value.read().decode("utf-8", "replace")
    return str(value)


def model(service):
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


# ── serve ────────────────────────────────────────────────────────────────────────────────────────────────────

SCRIPTED = {}
ASKED = []
LOCK = threading.Lock()
# The operations that moto lacks, by what marks their requests.
RPC = {"GraniteServiceVersion20100801": "cloudwatch", "PerformanceInsightsv20180227": "pi"}


def timestamps(value, shape):
    """A script's JSON with its timestamps as botocore has them."""
    if shape.type_name == "structure":
        return {key: timestamps(item, shape.members[key]) for key, item in value.items()}
    if shape.type_name == "list":
        return [timestamps(item, shape.member) for item in value]
    if shape.type_name == "map":
        return {key: timestamps(item, shape.value) for key, item in value.items()}
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value


def validate(params, operation):
    if operation.input_shape is None:
        return
    report = botocore.validate.ParamValidator().validate(params, operation.input_shape)
    if report.has_errors():
        raise ValueError(report.generate_report())


def scripted(service, operation, params):
    with LOCK:
        ASKED.append({"service": service, "operation": operation, "params": params})
        answers = SCRIPTED.get(f"{service}.{operation}", [])
        if not answers:
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]


def judged(protocol, operation, status, headers, body, answer):
    """botocore's parser reads the answer back as it was meant."""
    parser = botocore.parsers.create_parser(protocol)
    read = parser.parse({"status_code": status, "headers": headers, "body": body}, operation.output_shape)
    read.pop("ResponseMetadata", None)
    if json.loads(json.dumps(read, default=plain)) != json.loads(json.dumps(answer, default=plain)):
        raise ValueError(f"botocore reads {read!r} instead of {answer!r}")


def cbor(body):
    return botocore.parsers.create_parser("smithy-rpc-v2-cbor").parse_data_item(
        io.BufferedReader(io.BytesIO(body))) if body else {}


def rpc(path, body, port):
    _, _, target, _, name = path.split("/")
    service = RPC[target]
    of = model(service)
    operation = of.operation_model(name)
    params = cbor(body)
    validate(params, operation)
    if service == "cloudwatch":
        with LOCK:
            ASKED.append({"service": service, "operation": name, "params": params})
        client = boto(service, port)
        method = botocore.xform_name(name)
        answer = getattr(client, method)(**params)
        answer.pop("ResponseMetadata", None)
    else:
        answer = scripted(service, name, params)
        if answer is None:
            return 500, {}, b"nothing was put into the script"
        answer = timestamps(answer, operation.output_shape)
    serializer = botocore.serialize.create_serializer("smithy-rpc-v2-cbor", False)
    out = bytearray()
    serializer._serialize_data_item(out, answer, operation.output_shape)
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
    judged("smithy-rpc-v2-cbor", operation, 200, headers, bytes(out), answer)
    return 200, headers, bytes(out)


def lookup(body):
    operation = model("cloudtrail").operation_model("LookupEvents")
    params = timestamps(json.loads(body), operation.input_shape)
    validate(params, operation)
    answer = scripted("cloudtrail", "LookupEvents", params)
    if answer is None:
        return 500, {}, b"nothing was put into the script"
    out = json.dumps(answer).encode()
    headers = {"content-type": "application/x-amz-json-1.1"}
    judged("json", operation, 200, headers, out, timestamps(answer, operation.output_shape))
    return 200, headers, out


def eks(name, path, query, body):
    operation = model("eks").operation_model(name)
    pieces = path.strip("/").split("/")
    params = json.loads(body) if body else {}
    if name == "UpdateNodegroupVersion":
        params |= {"clusterName": pieces[1], "nodegroupName": pieces[3]}
    else:
        params |= {"name": pieces[1]}
        if "nodegroupName" in query:
            params["nodegroupName"] = query["nodegroupName"]
        if name == "DescribeUpdate":
            params["updateId"] = pieces[3]
    validate(params, operation)
    answer = scripted("eks", name, params)
    if answer is None:
        return 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, b'{"message":"nothing was put into the script"}'
    out = json.dumps(answer).encode()
    headers = {"content-type": "application/json"}
    judged("rest-json", operation, 200, headers, out, timestamps(answer, operation.output_shape))
    return 200, headers, out


def rehearsed(environ):
    """moto does the calls on network ACLs even when they are only rehearsed; EC2 answers this."""
    from urllib.parse import parse_qs
    from werkzeug.wrappers import Request

    body = Request(environ).get_data()
    environ["wsgi.input"] = io.BytesIO(body)
    words = parse_qs(body.decode("utf-8", "replace"))
    if words.get("DryRun") != ["true"] or not words["Action"][0].endswith("NetworkAclEntry"):
        return None
    error = "<Error><Code>DryRunOperation</Code><Message>Request would have succeeded, but DryRun flag is set.</Message></Error>"
    return 412, {"content-type": "text/xml"}, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>".encode()


def serve(port):
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple
    from werkzeug.wrappers import Request, Response

    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    real = DomainDispatcherApplication(create_backend_app)

    def app(environ, start):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        answer = None
        try:
            if path == "/_covet/script":
                with LOCK:
                    SCRIPTED.update(json.loads(Request(environ).get_data()))
                answer = 200, {}, b"{}"
            elif path == "/_covet/asked":
                with LOCK:
                    answer = 200, {}, json.dumps(ASKED, default=plain).encode()
            elif path.startswith("/service/"):
                answer = rpc(path, Request(environ).get_data(), port)
            elif method == "POST" and path == "/" and not target:
                answer = rehearsed(environ)
            elif target.endswith("CloudTrail_20131101.LookupEvents"):
                answer = lookup(Request(environ).get_data())
            elif path.startswith("/clusters/"):
                request = Request(environ)
                pieces = path.strip("/").split("/")
                if path.endswith("/update-version") and method == "POST":
                    answer = eks("UpdateNodegroupVersion", path, request.args, request.get_data())
                elif len(pieces) == 3 and pieces[2] == "updates" and method == "GET":
                    answer = eks("ListUpdates", path, request.args, b"")
                elif len(pieces) == 4 and pieces[2] == "updates":
                    answer = eks("DescribeUpdate", path, request.args, b"")
        except Exception as error:
            sys.stderr.write(f"{path}: {error!r}\n")
            answer = 400, {}, json.dumps({"__type": "ValidationException", "message": str(error)}).encode()
        if answer is None:
            return real(environ, start)
        status, headers, body = answer
        return Response(body, status=status, headers=headers)(environ, start)

    run_simple("127.0.0.1", port, app, threaded=True)


# ── client ───────────────────────────────────────────────────────────────────────────────────────────────────

def boto(service, port, region=REGION):
    import boto3
    from botocore.config import Config

    config = Config(retries={"max_attempts": 1}, parameter_validation=True)
    return boto3.client(service, endpoint_url=f"http://127.0.0.1:{port}", region_name=region, config=config, **KEYS)


def client(port):
    clients = {}
    for line in sys.stdin:
        call = json.loads(line)
        try:
            where = call["service"], call.get("region", REGION)
            if where not in clients:
                clients[where] = boto(where[0], port, where[1])
            params = call.get("params", {})
            for name in call.get("bytes", []):
                params[name] = bytes.fromhex(params[name])
            answer = getattr(clients[where], call["operation"])(**params)
            answer.pop("ResponseMetadata", None)
            print(json.dumps({"ok": answer}, default=plain), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


# ── golden ───────────────────────────────────────────────────────────────────────────────────────────────────

GOLDEN = [
    ("ec2", "describe_instance_status", {"InstanceIds": ["i-0abc"], "IncludeAllInstances": True}),
    ("ec2", "describe_volumes", {"Filters": [{"Name": "attachment.instance-id", "Values": ["i-0abc"]}]}),
    ("ec2", "modify_volume", {"VolumeId": "vol-1", "Size": 200, "DryRun": True}),
    ("ec2", "create_network_acl_entry", {"NetworkAclId": "acl-1", "RuleNumber": 99, "Protocol": "-1", "RuleAction": "deny",
                                         "Egress": False, "CidrBlock": "203.0.113.0/24"}),
    ("ec2", "authorize_security_group_ingress", {"GroupId": "sg-1", "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}),
    ("ec2", "terminate_instances", {"InstanceIds": ["i-0abc"]}),
    ("autoscaling", "terminate_instance_in_auto_scaling_group", {"InstanceId": "i-0abc",
                                                                 "ShouldDecrementDesiredCapacity": False}),
    ("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": ["shop nodes"]}),
    ("elbv2", "describe_target_health", {"TargetGroupArn": "arn:aws:x:targetgroup/a/1"}),
    ("rds", "describe_db_clusters", {"Marker": "bWFyayDDpA==/+ "}),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "shop-1"}),
    ("rds", "modify_db_cluster", {"DBClusterIdentifier": "shop", "ApplyImmediately": True,
                                  "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 16}}),
    ("rds", "modify_db_instance", {"DBInstanceIdentifier": "shop-1", "DBInstanceClass": "db.r6g.large",
                                   "ApplyImmediately": True}),
    ("rds", "modify_db_parameter_group", {"DBParameterGroupName": "shop-params", "Parameters": [
        {"ParameterName": "max_connections", "ApplyMethod": "pending-reboot", "ParameterValue": "500"}]}),
    ("rds", "reset_db_parameter_group", {"DBParameterGroupName": "shop-params", "Parameters": [
        {"ParameterName": "max_connections", "ApplyMethod": "pending-reboot"}], "ResetAllParameters": False}),
    ("s3", "list_objects_v2", {"Bucket": "shop-logs", "Prefix": "a b/AWSLogs/1/elasticloadbalancing/eu-west-1/2026/11/26/",
                               "ContinuationToken": "1/x+y=="}),
    ("s3", "get_object", {"Bucket": "shop-logs", "Key": "AWSLogs/1/a b+c~d_20261126T0705Z_(x).log.gz"}),
    ("s3", "list_objects_v2", {"Bucket": "logs.shop.example", "Prefix": "AWSLogs/"}),
    ("ssm", "send_command", {"InstanceIds": ["i-0abc"], "DocumentName": "AWS-RunShellScript",
                             "Parameters": {"commands": ["systemctl is-active kubelet"]}}),
    ("secretsmanager", "rotate_secret", {"SecretId": "shop/jwt", "ClientRequestToken": "0" * 32}),
    ("cloudtrail", "lookup_events", {"StartTime": datetime.datetime.fromtimestamp(1764140400, datetime.timezone.utc),
                                     "MaxResults": 50}),
    ("logs", "filter_log_events", {"logGroupName": "/aws/x", "filterPattern": "{ $.a = 403 }", "startTime": 1, "endTime": 2}),
    ("wafv2", "update_ip_set", {"Name": "blocked", "Scope": "REGIONAL", "Id": "11-22", "LockToken": "7-8",
                                "Addresses": ["203.0.113.7/32"]}),
    ("eks", "describe_nodegroup", {"clusterName": "shop", "nodegroupName": "general"}),
    ("eks", "list_updates", {"name": "shop", "nodegroupName": "general"}),
    ("eks", "update_nodegroup_version", {"clusterName": "shop", "nodegroupName": "general", "force": False,
                                         "clientRequestToken": "0" * 32}),
]


class Compact:
    """JSON as this product writes it: the same words, sorted and without spaces."""

    dumps = staticmethod(lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")))
    loads = staticmethod(json.loads)


def golden():
    import boto3
    from botocore.awsrequest import AWSResponse
    from botocore.config import Config

    botocore.serialize.json = Compact
    out = []
    for region, token in (("eu-west-1", None), ("cn-north-1", "SESSION/TOKEN+==")):
        for service, operation, params in GOLDEN:
            taken = {}

            def take(request, **_):
                taken["request"] = request
                return AWSResponse(request.url, 500, {}, io.BytesIO(b""))

            config = Config(retries={"total_max_attempts": 1}, response_checksum_validation="when_required")
            made = boto3.client(service, region_name=region, aws_session_token=token, config=config, **KEYS)
            made.meta.events.register("before-send", take)
            try:
                getattr(made, operation)(**params)
            except Exception:
                pass
            request = taken["request"]
            text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
            body = request.body
            body = body.read() if hasattr(body, "read") else body
            out.append({
                "service": service, "operation": operation, "region": region, "token": token,
                "method": request.method, "url": request.url, "body": text(body or b""),
                "headers": {name.lower(): text(value) for name, value in request.headers.items()},
            })
    print(json.dumps(out))


def endpoints():
    import boto3
    from botocore.awsrequest import AWSResponse
    from botocore.config import Config

    out, calls = [], {service: (operation, params) for service, operation, params in reversed(GOLDEN)}
    for service, (operation, params) in sorted(calls.items()):
        for region in ("us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1"):
            for fips in (False, True):
                for dual_stack in (False, True):
                    taken = {}

                    def take(request, **_):
                        taken["url"] = request.url
                        return AWSResponse(request.url, 500, {}, io.BytesIO(b""))

                    config = Config(retries={"total_max_attempts": 1}, use_fips_endpoint=fips,
                                    use_dualstack_endpoint=dual_stack, s3={"us_east_1_regional_endpoint": "regional"})
                    made = boto3.client(service, region_name=region, config=config, **KEYS)
                    made.meta.events.register("before-send", take)
                    try:
                        getattr(made, operation)(**params)
                    except Exception:
                        pass
                    out.append({"service": service, "region": region, "fips": fips, "dual_stack": dual_stack,
                                "url": taken.get("url")})
    print(json.dumps(out))


if __name__ == "__main__":
    {"endpoints": endpoints, "serve": lambda: serve(int(sys.argv[2])), "client": lambda: client(int(sys.argv[2])), "golden": golden}[sys.argv[1]]()
