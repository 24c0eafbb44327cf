"""What the scripts share: what they are given (JSON on standard input), and a JSON line about each step."""

import json
import sys
from datetime import datetime

import fastly
from fastly.exceptions import ApiException, ApiTypeError, ApiValueError
from fastly.model_utils import model_to_dict

given = json.load(sys.stdin)


def connect(token, **login):
    """The client, pointed at Keygate."""
    configuration = fastly.Configuration(host=given["url"], **login)
    configuration.api_token = token
    return fastly.ApiClient(configuration)


client = connect(given["token"])


def step(name, call, /, *args, **kwargs):
    """Makes a call with the client's default settings. A read whose answer it cannot take in is made again with the
    switches. What came of it is printed, and its value returned."""
    value = attempt(name, call, *args, **kwargs)
    reads = call.__name__.startswith(("get_", "list_", "show_", "iam_"))
    return switched(name, call, *args, **kwargs) if value is None and reads else value or {}


def switched(name, call, /, *args, **kwargs):
    """The same with the switches from the start, for what must not be done twice: without the check of types, and if
    that is not enough, without the client's models at all."""
    value = attempt(name, call, *args, _check_return_type=False, **kwargs)
    return plain(name, call, *args, **kwargs) if value is None else value


def attempt(name, call, /, *args, **kwargs):
    """None: the client cannot take the answer in."""
    try:
        value, status, _ = call(*args, _return_http_data_only=False, **kwargs)
    except ApiException as refusal:
        return say(name, "refused", refusal.status, parsed(refusal.body))
    except (ApiTypeError, ApiValueError) as error:
        unchecked = " unchecked" if "_check_return_type" in kwargs else ""
        say(name + unchecked, "unread", None, type(error).__name__)
        return None
    return say(name, "ok", status, value_of(value))


def plain(name, call, /, *args, **kwargs):
    """The answer as it came."""
    answer = call(*args, _preload_content=False, **kwargs)
    return say(name, "ok", answer.status, parsed(answer.data))


def value_of(model):
    """Models as dictionaries."""
    if isinstance(model, list):
        return [value_of(item) for item in model]
    return model_to_dict(model, serialize=True) if hasattr(model, "openapi_types") else model


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return str(body)


def say(step, outcome, status, value):
    line = {"step": step, "outcome": outcome, "status": status, "value": value}
    print(json.dumps(line, default=lambda at: at.isoformat() if isinstance(at, datetime) else str(at)), flush=True)
    return value if outcome == "ok" and value is not None else {}
