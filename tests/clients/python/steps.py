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
    """Makes a call with the client's default settings. A read whose answer it cannot take in is made again: without
    the check of types, and if that is not enough, past the client's models. What came of it is printed, and its value
    returned."""
    value = attempt(name, call, *args, **kwargs)
    if value is None and call.__name__.startswith(("get_", "list_", "show_", "iam_")):
        value = unchecked(name, call, *args, **kwargs)
        return plain(name, call, *args, **kwargs) if value is None else value
    return value or {}


def unchecked(name, call, /, *args, **kwargs):
    """The same without the check of types from the start, for what must not be done twice."""
    return attempt(name, call, *args, _check_return_type=False, **kwargs)


def plain(name, call, /, *args, **kwargs):
    """The same past the client's models: the answer as it came."""
    return attempt(name, call, *args, _preload_content=False, **kwargs)


def attempt(name, call, /, *args, **kwargs):
    """None: the client cannot take the answer in."""
    try:
        answer = call(*args, _return_http_data_only=False, **kwargs)
    except ApiException as refusal:
        return say(name, "refused", refusal.status, parsed(refusal.body))
    except (ApiTypeError, ApiValueError) as error:
        switched = " unchecked" if "_check_return_type" in kwargs else ""
        say(name + switched, "unread", None, type(error).__name__)
        return None
    if "_preload_content" in kwargs:
        return say(name, "ok", answer.status, parsed(answer.data))
    value, status, _ = answer
    return say(name, "ok", status, value_of(value))


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
