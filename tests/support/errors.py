"""What a refused call says."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """The code, the message and the fields named of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    fields: dict[str, str] = {}
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # errors of calls are calls, too
    for detail in status.details if status is not None else ():
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            fields |= {one.field: one.description for one in request.field_violations}
    return error.code(), error.details(), fields
