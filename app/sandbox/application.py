"""The web application: each request meets the faults, shows its token, and is carried out as one transaction."""

import socket
import uuid

from flask import Flask, Response, g, jsonify, request
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from . import admin, faults, image
from .cloud import Cloud
from .compute import api as compute
from .errors import CloudError, InjectedError, MethodNotAllowedError, NotFoundError, in_words_of
from .faults import ConnectionCutError
from .identity import api as identity
from .identity.tokens import caller_of
from .network import api as network
from .volume import api as volume
from .wire import PUBLIC_VIEWS, SERVICES, cloud, service


class OrderedJson(DefaultJSONProvider):
    """Keeps the services' own order of keys."""

    sort_keys = False


class CloudApplication(Flask):
    """Flask, with every view inside a transaction of the cloud."""

    json_provider_class = OrderedJson

    def dispatch_request(self) -> ResponseReturnValue:
        with cloud().transaction():
            view = self.view_functions.get(request.endpoint or "")
            if service() in SERVICES and view not in PUBLIC_VIEWS:
                g.caller = caller_of(cloud(), request.headers.get("X-Auth-Token", ""))
            return super().dispatch_request()


def create_application(cloud: Cloud, admin_token: str) -> Flask:
    app = CloudApplication("sandbox")
    app.extensions["cloud"] = cloud
    app.config["ADMIN_TOKEN"] = admin_token
    app.url_map.strict_slashes = False
    app.before_request(meet_faults)
    for blueprint in (identity, compute, network, image, volume):
        app.register_blueprint(blueprint.blueprint)
    app.register_blueprint(admin.blueprint)
    app.register_error_handler(CloudError, refusal)
    app.register_error_handler(HTTPException, no_such_page)
    app.register_error_handler(ConnectionCutError, cut)
    app.after_request(finish)
    return app


def meet_faults() -> None:
    g.request_id = f"req-{uuid.uuid4()}"
    if service() in SERVICES:
        g.loses_answer = faults.suffer(cloud(), service(), request.method, request.path)


def refusal(error: CloudError) -> Response:
    words = in_words_of(service(), error)
    response = jsonify(words) if isinstance(words, dict) else Response(words, mimetype="text/html")
    response.status_code = error.status
    response.headers.update(error.headers)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Keystone uri="/identity/v3"'
    if error.status == 413:
        response.headers["Retry-After"] = "0"
    return response


def no_such_page(error: HTTPException) -> Response:
    if error.code == 404:
        return refusal(NotFoundError("The resource could not be found."))
    if error.code == 405:
        return refusal(MethodNotAllowedError("The method is not allowed for this resource."))
    return refusal(InjectedError(error.code or 500, error.description or "The request failed."))


def cut(_error: ConnectionCutError) -> Response:
    g.loses_answer = True
    return Response(status=503)


def finish(response: Response) -> Response:
    """Adds the headers that all services give; loses the answer if a fault says so."""
    response.headers["x-openstack-request-id"] = g.request_id
    response.headers["x-compute-request-id"] = g.request_id
    connection = request.environ.get("werkzeug.socket")
    if g.get("loses_answer") and isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return response
