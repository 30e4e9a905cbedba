"""The peer of `bench_server.py`: a bare grpc.aio server whose Act answers at once, with answers of the same size.

It takes no request apart and steps nobody: what it reaches is what gRPC's Python leaves to any server.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from plures.v1.agent_pb2 import ActRequest, ActResponse
from plures.v1.tensor_pb2 import DATA_TYPE_INT32, Tensor

OPTIONS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


async def act(requests: AsyncIterator[ActRequest], context: Any) -> AsyncIterator[ActResponse]:
    """Answers each request with zeros for actions."""
    async for request in requests:
        count = request.ordinals.range.count
        action = Tensor(data_type=DATA_TYPE_INT32, shape=[count], data=bytes(4 * count))
        yield ActResponse(id=request.id, action=action)


async def main() -> None:
    """Serve until killed; the address goes to standard output."""
    handler = grpc.stream_stream_rpc_method_handler(act, ActRequest.FromString, ActResponse.SerializeToString)
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("plures.v1.AgentService", {"Act": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo listens on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
