"""`python healthy.py ADDRESS`: succeeds when the server there says that it serves (the gRPC health protocol)."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=4)
        except grpc.RpcError as error:
            sys.exit(f"{address} does not answer: {error}")
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.exit(f"{address} is {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")


if __name__ == "__main__":
    main(sys.argv[1])
